"""Structured extraction with validation and retry, over recorded answers of a model.

Mixtral's real answers to 30 word problems (GSM8K) are replayed.  A number has to come
out of prose; the arithmetic in it is checked; a fifth of the calls fail on purpose, by
a rate limit or an answer that breaks off.  `with_retry` needs no runtime around it.
"""

from __future__ import annotations

import random
import re
from fractions import Fraction
from pathlib import Path

import attrs
import msgspec
import trio

from understudy import Cause, Model, ModelError, ModelRequest, RetriesExhausted
from understudy import RetryConfig, parallel_execute, with_retry
from understudy.models import FaultMix, RecordedModel, with_faults

RECORDINGS = Path(__file__).parent / "data" / "gsm8k.jsonl"
RETRY = RetryConfig(max_attempts=3, backoff_base=1.5, max_backoff=0.05)

ANSWER = re.compile(r"^#### *\$?(-?[\d,]*\.?\d+)", re.MULTILINE)
SUM = re.compile(r"<<([\d\s.+*/()-]+)=(-?[\d.]+)>>")
TERM = re.compile(r"\s*(\d*\.?\d+|[-+*/()])")


class Problem(msgspec.Struct, frozen=True):
    """A question, and the number that its authors say is right."""

    prompt: str
    gold: str


@attrs.frozen
class Solution:
    """What is extracted from an answer.

    Args:
      answer: the number after the last line's marks.
      sums: each computation that the model wrote down, with its result.
    """

    answer: Fraction
    sums: tuple[tuple[str, Fraction], ...]


def extracted(text: str) -> Solution:
    """Read a model's words.

    Raises:
      ModelError: there is no answer in them; trying again may help.
    """
    found = ANSWER.search(text)
    if found is None:
        raise ModelError("there is no line '#### number'", cause=Cause.MALFORMED)
    sums = tuple((sum_, Fraction(said)) for sum_, said in SUM.findall(text))
    return Solution(Fraction(found[1].replace(",", "")), sums)


def adds_up(solution: Solution) -> bool:
    """Whether the model's own arithmetic is right, to the digits that it wrote."""
    return all(
        abs(value(sum_) - said) < Fraction(1, 100) for sum_, said in solution.sums
    )


def value(sum_: str) -> Fraction:
    """Compute a sum of numbers, exactly; no `eval` on a model's words."""
    terms = TERM.findall(sum_)

    def atom() -> Fraction:
        term = terms.pop(0)
        if term == "(":
            inner = added()
            terms.pop(0)
            return inner
        return -atom() if term == "-" else Fraction(term)

    def multiplied() -> Fraction:
        result = atom()
        while terms and terms[0] in "*/":
            result = result * atom() if terms.pop(0) == "*" else result / atom()
        return result

    def added() -> Fraction:
        result = multiplied()
        while terms and terms[0] in "+-":
            sign = 1 if terms.pop(0) == "+" else -1
            result += sign * multiplied()
        return result

    return added()


@attrs.frozen
class Extracted:
    """How one problem ended.

    Args:
      solution: None if none could be had that adds up.
      why: then the reason.
    """

    problem: Problem
    solution: Solution | None
    why: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the number is the authors'."""
        gold = Fraction(self.problem.gold)
        return self.solution is not None and self.solution.answer == gold


async def solve(problem: Problem, model: Model) -> Extracted:
    """Ask, extract, validate; again if that failed, and not for ever."""

    async def call_llm() -> Solution:
        return extracted((await model.complete(ModelRequest(problem.prompt))).text)

    try:
        solution = await with_retry(call_llm, RETRY, adds_up)
    except RetriesExhausted as error:
        return Extracted(problem, None, str(error.failure))
    return Extracted(problem, solution)


async def run_all() -> tuple[Extracted, ...]:
    """Solve all problems, five at a time."""
    model = with_faults(
        RecordedModel.from_file(RECORDINGS, answer="weak_response", name="mixtral"),
        FaultMix(rate_limit=0.1, malformed=0.1, retry_after=0.02),
        random.Random(11),
    )
    problems = msgspec.json.Decoder(Problem).decode_lines(RECORDINGS.read_bytes())
    return tuple(
        await parallel_execute(
            [lambda problem=problem: solve(problem, model) for problem in problems],
            max_concurrent=5,
        )
    )


def main() -> None:
    """Print what was refused and why, and how right the rest is."""
    ended = trio.run(run_all)
    kept = [each for each in ended if each.solution is not None]
    for each in ended:
        if each.solution is None:
            print(f"refused: {each.problem.prompt[:60]}...\n    {each.why}")
    right = sum(each.is_right for each in kept)
    print(f"\n{len(kept)} of {len(ended)} answers extracted and validated.")
    print(f"{right} of them are right: sums that add up can still be the wrong sums.")


if __name__ == "__main__":
    main()

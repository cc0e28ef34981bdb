"""Structured extraction with validation and retry, over recorded answers of a model.

Mixtral's real answers to 30 word problems (GSM8K) are replayed: a number has to come
out of prose, and its arithmetic is checked.  A fifth of the calls fail on purpose.
"""

from __future__ import annotations

import ast
import operator
import random
import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import attrs
import msgspec
import trio

from understudy import (
    Cause,
    Model,
    ModelError,
    ModelRequest,
    RetriesExhausted,
    RetryConfig,
    parallel_execute,
    with_retry,
)
from understudy.models import FaultMix, RecordedModel, with_faults

RECORDINGS = Path(__file__).parent / "data" / "gsm8k.jsonl"
RETRY = RetryConfig(max_attempts=3, backoff_base=1.5, max_backoff=0.05)

ANSWER = re.compile(r"^#### *\$?(-?[\d,]*\.?\d+)", re.MULTILINE)
SUM = re.compile(r"<<([\d\s.+*/()-]+)=(-?[\d.]+)>>")
SIGNS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right,
}


class Problem(msgspec.Struct, frozen=True):
    """A question, and the number that its authors say is right."""

    prompt: str
    gold: str


@attrs.frozen
class Solution:
    """The number at an answer's end, and the sums on the way, with their results."""

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
        abs(value(ast.parse(sum_, mode="eval").body) - said) < Fraction(1, 100)
        for sum_, said in solution.sums
    )


def value(sum_: ast.expr) -> Fraction:
    """Compute a sum of numbers, exactly; a model's words are nothing to `eval`."""
    match sum_:
        case ast.BinOp(left, sign, right) if type(sign) in SIGNS:
            return SIGNS[type(sign)](value(left), value(right))
        case ast.UnaryOp(ast.USub(), inner):
            return -value(inner)
        case ast.Constant(int() | float() as number):
            return Fraction(str(number))
        case _:
            raise ValueError(f"{ast.unparse(sum_)} is no sum")


@attrs.frozen
class Extracted:
    """How one problem ended: with a solution, or with the reason why there is none."""

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
        return Extracted(problem, None, error.failure.message)
    return Extracted(problem, solution)


async def run_all() -> tuple[Extracted, ...]:
    """Solve all problems, five at a time."""
    model = with_faults(
        RecordedModel.from_file(RECORDINGS, answer="weak_response", name="mixtral"),
        FaultMix(rate_limit=0.1, malformed=0.1, retry_after=0.02),
        random.Random(11),
    )
    problems = msgspec.json.Decoder(Problem).decode_lines(RECORDINGS.read_bytes())
    tasks = [partial(solve, problem, model) for problem in problems]
    return tuple(await parallel_execute(tasks, max_concurrent=5))


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

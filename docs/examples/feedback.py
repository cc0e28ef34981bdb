"""Customer feedback: extract, mend, categorise each issue, look up its owner, reply.

Real messages (NLU++), a classifier for both models, a third of the answers broken.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import msgspec
import trio

from understudy import (
    Attempt,
    Context,
    ModelRequest,
    RetryConfig,
    RunResult,
    Runtime,
    Step,
    each,
    route,
    sequence,
    step,
)
from understudy.demo.labels import TEAMS, Category, Urgency
from understudy.demo.tier_models import asked_text
from understudy.demo.tiers import large
from understudy.models import FaultMix, LocalModel, with_faults

MESSAGES = Path(__file__).parent / "data" / "nlupp.jsonl"
Teams = Mapping[Category, str]
QUICK = RetryConfig(max_attempts=3, backoff_base=0)


class Feedback(msgspec.Struct, frozen=True):
    """A message, with the urgency that its labels give it."""

    text: str
    urgency: Urgency


class Extraction(msgspec.Struct, frozen=True):
    """What the first model is asked for; an answer of another shape is refused."""

    sentiment: str
    issues: tuple[str, ...]
    urgency: Urgency


class Issue(msgspec.Struct, frozen=True):
    """One thing that a message is about, and the team that answers for it."""

    quote: str
    category: Category
    owner: str


class Reply(msgspec.Struct, frozen=True):
    """What becomes of a message."""

    urgency: Urgency
    issues: tuple[Issue, ...]
    text: str


@step(retry=QUICK)
async def extract(context: Context[Feedback], attempt: Attempt[Teams]) -> Extraction:
    """Extract; an answer that cannot be used goes back, with what is wrong with it."""
    asked = attempt.models["reader"].complete(context.input.text, output=Extraction)
    return (await asked).value


@step(retry=QUICK)
async def categorise(context: Context[Feedback], attempt: Attempt[Teams]) -> Issue:
    """Give one issue its category, and look up the owner."""
    quote = context.item_as(str)
    reply = await attempt.models["sorter"].complete(quote, output=Category)
    return Issue(quote, reply.value, attempt.deps[reply.value])


issues = each(categorise, over=lambda context: context[extract].issues, name="issues")


def replying(name: str, promise: str) -> Step[Feedback, Reply, object]:
    """Return the step that promises what the urgency asks for."""

    @step(name=name, needs=(extract, issues))
    async def reply(context: Context[Feedback]) -> Reply:
        owners = " and ".join(sorted({issue.owner for issue in context[issues]}))
        return Reply(context[extract].urgency, context[issues], f"{owners} {promise}")

    return reply


def by_urgency(context: Context[object]) -> str:
    """Choose the reply."""
    return "urgent" if context[extract].urgency is Urgency.HIGH else "standard"


respond = route(
    by_urgency,
    urgent=replying("urgent", "will call you within minutes."),
    standard=replying("standard", "will write to you."),
    name="respond",
)
feedback = sequence(extract, issues, respond, name="feedback")


def read(request: ModelRequest) -> Extraction:
    """Answer in the place of a large model; a classifier does."""
    found = large(asked_text(request))
    quotes = tuple(dict.fromkeys(issue.quote for issue in found.issues))
    return Extraction(found.sentiment.value, quotes, found.urgency)


def sort(request: ModelRequest) -> str:
    """Answer with the one category that the quote is about, as JSON."""
    return f'"{large(asked_text(request)).categories[0]}"'


async def run_all() -> tuple[tuple[Feedback, RunResult[Reply]], ...]:
    """Run the workflow over all messages."""
    messages = msgspec.json.Decoder(Feedback).decode_lines(MESSAGES.read_bytes())
    mix, chance = FaultMix(malformed=0.33), random.Random(7)
    models = {
        name: with_faults(LocalModel(answer, takes="request"), mix, chance)
        for name, answer in (("reader", read), ("sorter", sort))
    }
    async with Runtime(feedback, models=models, deps=TEAMS) as runtime:
        results = [r async for r in runtime.run_many(feedback, messages)]
    return tuple(zip(messages, results, strict=True))


def main() -> None:
    """Print each message with its reply, and how often the urgency was right."""
    ended = [(message, run) for message, run in trio.run(run_all) if run.ok]
    for message, run in ended:
        print(f"{message.text}\n    {run.value.urgency}: {run.value.text}")
    right = sum(message.urgency is run.value.urgency for message, run in ended)
    mended = sum(r.usage.calls - 1 - len(r.value.issues) for _, r in ended)
    print(f"\n{len(ended)} runs completed, the urgency is right in {right}; ", end="")
    print(f"{mended} calls were made to have answers mended.")


if __name__ == "__main__":
    main()

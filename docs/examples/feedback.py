"""Customer feedback: from a message to a suggested reply, in five steps.

Extract what the message says; have the model mend an answer that cannot be used;
categorise each issue; look up who answers for it; write the reply that the urgency
asks for.  The messages are real (NLU++), and the two models are a classifier that was
fitted on other ones.  A third of their answers break off in the midst, on purpose.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import attrs
import msgspec
import trio

from understudy import Attempt, Context, Message, ModelRequest, Runtime
from understudy import RetryConfig, RunResult, each, route, sequence, step
from understudy.demo.labels import TEAMS, Category, Urgency
from understudy.demo.tiers import large
from understudy.models import FaultMix, LocalModel, Models, with_faults

MESSAGES = Path(__file__).parent / "data" / "nlupp.jsonl"
QUICK = RetryConfig(max_attempts=3, backoff_base=0)


class Feedback(msgspec.Struct, frozen=True):
    """A message, with the answers that its labels give."""

    id: str
    text: str
    categories: tuple[Category, ...]
    urgency: Urgency


@attrs.frozen
class Extraction:
    """What the first model is asked for; its answer is refused if it is anything else."""

    sentiment: str
    issues: tuple[str, ...]
    urgency: Urgency


@attrs.frozen
class Label:
    """What the second model is asked for."""

    category: Category


@attrs.frozen
class Issue:
    """One thing that a message is about, and the team that answers for it."""

    quote: str
    category: Category
    owner: str


@attrs.frozen
class Reply:
    """What becomes of a message."""

    urgency: Urgency
    issues: tuple[Issue, ...]
    text: str


@attrs.frozen
class Desk:
    """The steps' own dependencies: who answers for what."""

    owners: Mapping[Category, str]


@step(retry=QUICK)
async def extract(context: Context[Feedback], attempt: Attempt[Desk]) -> Extraction:
    """Extract; a malformed answer goes back to the model with what is wrong with it."""
    asked = (
        Message.of("system", "Give sentiment, issues and urgency as JSON."),
        Message.of("user", context.input.text),
    )
    reply = await attempt.models["reader"].complete(asked, output=Extraction)
    return reply.value


@step(retry=QUICK)
async def categorise(context: Context[Feedback], attempt: Attempt[Desk]) -> Issue:
    """Give one issue its category, and look up the owner."""
    quote = context.item_as(str)
    reply = await attempt.models["sorter"].complete(quote, output=Label)
    category = reply.value.category
    return Issue(quote, category, attempt.deps.owners[category])


issues = each(
    categorise, over=lambda context: context[extract].issues, name="issues"
)


@step(needs=(extract, issues))
async def urgent(context: Context[Feedback]) -> Reply:
    """Reply at once."""
    found = context[issues]
    owners = " and ".join(sorted({issue.owner for issue in found}))
    return Reply(Urgency.HIGH, found, f"{owners} will call you within minutes.")


@step(needs=(extract, issues))
async def standard(context: Context[Feedback]) -> Reply:
    """Reply in the order of arrival."""
    found = context[issues]
    owners = " and ".join(sorted({issue.owner for issue in found}))
    return Reply(context[extract].urgency, found, f"{owners} will write to you.")


def by_urgency(context: Context[object]) -> str:
    """Choose the branch."""
    return "urgent" if context[extract].urgency is Urgency.HIGH else "standard"


respond = route(by_urgency, urgent=urgent, standard=standard, name="respond")
feedback = sequence(extract, issues, respond, name="feedback")


def said_by_user(request: ModelRequest) -> str:
    """Return what the model was asked first; later turns complain about its answer."""
    return next(m.text for m in request.messages if m.role == "user")


def read(request: ModelRequest) -> Extraction:
    """Answer as the classifier does that stands in for a large model."""
    found = large(said_by_user(request))
    quotes = tuple(dict.fromkeys(issue.quote for issue in found.issues))
    return Extraction(found.sentiment.value, quotes, found.urgency)


def sort(request: ModelRequest) -> Label:
    """Answer with the one category that the quote is about."""
    return Label(large(said_by_user(request)).categories[0])


def faulty_models() -> Models:
    """Return both models, a third of whose answers are malformed."""
    mix, chance = FaultMix(malformed=0.33), random.Random(7)
    reader = LocalModel(read, name="reader", takes="request")
    sorter = LocalModel(sort, name="sorter", takes="request")
    return Models(
        reader=with_faults(reader, mix, chance), sorter=with_faults(sorter, mix, chance)
    )


async def run_all() -> tuple[tuple[Feedback, RunResult[Reply]], ...]:
    """Run the workflow over all messages."""
    messages = msgspec.json.Decoder(Feedback).decode_lines(MESSAGES.read_bytes())
    async with Runtime(feedback, models=faulty_models(), deps=Desk(TEAMS)) as runtime:
        results = [result async for result in runtime.run_many(feedback, messages)]
    return tuple(zip(messages, results, strict=True))


def main() -> None:
    """Print each message with its reply, and how many were right."""
    ended = trio.run(run_all)
    for message, result in ended:
        print(f"{message.text}\n    {result.value.urgency}: {result.value.text}")
    right = sum(m.urgency is r.value.urgency for m, r in ended)
    calls = sum(r.usage.calls for _, r in ended)
    needed = sum(1 + len(r.value.issues) for _, r in ended)
    print(f"\n{len(ended)} of {len(ended)} completed, urgency right in {right}.")
    print(f"{calls} model calls, {calls - needed} of them to have an answer mended.")


if __name__ == "__main__":
    main()

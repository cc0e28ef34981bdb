"""The demo's workflow: customer feedback, from a message to a suggested reply.

Extract what the message says, by the cheapest tier that is sure enough; see that
the answer can be true, and ask again if not; give each issue its category and
owner; write the reply that its urgency asks for.

``understudy run understudy.demo.workflow:feedback MESSAGES.jsonl -o OUT.jsonl`` runs
it over messages of your own, each a line with ``id`` and ``text``.
"""

from __future__ import annotations

import attrs

from understudy.demo.directory import Assignment, Desk, TeamDirectory
from understudy.demo.extraction import Extraction, Issue, Sentiment
from understudy.demo.labels import Category, Urgency
from understudy.demo.tier_models import TierModels, prompt
from understudy.demo.tiers import Tier, accepted
from understudy.models.registry import Models
from understudy.workflows.attempt import Attempt
from understudy.workflows.builders import cascade, route, sequence
from understudy.workflows.context import Context
from understudy.workflows.fan_outs import each
from understudy.workflows.nodes import Cascade, Each, Route, Sequence
from understudy.workflows.step import Step, stateful_step, step
from understudy_protocols.chat import Message
from understudy_protocols.retry import RetryConfig

RETRY = RetryConfig(max_attempts=3, timeout_seconds=0.4, max_backoff=0.1)
"""Three attempts, as ever; times are a tenth of what a provider would be given."""


@attrs.frozen
class Feedback:
    """A customer's message."""

    id: str
    text: str


@attrs.frozen
class Answer:
    """What a message says, and which tier found out."""

    tier: Tier
    extraction: Extraction


@attrs.frozen
class Reply:
    """What becomes of a message.

    Args:
      issues: what it is about, each with its owner.
      text: the suggested reply.
    """

    tier: Tier
    sentiment: Sentiment
    urgency: Urgency
    issues: tuple[Assignment, ...]
    text: str

    @property
    def categories(self) -> tuple[Category, ...]:
        """The categories of the issues."""
        return tuple(issue.category for issue in self.issues)


# --- extract, by the cheapest tier that is sure enough -----------------------


def asking(tier: Tier) -> Step[Feedback, Answer, object]:
    """Return the step that asks *tier*."""

    @step(name=tier.value, retry=RETRY)
    async def ask(context: Context[Feedback], attempt: Attempt[object]) -> Answer:
        model = attempt.models[tier.value]
        reply = await model.complete(prompt(context.input.text), output=Extraction)
        return Answer(tier, reply.value)

    return ask


def sure_enough(answer: Answer) -> bool:
    """Whether no dearer tier needs to be asked."""
    return accepted(answer.tier, answer.extraction)


extract: Cascade[Feedback, Answer, object] = cascade(
    asking(Tier.RULES),
    asking(Tier.SMALL),
    asking(Tier.LARGE),
    accept=sure_enough,
    name="extract",
)


# --- validate, and clarify if need be -----------------------------------------


def doubts(text: str, extraction: Extraction) -> tuple[str, ...]:
    """Return what cannot be true of *text*, each in words that a model can heed."""
    found: list[str] = []
    if not extraction.issues:
        found.append("name at least one issue, of category other if need be")
    if len(set(extraction.categories)) < len(extraction.categories):
        found.append("name each category once")
    found.extend(
        f"the message does not say {issue.quote!r}; quote its own words"
        for issue in extraction.issues
        if issue.quote.rstrip("\u2026") not in text
    )
    return tuple(found)


@step(needs=(extract,), retry=RETRY)
async def validate(context: Context[Feedback], attempt: Attempt[object]) -> Answer:
    """Pass an answer that can be true; else ask the last tier, and say what is wrong."""
    text, answer = context.input.text, context[extract]
    wrong = doubts(text, answer.extraction)
    if not wrong:
        return answer
    complaint = f"Another answer was wrong: {'; '.join(wrong)}."
    asked = (*prompt(text), Message.of("user", complaint))
    reply = await attempt.models[Tier.LARGE.value].complete(asked, output=Extraction)
    return Answer(Tier.LARGE, reply.value)


# --- each issue: its category, its owner ---------------------------------------


@step
async def categorise(context: Context[Feedback]) -> Category:
    """Take the category that the tier has named along with the issue."""
    return context.item_as(Issue).category


owner: Step[object, Assignment, Desk] = stateful_step(
    TeamDirectory,
    name="owner",
    needs=(categorise,),
    output=Assignment,
    max_concurrent=1,
    restart_on=(ConnectionError,),
)

assign: Each[Feedback, tuple[Assignment, ...], Desk] = each(
    sequence(categorise, owner, name="issue"),
    over=lambda context: context[validate].extraction.issues,
    name="assign",
)


# --- the reply, by urgency ---------------------------------------------------


def by_urgency(context: Context[object]) -> str:
    """Choose the tone of the reply."""
    urgent = context[validate].extraction.urgency is Urgency.HIGH
    return "urgent" if urgent else "standard"


@step(needs=(validate, assign))
async def urgent(context: Context[Feedback]) -> Reply:
    """Say who acts, and that it is now."""
    return _reply(
        context, "This cannot wait. {owners} will look at it at once: {said}."
    )


@step(needs=(validate, assign))
async def standard(context: Context[Feedback]) -> Reply:
    """Say who answers."""
    return _reply(context, "Thank you for writing. {owners} will answer you on {said}.")


respond: Route[Feedback, Reply, object] = route(
    by_urgency, urgent=urgent, standard=standard, name="respond"
)

feedback: Sequence[Feedback, Reply, Desk] = sequence(
    extract, validate, assign, respond, name="feedback"
)

models: Models = TierModels().models
"""The tiers without faults, for runs outside the demo."""

deps: Desk = Desk()
"""A directory that does not break, for runs outside the demo."""


def _reply(context: Context[Feedback], template: str) -> Reply:
    answer, issues = context[validate], context[assign]
    return Reply(
        tier=answer.tier,
        sentiment=answer.extraction.sentiment,
        urgency=answer.extraction.urgency,
        issues=issues,
        text=template.format(
            owners=" and ".join(dict.fromkeys(issue.owner for issue in issues)),
            said=" and ".join(f'"{issue.quote}"' for issue in issues),
        ),
    )

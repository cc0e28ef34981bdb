"""The demo's last tier as a real language model, small enough for any machine.

It is asked what it can be held to: one category and one urgency, both out of lists
that a grammar keeps it to.  Sentiment and quote are those of the other tiers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from understudy.demo.directory import Desk
from understudy.demo.engine import Engine
from understudy.demo.engine_child import SLOTS
from understudy.demo.extraction import Extraction, Issue, clauses, quote
from understudy.demo.labels import Category, Urgency
from understudy.demo.sentiment import sentiment
from understudy.demo.tier_models import TierModels
from understudy.demo.tiers import Tier
from understudy.demo.workflow import (
    Answer,
    Feedback,
    Reply,
    asking,
    assign,
    respond,
    sure_enough,
    validate,
)
from understudy.gates.limits import Limits
from understudy.models.registry import Models
from understudy.providers.making import openai_model
from understudy.workflows.attempt import Attempt
from understudy.workflows.builders import cascade, sequence
from understudy.workflows.context import Context
from understudy.workflows.nodes import Cascade, Sequence
from understudy.workflows.step import step
from understudy_protocols.chat import Message, Price
from understudy_protocols.retry import RetryConfig

LLM: Final = "llm"
"""The name of the real model among the others."""

INSTRUCTION: Final = (
    "You sort messages of customers of a bank or a hotel. Choose the category that the "
    "message is about, and how urgent it is. Answer in JSON."
)

_MOST_WRITTEN: Final = 48  # tokens; an answer takes about 20
_SETTLED: Final[Mapping[str, object]] = {"temperature": 0, "seed": 1}

RETRY: Final = RetryConfig(max_attempts=2, timeout_seconds=5.0, backoff_base=0.0)
"""A machine is slow; it is not too busy for others, as a provider may be."""


@attrs.frozen
class Choice:
    """What the model chooses."""

    category: Category
    urgency: Urgency


@step(name=Tier.LARGE.value, retry=RETRY)
async def ask_llm(context: Context[Feedback], attempt: Attempt[object]) -> Answer:
    """Let the real model choose, and make an answer of it like those of other tiers."""
    text = context.input.text
    asked = (Message.of("system", INSTRUCTION), Message.of("user", text))
    reply = await attempt.models[LLM].complete(asked, output=Choice)
    choice = reply.value
    issue = Issue(choice.category, quote(clauses(text)[0]))
    # How sure it is, it cannot say.
    found = Extraction(sentiment(text), (issue,), choice.urgency, confidence=0.0)
    return Answer(Tier.LARGE, found)


_extract: Cascade[Feedback, Answer, object] = cascade(
    asking(Tier.RULES), asking(Tier.SMALL), ask_llm, accept=sure_enough, name="extract"
)

feedback_with_llm: Sequence[Feedback, Reply, Desk] = sequence(
    _extract, validate, assign, respond, name="feedback"
)
"""The demo's workflow, with the real model in the last tier."""


def models_with(engine: Engine) -> Models:
    """Return the demo's models without faults, and the one that *engine* serves."""
    real = openai_model(
        engine.weights,
        base_url=f"{engine.address}/v1",
        price=Price(),
        limits=Limits(max_concurrent=SLOTS),
        max_tokens=_MOST_WRITTEN,
        extra=_SETTLED,
    )
    return Models(TierModels().models, **{LLM: real})

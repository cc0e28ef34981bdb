"""The demo's tiers as models: what they compute is real, prices and delays are assumed.

A step asks them as it would ask a provider: a prompt goes in, JSON comes out, and
faults are put between the two.  A real model takes the place of any of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs
import trio

from understudy.demo.extraction import Extraction, Issue, quote
from understudy.demo.labels import Category, Urgency
from understudy.demo.sentiment import sentiment
from understudy.demo.tiers import Tier, large, rules, small
from understudy.models.faults import Fault, FaultMix, FaultyModel, with_faults
from understudy.models.local import LocalModel
from understudy.models.registry import Models
from understudy_protocols.chat import Message, ModelRequest, Price

INSTRUCTION = (
    "You read one message of a customer of a bank or a hotel. Give its sentiment, "
    "its issues (each with a category and the words of the message that speak of "
    "it), how urgent it is, and how sure you are, from 0 to 1. Answer in JSON."
)


@attrs.frozen
class Terms:
    """What a tier is assumed to cost.

    Args:
      delay: how long an answer takes; seconds.
    """

    price: Price
    delay: float


TERMS: Mapping[Tier, Terms] = MappingProxyType(
    {
        Tier.RULES: Terms(Price(), delay=0.001),
        Tier.SMALL: Terms(Price(0.10, 0.40), delay=0.020),
        Tier.LARGE: Terms(Price(2.50, 10.00), delay=0.080),
    }
)
"""Assumed, and called so wherever they are shown.  Delays are about a tenth of what
hosted models take, so that nobody has to wait for the demo."""


class TierModels:
    """The three tiers as models, faults included.

    Args:
      mix: the faults of each of them; none if not given.
      seed: from which all faults follow.
    """

    def __init__(self, mix: FaultMix | None = None, seed: int = 0) -> None:
        # Each tier has a seed of its own, whichever others there are: a message
        # that fails at one need not fail at the next.
        self._faulty: dict[Tier, FaultyModel] = {
            tier: with_faults(
                tier_model(tier), mix or FaultMix(), random.Random(f"{seed}/{tier}")
            )
            for tier in Tier
        }
        self.models: Models = Models(
            {tier.value: model for tier, model in self._faulty.items()}
        )

    def met(self) -> Mapping[Fault, int]:
        """How many calls met each fault so far; faults that none met are left out."""
        sums = {
            fault: sum(model.met[fault] for model in self._faulty.values())
            for fault in Fault
        }
        return {fault: count for fault, count in sums.items() if count}


def tier_model(tier: Tier) -> LocalModel:
    """Return one tier as a model, without faults."""
    terms, answer = TERMS[tier], _ANSWERS[tier]

    async def reply(request: ModelRequest) -> Extraction:
        await trio.sleep(terms.delay)
        text = asked_text(request)
        return answer(text) or _at_a_loss(text)

    return LocalModel(reply, name=tier.value, price=terms.price, takes="request")


def prompt(text: str) -> tuple[Message, ...]:
    """Return the conversation that asks what *text* is about."""
    return (Message.of("system", INSTRUCTION), Message.of("user", text))


def asked_text(request: ModelRequest) -> str:
    """Return the customer's message: the first of the user.

    Later ones are complaints about the model's own answers.
    """
    said = (each.text for each in request.messages if each.role == "user")
    return next(said, "")


_ANSWERS: Mapping[Tier, Callable[[str], Extraction | None]] = {
    Tier.RULES: rules,
    Tier.SMALL: small,
    Tier.LARGE: large,
}


def _at_a_loss(text: str) -> Extraction:
    """Return the answer of a tier that has none: nothing that anyone would accept."""
    issue = Issue(Category.OTHER, quote(text.strip()))
    return Extraction(sentiment(text), (issue,), Urgency.LOW, confidence=0.0)

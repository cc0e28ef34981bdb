"""Content moderation: a quick filter, a classifier for the rest, a model for the doubts.

Does a message speak of its writer's security, so that no automatic reply may go out?
The steps are objects with `execute` and `should_execute`: each runs only if the cheaper
one before it was not sure.  The last stands where a large language model would.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import attrs
import msgspec
import trio

from understudy import (
    Context,
    ModelRequest,
    OrchestrationState,
    Runtime,
    maybe,
    sequence,
    step,
)
from understudy.demo.labels import Category
from understudy.demo.messages import DATA, shipped_messages
from understudy.demo.tiers import large
from understudy.models import LocalModel
from understudy.models.linear import LinearClassifier

OBVIOUS = re.compile(r"\b(stolen|fraud|hacked|passcode|pin|identity)\b", re.IGNORECASE)
SURE = {"passed": False, "confidence": "high"}
UNSURE = {"passed": True, "confidence": "low"}


class QuickFilter:
    """A pattern: costs next to nothing."""

    async def execute(self, state: OrchestrationState) -> OrchestrationState:
        """Look for words that leave no doubt."""
        found = OBVIOUS.search(str(state.inputs["text"]))
        return state.with_output("quick_filter", SURE if found else UNSURE)

    def should_execute(self, state: OrchestrationState) -> bool:
        """Always: it is the first."""
        return True


class MLModeration:
    """A small classifier: for what the filter let through."""

    def __init__(self, classifier: LinearClassifier) -> None:
        self._classifier = classifier

    async def execute(self, state: OrchestrationState) -> OrchestrationState:
        """Score the text: how probable is it that it must be held?"""
        chances = self._classifier.probabilities(str(state.inputs["text"]))
        return state.with_output("ml_moderation", chances["security"])

    def should_execute(self, state: OrchestrationState) -> bool:
        """Only if the filter was not sure."""
        return state.outputs.get("quick_filter") == UNSURE


@attrs.frozen
class Judged:
    """What the last tier says."""

    violates: bool
    reason: str
    severity: int


class LLMModeration:
    """The dearest tier: for what the classifier is in doubt about."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model

    async def execute(self, state: OrchestrationState) -> OrchestrationState:
        """Ask, and read the JSON; any other answer fails the attempt."""
        reply = await self._model.complete(ModelRequest(str(state.inputs["text"])))
        judged = msgspec.json.decode(reply.text, type=Judged)
        return state.with_output("llm_moderation", judged)

    def should_execute(self, state: OrchestrationState) -> bool:
        """Only if the classifier ran, and its score is near a half."""
        score = state.outputs.get("ml_moderation")
        return isinstance(score, float) and 0.3 < score < 0.7


def judge(text: str) -> Judged:
    """Answer in the place of a large language model; a larger classifier does."""
    found = large(text)
    reason, severity = f"about {found.categories[0]}", 1 + 2 * found.urgency.rank
    return Judged(Category.SECURITY in found.categories, reason, severity)


@attrs.frozen
class Verdict:
    """Whether the text is held for a person, and who said so."""

    held: bool
    tier: str


@step(needs=(maybe("ml_moderation"), maybe("llm_moderation")))
async def verdict(context: Context[object]) -> Verdict:
    """Take the word of the last tier that ran."""
    judged, score = context["llm_moderation"], context["ml_moderation"]
    if isinstance(judged, Judged):
        return Verdict(judged.violates, "model")
    if isinstance(score, float):
        return Verdict(score >= 0.5, "classifier")
    return Verdict(held=True, tier="filter")


moderation = sequence(
    QuickFilter(),
    MLModeration(LinearClassifier(DATA / "small.json")),
    LLMModeration(LocalModel(judge)),
    verdict,
    name="moderation",
)


async def run_all(texts: Iterable[str]) -> tuple[Verdict, ...]:
    """Moderate each text."""
    async with Runtime(moderation) as runtime:
        runs = [await runtime.run(moderation, {"text": text}) for text in texts]
    return tuple(run.value for run in runs if isinstance(run.value, Verdict))


def main() -> None:
    """Print who decided about how many messages, and how many of them rightly."""
    messages = shipped_messages()
    verdicts = trio.run(run_all, [message.text for message in messages])
    decided, right = Counter[str](), Counter[str]()
    for message, said in zip(messages, verdicts, strict=True):
        decided[said.tier] += 1
        right[said.tier] += said.held is (Category.SECURITY in message.gold.categories)
    for tier, count in decided.items():
        print(f"{tier:10} decided {count:3} of 200, {right[tier]:3} of them rightly")


if __name__ == "__main__":
    main()

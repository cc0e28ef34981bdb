"""Content moderation: a quick filter, a classifier for the rest, a model for the doubts.

The question is a real one: does this message speak of its writer's security, so that
no automatic reply may go out?  The steps are objects with `execute` and
`should_execute`; each runs only if the cheaper one before it was not sure.  The last
tier stands where a large language model would, and answers in its JSON.
"""

from __future__ import annotations

import re
from collections import Counter

import attrs
import msgspec
import trio

from understudy import Context, Model, ModelRequest, OrchestrationState, RunResult
from understudy import Runtime, maybe, sequence, step
from understudy.demo.labels import Category, Urgency
from understudy.demo.messages import DATA, Message, shipped_messages
from understudy.demo.tiers import large
from understudy.models import LocalModel
from understudy.models.linear import LinearClassifier

OBVIOUS = re.compile(r"\b(stolen|fraud|hacked|passcode|pin|identity)\b", re.IGNORECASE)


@attrs.frozen
class Filtered:
    """What the quick filter says; it is sure only of what it finds."""

    passed: bool

    @property
    def sure(self) -> bool:
        """Whether no other tier needs to look."""
        return not self.passed


class QuickFilter:
    """A pattern: costs next to nothing."""

    async def execute(self, state: OrchestrationState) -> OrchestrationState:
        """Look for words that leave no doubt."""
        found = OBVIOUS.search(str(state.inputs["text"]))
        return state.with_output("quick_filter", Filtered(passed=found is None))

    def should_execute(self, state: OrchestrationState) -> bool:
        """Always."""
        return True


@attrs.frozen
class Scored:
    """What the classifier says: how probable it is that the text must be held."""

    score: float


class MLModeration:
    """A small classifier: for what the filter let through."""

    def __init__(self, classifier: LinearClassifier) -> None:
        self._classifier = classifier

    async def execute(self, state: OrchestrationState) -> OrchestrationState:
        """Score the text."""
        chances = self._classifier.probabilities(str(state.inputs["text"]))
        return state.with_output("ml_moderation", Scored(chances["security"]))

    def should_execute(self, state: OrchestrationState) -> bool:
        """Only if the filter was not sure."""
        said = state.outputs["quick_filter"]
        return isinstance(said, Filtered) and not said.sure


@attrs.frozen
class Judged:
    """What the last tier says."""

    violates: bool
    reason: str
    severity: int


class LLMModeration:
    """The dearest tier: for what the classifier is in doubt about."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def execute(self, state: OrchestrationState) -> OrchestrationState:
        """Ask, and read the JSON; any other answer fails the attempt."""
        reply = await self._model.complete(ModelRequest(str(state.inputs["text"])))
        judged = msgspec.json.decode(reply.text, type=Judged)
        return state.with_output("llm_moderation", judged)

    def should_execute(self, state: OrchestrationState) -> bool:
        """Only if the classifier ran, and its score is near a half."""
        said = state.outputs.get("ml_moderation")
        return isinstance(said, Scored) and 0.3 < said.score < 0.7


def judge(text: str) -> Judged:
    """Answer in the place of a large language model; a larger classifier does."""
    found = large(text)
    severity = {Urgency.LOW: 1, Urgency.MEDIUM: 3, Urgency.HIGH: 5}[found.urgency]
    about = ", ".join(found.categories)
    return Judged(Category.SECURITY in found.categories, f"about {about}", severity)


@attrs.frozen
class Verdict:
    """Whether the text is held for a person, and which tier said so."""

    held: bool
    tier: str


@step(needs=(maybe("ml_moderation"), maybe("llm_moderation")))
async def verdict(context: Context[object]) -> Verdict:
    """Take the word of the last tier that ran."""
    judged, scored = context["llm_moderation"], context["ml_moderation"]
    if isinstance(judged, Judged):
        return Verdict(judged.violates, "model")
    if isinstance(scored, Scored):
        return Verdict(scored.score >= 0.5, "classifier")
    return Verdict(held=True, tier="filter")


moderation = sequence(
    QuickFilter(),
    MLModeration(LinearClassifier(DATA / "small.json")),
    LLMModeration(LocalModel(judge)),
    verdict,
    name="moderation",
)


async def run_all() -> tuple[tuple[Message, RunResult[object]], ...]:
    """Moderate the 200 messages that the demo ships."""
    messages = shipped_messages()
    async with Runtime(moderation) as runtime:
        ended = [
            (each, await runtime.run(moderation, {"text": each.text}))
            for each in messages
        ]
    return tuple(ended)


def main() -> None:
    """Print which tier decided how many messages, and how many of them rightly."""
    decided, right = Counter[str](), Counter[str]()
    for message, result in trio.run(run_all):
        said = result.value
        assert isinstance(said, Verdict)
        decided[said.tier] += 1
        right[said.tier] += said.held == (Category.SECURITY in message.gold.categories)
    for tier, count in decided.items():
        print(f"{tier:10} decided {count:3} of 200, {right[tier]:3} of them rightly")


if __name__ == "__main__":
    main()

"""What a routing policy is, and how its actor asks it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias, TypeVar, cast, runtime_checkable

import msgspec

from understudy.workflows.context import Context
from understudy.workflows.step import Step
from understudy_protocols.articles import with_article
from understudy_protocols.failures import Cause, StepError
from understudy_protocols.frozen import FrozenMap, freeze
from understudy_protocols.own_tags import tag_later
from understudy_protocols.sensitive import redacted

In = TypeVar("In")


class Decision(msgspec.Struct, frozen=True):
    """Which way a run takes, and why.

    Args:
      route: the label of the branch.
      features: what the policy went by, for the record.
    """

    route: str
    features: Mapping[str, object] = FrozenMap[str, object]()

    def __post_init__(self) -> None:
        features = freeze(dict(self.features), "features")
        msgspec.structs.force_setattr(self, "features", features)

    def __str__(self) -> str:
        facts = ", ".join(
            f"{key} {redacted(value)}" for key, value in self.features.items()
        )
        return f"{self.route} ({facts})" if facts else self.route


tag_later(Decision, "understudy.decision")


@runtime_checkable
class RoutingPolicy(Protocol):
    """Decides which branch a run takes.

    A policy that knows all labels it may choose has them as a ``labels``
    tuple; the check then finds branches that nothing leads to.
    """

    def decide(self, context: Context[object], /) -> Decision | str:
        """Return the decision, or just the label; quick, and without effect."""
        ...


Policy: TypeAlias = (
    RoutingPolicy
    | Callable[[Context[In]], str | Decision]
    | Callable[[Context[In]], Awaitable[str | Decision]]
)
"""What may decide: a policy object, or a function of the context."""


def as_step(
    name: str, policy: object, labels: tuple[str, ...]
) -> Step[object, object, object]:
    """Return the step whose value is the policy's decision.

    Its attempts fail when the policy raises or chooses no branch there is.
    """
    decide = cast(
        "Callable[[Context[object]], object]",
        policy.decide if isinstance(policy, RoutingPolicy) else policy,
    )

    async def route(context: Context[object]) -> Decision:
        answer = decide(context)
        if inspect.isawaitable(answer):
            answer = await answer
        decision = answer if isinstance(answer, Decision) else Decision(str(answer))
        if decision.route not in labels:
            # Whatever else it may be: the words of a value are not for all eyes.
            told = isinstance(answer, str | Decision)
            chosen = (
                repr(decision.route) if told else with_article(type(answer).__name__)
            )
            raise StepError(
                f"the policy chose {chosen}, and the branches are "
                f"{', '.join(map(repr, labels))}",
                cause=Cause.STEP_ERROR,
            )
        return decision

    return Step(name=name, call=route, needs=None, output_type=Decision)

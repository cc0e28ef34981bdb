"""`Router`: named routes, and a policy that chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias, cast

from understudy.routing.length_tiers import LengthTiers
from understudy.workflows.builders import route, sequence
from understudy.workflows.context import Context
from understudy.workflows.nodes import AnyWorkflow
from understudy.workflows.policy import Decision, RoutingPolicy
from understudy.workflows.seed_steps import Runnable, as_node
from understudy_protocols.articles import with_article
from understudy_protocols.errors import ConfigError
from understudy_protocols.state import OrchestrationState

InstantPolicy: TypeAlias = RoutingPolicy | Callable[[Context[object]], str | Decision]
"""A policy that answers at once, without awaiting."""

_BY_LENGTH = LengthTiers()


class Router:
    """Leads each run through one of its routes; stands wherever a node may.

    ::

        router = Router()
        router.add_route("simple", quick)
        router.add_route("standard", [extract, respond])
        router.add_route("complex", thorough)
        workflow = sequence(router, archive)

    A subclass may override `route` instead of giving a policy.

    Args:
      policy: what decides; by the length of the input's text if not given.
      name: the node's name, under which the value of the route is stored.
    """

    def __init__(
        self, policy: InstantPolicy = _BY_LENGTH, *, name: str = "router"
    ) -> None:
        self._policy = policy
        self._name = name
        self._routes: dict[str, AnyWorkflow] = {}
        self._node: AnyWorkflow | None = None

    @property
    def routes(self) -> Mapping[str, AnyWorkflow]:
        """The routes so far, by their conditions' names."""
        return MappingProxyType(self._routes)

    def add_route(
        self, condition_name: str, steps: Runnable | Sequence[Runnable]
    ) -> None:
        """Add a route.

        Args:
          condition_name: the label that the policy chooses it by.
          steps: a node, an object with `execute` and `should_execute`, or a
            list of these, run in order.

        Raises:
          ConfigError: there is a route of that name, the list is empty, or the
            router is part of a workflow already, which could not notice.
        """
        if self._node is not None:
            raise ConfigError(
                f"router {self._name!r} is part of a workflow already; "
                f"add the route {condition_name!r} before that"
            )
        if condition_name in self._routes:
            raise ConfigError(
                f"router {self._name!r} has a route {condition_name!r} already"
            )
        listed = list(steps) if isinstance(steps, Sequence) else [steps]
        if not listed:
            raise ConfigError(f"the route {condition_name!r} has no step")
        nodes = [as_node(step) for step in listed]
        self._routes[condition_name] = (
            nodes[0] if len(nodes) == 1 else as_node(sequence(*nodes))
        )

    def route(self, state: OrchestrationState[object]) -> str:
        """Return the name of the route that a run in *state* takes; runs nothing.

        Raises:
          ConfigError: there is no such route, or the policy has to await.
          Whatever the policy raises.
        """
        label = str(_asked(self._policy, _seen(state)).route)
        if label not in self._routes:
            there = ", ".join(map(repr, self._routes)) or "none"
            raise ConfigError(f"the policy chose {label!r}, and the routes are {there}")
        return label

    def as_workflow(self) -> AnyWorkflow:
        """Return the router as a node; the same one each time.

        Raises:
          ConfigError: it has no route.
        """
        if self._node is None:
            overridden = type(self).route is not Router.route
            policy = self._by_state if overridden else self._policy
            self._node = as_node(route(policy, name=self._name, **self._routes))
        return self._node

    def _by_state(self, context: Context[object]) -> str:
        return self.route(context.as_state())


class _Outside:
    """The place of a state that is in no run: no item, no round."""

    def __init__(self) -> None:
        self.item: object = None
        self.previous: object = None
        self.round = 0


def _seen(state: OrchestrationState[object]) -> Context[object]:
    return Context(state, dict.fromkeys(state.outputs, True), _Outside())


def _asked(policy: InstantPolicy, context: Context[object]) -> Decision:
    decide = policy.decide if isinstance(policy, RoutingPolicy) else policy
    answer = cast("object", decide(context))
    if isinstance(answer, Decision):
        return answer
    if isinstance(answer, str):
        return Decision(answer)
    raise ConfigError(
        f"the policy gave {with_article(type(answer).__name__)}; "
        "give a label or a Decision, at once and not by an async function"
    )

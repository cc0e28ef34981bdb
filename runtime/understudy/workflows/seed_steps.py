"""Steps written as objects with `execute(state)` and `should_execute(state)`.

The older shape of a step: it gets a state and returns a state with its output
added.  It sees the outputs that it needs, by default all that are in scope,
and may add one: its own name.
"""

from __future__ import annotations

import functools
import re
from typing import Protocol, TypeAlias, cast, runtime_checkable

from understudy.workflows.context import Context
from understudy.workflows.hints import is_async
from understudy.workflows.naming import named_function
from understudy.workflows.nodes import AnyWorkflow, Need, Workflow
from understudy.workflows.step import Step, checked_needs
from understudy_protocols.articles import with_article
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, StepError
from understudy_protocols.state import OrchestrationState


@runtime_checkable
class WorkflowStep(Protocol):
    """A step as an object.  A ``name`` and ``needs`` attribute are heeded."""

    async def execute(self, state: OrchestrationState) -> OrchestrationState:
        """Return *state* with this step's output added."""
        ...

    def should_execute(self, state: OrchestrationState) -> bool:
        """Whether the step should run, as *state* stands; must be quick."""
        ...


@runtime_checkable
class HasWorkflow(Protocol):
    """Something that can give itself as a node, such as a `Router`."""

    def as_workflow(self) -> AnyWorkflow:
        """Return the node."""
        ...


Foreign: TypeAlias = WorkflowStep | HasWorkflow
"""What is no node, but can be made into one."""

Runnable: TypeAlias = AnyWorkflow | Foreign
"""What may stand where a node is wanted."""


def as_node(thing: Runnable) -> AnyWorkflow:
    """Return *thing* as a node.

    Raises:
      ConfigError: it is nothing that can be run.
    """
    return _as_node(thing)


def _as_node(given: object) -> AnyWorkflow:
    if isinstance(given, Workflow):
        return cast("AnyWorkflow", given)
    if isinstance(given, HasWorkflow):
        return given.as_workflow()
    if isinstance(given, WorkflowStep) and not isinstance(given, type):
        return _from_object(given)
    raise ConfigError(
        f"{given!r} cannot be a node of a workflow; decorate the function with "
        "@step, or give an object with execute(state) and should_execute(state)"
    )


def _from_object(thing: WorkflowStep) -> Step[object, object, object]:
    name = str(getattr(thing, "name", None) or _snake(type(thing).__name__))
    needs: tuple[Need, ...] | None = getattr(thing, "needs", None)
    if not is_async(thing.execute) or is_async(thing.should_execute):
        raise ConfigError(
            f"step {name!r}: write async def execute(state), and a plain "
            "def should_execute(state)"
        )

    @functools.wraps(thing.execute)
    async def execute(context: Context[object]) -> object:
        state = _state(context)
        return _added(name, state, await thing.execute(state))

    @functools.wraps(thing.should_execute)
    def should_execute(context: Context[object]) -> bool:
        return thing.should_execute(_state(context))

    return Step(
        name=name,
        call=execute,
        needs=None if needs is None else checked_needs(needs, name),
        # Its own question, and no function that stands by itself.
        when=named_function("should_execute", should_execute),
    )


def _state(context: Context[object]) -> OrchestrationState:
    # Such a step takes its inputs to be a mapping; only its author knows.
    return cast("OrchestrationState", context.as_state())


def _added(name: str, before: OrchestrationState, after: object) -> object:
    """Return the one output that a step added to its state."""
    if not isinstance(after, OrchestrationState):
        raise StepError(
            f"execute() of {name} returned {with_article(type(after).__name__)}; "
            "it must return the state, made by state.with_output(name, value)",
            cause=Cause.STEP_ERROR,
        )
    seen, made = before.outputs, cast("OrchestrationState", after).outputs
    absent = object()
    written = [key for key in made if made[key] is not seen.get(key, absent)]
    if written != [name]:
        raise StepError(
            f"execute() of {name} wrote {', '.join(written) or 'nothing'}; "
            f"it must add exactly one output, {name!r}",
            cause=Cause.STEP_ERROR,
        )
    return made[name]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()

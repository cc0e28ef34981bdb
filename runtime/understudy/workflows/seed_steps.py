"""Steps written as objects with `execute(state)` and `should_execute(state)`.

The older shape of a step: it gets a state and returns a state with its output
added.  It sees the outputs that it needs, by default all that are in scope,
and may add one: its own name.
"""

from __future__ import annotations

import re
from typing import Protocol, TypeAlias, runtime_checkable

from understudy.workflows.context import Context
from understudy.workflows.nodes import AnyWorkflow, Need, Workflow
from understudy.workflows.step import Step
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


Runnable: TypeAlias = AnyWorkflow | WorkflowStep | HasWorkflow
"""What may stand where a node is wanted."""


def as_node(thing: Runnable) -> AnyWorkflow:
    """Return *thing* as a node.

    Raises:
      ConfigError: it is nothing that can be run.
    """
    if isinstance(thing, Workflow):
        return thing
    if isinstance(thing, HasWorkflow):
        return thing.as_workflow()
    if isinstance(thing, WorkflowStep):
        return _from_object(thing)
    raise ConfigError(
        f"{thing!r} cannot be a node of a workflow; decorate the function with "
        "@step, or give an object with execute(state) and should_execute(state)"
    )


def _from_object(thing: WorkflowStep) -> Step[object, object, object]:
    name = str(getattr(thing, "name", None) or _snake(type(thing).__name__))
    needs: tuple[Need, ...] | None = getattr(thing, "needs", None)

    async def execute(context: Context[object]) -> object:
        state = context.as_state()
        after = await thing.execute(state)
        return _added(name, state, after)

    def should_execute(context: Context[object]) -> bool:
        return thing.should_execute(context.as_state())

    return Step(name=name, call=execute, needs=needs, when=should_execute)


def _added(name: str, before: OrchestrationState, after: object) -> object:
    if not isinstance(after, OrchestrationState):
        raise StepError(
            f"execute() of {name} returned a {type(after).__name__}; "
            "it must return the state, made by state.with_output(name, value)",
            cause=Cause.STEP_ERROR,
        )
    extra = [key for key in after.outputs if key not in before.outputs and key != name]
    if extra or name not in after.outputs:
        raise StepError(
            f"execute() of {name} added {', '.join(extra) or 'nothing'}; "
            f"it must add exactly one output, {name!r}",
            cause=Cause.STEP_ERROR,
        )
    return after.outputs[name]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()

"""A compiled step: what its actor and its workers have to know."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Never, Protocol, Union, get_args, get_origin

from understudy.engine.flow import Flow, Then
from understudy.engine.strand import Drawn, StepMessage, Strand
from understudy.workflows.attempt import Surroundings
from understudy.workflows.hints import UNDECLARED
from understudy.workflows.step import Step
from understudy.workflows.types import matches, type_name
from understudy_actors.mailbox import Mailbox
from understudy_actors.worker import Worker
from understudy_protocols.errors import ActorStoppedError, MailboxFullError
from understudy_protocols.failures import Cause, Failure, StepError
from understudy_protocols.frozen import freeze
from understudy_protocols.frozen_types import immutable
from understudy_protocols.state import OrchestrationState

State = OrchestrationState[object]


class StepOp:
    """A step at its place in a workflow.

    Attributes:
      mailbox: where its messages wait; sized so that a put never fails for
        want of room.
      then: follows with the step's value.
      skip: follows when the step did not run.
      admitted: types whose every value is frozen and of the declared class.
      down: why the step takes no more messages, once its actor has given up.
    """

    def __init__(
        self,
        flow: Flow,
        path: str,
        step: Step[Never, object, Never],
        needs: Mapping[str, bool] | None,
        mailbox: Mailbox[StepMessage],
        then: Then,
        skip: Callable[[Strand, State], None],
    ) -> None:
        self.flow = flow
        self.path = path
        self.step = step
        self.needs = needs
        self.mailbox = mailbox
        self._put = mailbox.put_nowait
        self.then = then
        self.skip = skip
        self.down: Failure | None = None
        self.declared: object = step.output_type
        self.admitted: set[type] = set()

    def enter(self, strand: Strand, state: State) -> None:
        """Send the strand's message to the step's actor."""
        try:
            self._put(StepMessage(strand, state))
        except ActorStoppedError as error:
            self.flow.fail_soon(strand, self.down or Failure.from_error(error))
        except MailboxFullError:
            self._sweep()
            self._put(StepMessage(strand, state))

    def _sweep(self) -> None:
        """Drop the messages of ended strands: room is reckoned for live ones."""
        mailbox = self.mailbox
        waiting = [mailbox.take_nowait() for _ in range(len(mailbox))]
        for message in waiting:
            if not message.strand.ended:
                mailbox.put_nowait(message)

    def again(self, message: StepMessage) -> None:
        """Put a message back, ahead of all that have not been begun."""
        try:
            self.mailbox.put_front(message)
        except ActorStoppedError as error:
            failure = self.down or Failure.from_error(error, where=self.path)
            self.flow.fail(message.strand, failure)

    def admit(self, value: object) -> object:
        """Return what the step gave, frozen and found to be what it declares.

        Not called for values of a type that is `admitted` already.

        Raises:
          NotFrozenError: it can change, and says where.
          StepError: it is something else than declared.
        """
        frozen = freeze(value, self.path)
        declared: object = self.declared
        if (
            declared is not UNDECLARED
            and not isinstance(declared, Mapping)
            and not matches(frozen, declared)
        ):
            raise StepError(
                f"gave a {type(frozen).__name__} and declares "
                f"{type_name(self.declared)}; mend the step or its annotation",
                cause=Cause.SCHEMA,
            )
        kind = type(frozen)
        if kind in immutable and admits_all(self.declared, kind):
            self.admitted.add(kind)
        return frozen

    def give_up(self, failure: Failure) -> None:
        """Take no more messages, and fail the runs that wait here."""
        self.down = failure
        waiting = self.mailbox.close(str(failure))
        for message in waiting:
            self.flow.fail(message.strand, failure)
        if self.flow.observers:
            self.flow.tell_system("down", path=self.path, failure=failure)

    def due(self, started: float) -> float:
        """Return when a step begun now must be done with all its retries."""
        timeout = self.step.timeout
        return math.inf if timeout == math.inf else started + timeout


def admits_all(declared: object, cls: type) -> bool:
    """Whether each value of just this class is of the declared type.

    Not so for a ``Literal`` or a generic: there the value itself decides.
    """
    if declared is UNDECLARED or isinstance(declared, Mapping):
        return True
    return (
        declared is object
        or declared is cls
        or (get_origin(declared) in (Union, UnionType) and cls in get_args(declared))
    )


class Scope(Drawn, Surroundings, Protocol):
    """What an attempt is made in, and what it has used up."""


class StepHost(Protocol):
    """What the work of steps needs of its runtime."""

    def jitter(self) -> float:
        """Return a number from 0 to 1, from the runtime's random source."""
        ...

    def attempt(
        self, op: StepOp, message: StepMessage, worker: Worker[StepMessage]
    ) -> Scope:
        """Make what the step's function takes as its second argument."""
        ...

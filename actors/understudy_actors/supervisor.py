"""A supervisor as its users see it: the admin calls, the listing, the spec."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Never

import attrs
import trio

from understudy_actors.guarded import guarded
from understudy_actors.incarnation import Incarnation
from understudy_actors.supervision_messages import (
    Add,
    Delete,
    Event,
    StartAgain,
    StopAsked,
    Terminate,
    Withdraw,
)
from understudy_actors.supervisor_loop import SupervisorLoop
from understudy_protocols.errors import ChildSpecError
from understudy_protocols.restart_policy import RestartBudget
from understudy_protocols.supervision import (
    ChildKind,
    ChildSpec,
    Exit,
    Kill,
    Life,
    Restart,
    Strategy,
    SupervisorSpec,
    check_child_specs,
)
from understudy_protocols.supervision_records import (
    AdminError,
    ChildCount,
    ChildStatus,
    Refusal,
    TreeSnapshot,
)

if TYPE_CHECKING:
    # Loaded by those whose actors send messages.
    from understudy_actors.ref import Ref

_OWN = ("id", "start", "on_gone", "workload")
_SHARED = tuple(
    field.name for field in attrs.fields(ChildSpec) if field.name not in _OWN
)


class _Reply:
    """Where the answer to one admin call arrives, once."""

    __slots__ = ("_error", "_event", "_value", "child")

    def __init__(self, child: str) -> None:
        self.child = child
        self._event = trio.Event()
        self._value: object = None
        self._error: Exception | None = None

    @property
    def done(self) -> bool:
        return self._event.is_set()

    def answer(self, value: object) -> None:
        self._value = value
        self._event.set()

    def refuse(self, error: Exception) -> None:
        # A supervisor that ends refuses all whose call has not returned: among
        # them those who were answered in the same breath.
        if not self.done:
            self._error = error
            self._event.set()

    async def wait(self) -> object:
        await self._event.wait()
        if self._error is not None:
            raise self._error
        return self._value


class Supervisor:
    """One life of one supervisor: the live handle to its children.

    Attributes:
      path: where it stands in the tree.
      spec: its flags and first children.
    """

    def __init__(self, spec: SupervisorSpec, loop: SupervisorLoop) -> None:
        self.path = loop.path
        self.spec = spec
        self._loop = loop

    async def start_child(self, spec: ChildSpec) -> object:
        """Start another child; return what it reported ready with.

        Cancellation: a child that is not ready yet is stopped and forgotten,
        without being waited for.

        Raises:
          ChildSpecError: this supervisor cannot have such a child.
          StartFailedError: its start failed; it is forgotten.
          AdminError: its id is taken, there is no room, or we are stopping.
        """
        self._check(spec)
        reply = _Reply(spec.id)
        return await self._ask(Add(spec, reply), reply)

    async def restart_child(self, child_id: str) -> object:
        """Start a stopped child; return what it reported ready with.

        Cancellation: a child that is not ready yet is stopped again, without
        being waited for.

        Raises:
          StartFailedError: its start failed; it stays stopped.
          AdminError: it is not known, not stopped, or we are stopping.
        """
        reply = _Reply(child_id)
        return await self._ask(StartAgain(child_id, reply), reply)

    async def terminate_child(self, child_id: str) -> None:
        """Stop a child, or its pending restart; return when it is gone.

        Called from the child itself, or from below it, it returns at once.

        Cancellation: the stop goes on.

        Raises:
          AdminError: it is not known.
        """
        reply = _Reply(child_id)
        event = Terminate(child_id, reply)
        if self._loop.system.caller_is_below(f"{self.path}/{child_id}"):
            self._loop.post(event)
            await trio.lowlevel.checkpoint()
        else:
            await self._ask(event, reply)

    async def terminate(self, handle: Ref[Never, object] | Supervisor) -> None:
        """Stop the child that *handle* stands for; return when it is gone.

        As `terminate_child`, but safe where ids are used again: the child that
        has the id of one that is gone is left alone, and nothing is done.

        Args:
          handle: what the child reported ready with.

        Cancellation: the stop goes on.

        Raises:
          AdminError: it is no child of ours.
        """
        here = handle.path if isinstance(handle, Supervisor) else handle.home
        parent, _, child_id = (here or "").rpartition("/")
        if parent != self.path:
            await trio.lowlevel.checkpoint()
            raise AdminError(self.path, child_id, Refusal.NOT_FOUND)
        if handle.closed:
            await trio.lowlevel.checkpoint()
        else:
            await self.terminate_child(child_id)

    async def delete_child(self, child_id: str) -> None:
        """Forget a stopped child.

        Cancellation: it is forgotten all the same.

        Raises:
          AdminError: it is not known, or not stopped.
        """
        reply = _Reply(child_id)
        await self._ask(Delete(child_id, reply), reply)

    async def stop(self) -> None:
        """Stop all children in order, then end with kind SHUTDOWN.

        A permanent supervisor is then started again by the one above, whose
        `terminate_child` is the way to stop it for good.  Called from below,
        it returns at once.

        Cancellation: the stop goes on.
        """
        self._loop.post(StopAsked())
        if self._loop.system.caller_is_below(self.path):
            await trio.lowlevel.checkpoint()
        else:
            await self._loop.gone.wait()

    @property
    def closed(self) -> bool:
        """Whether this life of it is over."""
        return self._loop.gone.is_set()

    @property
    def result(self) -> object:
        """What the child left behind whose end ended this supervisor.

        None while it runs, and if it ended for another reason: see
        `SupervisorSpec.auto_shutdown`.
        """
        return self._loop.result

    def children(self) -> tuple[ChildStatus, ...]:
        """Return the listing, in start order."""
        return self._loop.core.children.statuses()

    def count(self) -> ChildCount:
        """Return how many children there are of each kind."""
        return self._loop.core.children.count()

    def tree(self) -> TreeSnapshot:
        """Return the listing of this supervisor and of all below it, now."""
        spec = self.spec
        return TreeSnapshot(
            self.path,
            spec.strategy,
            spec.intensity,
            spec.period,
            self.children(),
            tuple(
                below.tree()
                for below in self._loop.below()
                if isinstance(below, Supervisor)
            ),
        )

    def _check(self, spec: ChildSpec) -> None:
        check_child_specs((spec,), auto_shutdown=self.spec.auto_shutdown)
        if self.spec.strategy is not Strategy.DYNAMIC:
            return
        template = self.spec.children[0]
        if any(getattr(spec, name) != getattr(template, name) for name in _SHARED):
            raise ChildSpecError(
                f"{self.path} is dynamic: make its children with "
                f"ChildSpec.named from its template; got {spec!r}"
            )

    async def _ask(self, event: Event, reply: _Reply) -> object:
        if self._loop.gone.is_set():
            await trio.lowlevel.checkpoint()
            raise AdminError(self.path, reply.child, Refusal.STOPPED)
        self._loop.replies.add(reply)
        self._loop.post(event)
        try:
            return await reply.wait()
        finally:
            self._loop.replies.discard(reply)
            if not reply.done:
                self._loop.post(Withdraw(reply.child, reply))


def supervisor_child(
    child_id: str,
    spec: SupervisorSpec,
    *,
    restart: Restart = Restart.PERMANENT,
    shutdown: float | Kill = math.inf,
    significant: bool = False,
    budget: RestartBudget | None = None,
    escalates: bool = False,
) -> ChildSpec:
    """Return the spec of a child that is a supervisor.

    Its handle, what it reports ready with, is the live `Supervisor`.  The
    arguments are those of `ChildSpec`.
    """
    return ChildSpec(
        child_id,
        functools.partial(_supervise, spec),
        restart=restart,
        kind=ChildKind.SUPERVISOR,
        shutdown=shutdown,
        significant=significant,
        budget=budget,
        escalates=escalates,
        on_gone=functools.partial(_never_began, spec),
    )


def _never_began(spec: SupervisorSpec, path: str, end: Exit | None) -> None:
    """Tell the owners of the children of a supervisor that had no life."""
    if end is not None or spec.strategy is Strategy.DYNAMIC:
        return  # that life told them
    told = (
        guarded(functools.partial(child.on_gone, f"{path}/{child.id}", None))
        for child in spec.children
        if child.on_gone is not None
    )
    errors = [error for error in told if error is not None]
    if errors:
        raise ExceptionGroup(f"the owners of the children of {path}", errors)


async def _supervise(spec: SupervisorSpec, life: Life) -> None:
    assert isinstance(life, Incarnation), "only a system starts supervisors"
    loop = SupervisorLoop(spec, life)
    await loop.run(Supervisor(spec, loop))

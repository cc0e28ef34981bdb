"""Those outside the tree: clients that send and ask, admins, and disturbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Never

import trio
from chaos import Fault, Trouble
from forest import Forest
from stage import Stage

from understudy_actors.ref import Ref
from understudy_actors.supervisor import Supervisor
from understudy_protocols.errors import (
    DeliveryError,
    EscalationError,
)
from understudy_protocols.supervision_records import AdminError, ChildState

Handle = Ref[Never, object] | Supervisor


class Visitors:
    """Everybody outside the tree in one run.

    Args:
      stage: what they act in.
      forest: makes the children that admins start.
    """

    def __init__(self, stage: Stage, forest: Forest) -> None:
        self._stage = stage
        self._random = stage.random
        self._forest = forest
        self._cuttable = list[trio.CancelScope]()
        self._known = list[Supervisor]()
        self._handles = list[Handle]()

    def start(self, nursery: trio.Nursery) -> None:
        """Send them off; all of them leave soon once the stage is quiet."""
        for number in range(self._random.choice((1, 2, 3))):
            nursery.start_soon(self._visit, f"client {number}", self._client_acts)
        for number in range(self._random.choice((0, 1, 1, 2))):
            nursery.start_soon(self._visit, f"admin {number}", self._admin_acts)
        nursery.start_soon(self._disturb)

    async def _visit(self, name: str, acts: Callable[[str], Awaitable[None]]) -> None:
        for _ in range(self._random.choice((5, 15, 40))):
            await self._stage.sleep(0.0, 0.0, 0.1, 0.4, 1.0)
            if self._stage.quiet:
                return
            with trio.CancelScope() as scope:
                if self._random.random() < 0.1:
                    scope.deadline = trio.current_time() + self._random.choice(
                        (0.0, 0.1, 1.0)
                    )
                self._cuttable.append(scope)
                await self._stage.pause()
                await acts(name)
            self._cuttable.remove(scope)

    async def _disturb(self) -> None:
        """Cancel clients, let the clock jump, resize limits."""
        stage = self._stage
        while not stage.quiet:
            await stage.sleep(0.1, 0.3, 1.0)
            if self._cuttable and stage.chaos.strikes(Fault.CLIENT_CANCELLED):
                self._random.choice(self._cuttable).cancel()
            if stage.chaos.strikes(Fault.CLOCK_JUMPS):
                stage.jump()
            if self._random.random() < 0.3:
                stage.tokens.resize()

    # Clients

    async def _client_acts(self, name: str) -> None:
        stage = self._stage
        if not stage.refs:
            return
        ref = stage.any_ref()
        strict = self._random.random() < 0.3
        try:
            match self._random.randrange(6):
                case 0:
                    stage.post.tell_nowait(name, ref, strict=strict)
                case 1 | 2:
                    await stage.post.tell(
                        name,
                        ref,
                        timeout=self._random.choice((0.0, 0.5, 5.0)),
                        deadline=trio.current_time()
                        + self._random.choice((0.2, 1000.0)),
                        strict=strict,
                        poisoned=stage.chaos.strikes(Fault.POISON),
                    )
                case _:
                    timeout = self._random.choice((0.0, 0.3, 2.0, 2.0, 20.0))
                    await stage.post.ask(name, ref, timeout)
            if stage.chaos.strikes(Fault.FLOODS):
                for _ in range(8):
                    stage.post.tell_nowait(name, ref)
        except (DeliveryError, Trouble, TimeoutError):
            pass

    # Admins

    async def _admin_acts(self, name: str) -> None:
        supervisors = self._stage.supervisors()
        self._known.extend(s for s in supervisors if s not in self._known)
        if not self._known:
            return
        # Now and then one that is no more.
        often = supervisors if self._random.random() < 0.9 else ()
        supervisor = self._random.choice(often or self._known)
        try:
            await self._administer(supervisor)
        except AdminError as error:
            self._stage.book.count("refused", error.refusal.value)
        except EscalationError as error:
            self._stage.book.count("start by hand failed", type(error).__name__)
        self._check_count(supervisor)

    async def _administer(self, supervisor: Supervisor) -> None:
        listing = supervisor.children()
        if not listing or self._random.random() < 0.3:
            await self._start_guest(supervisor)
            return
        child = self._random.choice(listing)
        match self._random.randrange(8):
            case 0:
                await supervisor.terminate(self._handle_of(child.value))
            case 1 | 7:
                await self._terminate(supervisor, child.id)
            case 2 | 3 | 4:
                stopped = [c for c in listing if c.state is ChildState.STOPPED]
                if stopped:
                    child = self._random.choice(stopped)
                await supervisor.restart_child(child.id)
            case 5:
                await supervisor.delete_child(child.id)
            case _ if self._random.random() < 0.3:
                await supervisor.stop()
            case _:
                await supervisor.terminate_child("nobody")

    async def _start_guest(self, supervisor: Supervisor) -> None:
        await supervisor.start_child(self._forest.guest(supervisor))
        self._stage.book.count("guest started")

    def _handle_of(self, value: object) -> Handle:
        """Return a handle: this child's, or one that may be another's by now."""
        known = [ref for ref in self._stage.refs if ref is value]
        self._handles.extend(known)
        if isinstance(value, Supervisor):
            self._handles.append(value)
        return self._random.choice(self._handles or self._known)

    async def _terminate(self, supervisor: Supervisor, child_id: str) -> None:
        lives = self._stage.lives
        before = lives.running(f"{supervisor.path}/{child_id}")
        await supervisor.terminate_child(child_id)
        for one in before:
            gone = one.over or one.stuck
            self._stage.book.require(gone, "S99 not gone", str(one))
        self._stage.book.count("terminated")

    def _check_count(self, supervisor: Supervisor) -> None:
        listing, count = supervisor.children(), supervisor.count()
        moving = (ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING)
        active = sum(child.state in moving for child in listing)
        agree = (len(listing), active) == (count.specs, count.active)
        self._stage.book.require(agree, "S103 the count", supervisor.path)

"""Hooks in the code under test, for the length of one run.

They let others run at points where the code may wait but mostly does not, and
note what cannot be seen from outside.  Nothing that the code decides is changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from unittest.mock import patch

from parcels import Done, Player, Work
from stage import Stage

from understudy_actors import supervisor_loop
from understudy_actors.behaviour import Actor, Answer
from understudy_actors.custody import Custody
from understudy_actors.envelope import Envelope
from understudy_actors.incarnation import Incarnation
from understudy_actors.notices import Notice
from understudy_actors.ref import Ref
from understudy_actors.router import _Router
from understudy_protocols.supervision import ExitKind


@contextlib.contextmanager
def hooked(stage: Stage) -> Generator[None]:
    """Let *stage* watch all actors there are."""
    with (
        _mailboxes(stage),
        _watches(stage),
        _routers(stage),
        _lives(stage),
        patch.object(supervisor_loop, "Supervision", stage.cores.open),
    ):
        yield


@contextlib.contextmanager
def _mailboxes(stage: Stage) -> Generator[None]:
    deliver, put_back = Player._deliver, Player.put_back
    forward = Custody[Work, Done].forward

    async def delivering(ref: Player, envelope: Envelope, timeout: float) -> None:
        passed = stage.ledger.is_passed(envelope.message, ref)
        await stage.pause()
        await deliver(ref, envelope, timeout)
        stage.ledger.admitted(envelope.message, ref, passed=passed)

    def putting_back(ref: Player, envelope: Envelope, reason: str = "stopped") -> None:
        closed, message = ref.closed, envelope.message
        put_back(ref, envelope, reason)
        if closed:
            return
        if isinstance(message, Work):
            stage.ledger.put_back(message, ref)
        elif isinstance(message, Notice):
            stage.watches.put_back(ref, message)

    async def forwarding(
        custody: Custody[Work, Done], to: tuple[Player, ...], timeout: float
    ) -> None:
        envelope = custody.in_hand
        if envelope is not None:
            stage.ledger.passes(envelope.message, *to)
        await forward(custody, to, timeout)

    with (
        patch.object(Ref, "_deliver", delivering),
        patch.object(Ref, "put_back", putting_back),
        patch.object(Custody, "forward", forwarding),
    ):
        yield


@contextlib.contextmanager
def _watches(stage: Stage) -> Generator[None]:
    notify, close = Player.notify, Player.close
    watch, unwatch = Player.watch, Player.unwatch

    def notifying(ref: Player, notice: Notice) -> None:
        stage.watches.notify(ref, notice)
        notify(ref, notice)

    def closing(ref: Player, reason: str, cause: BaseException | None = None) -> int:
        left = close(ref, reason, cause)
        stage.watches.closed(ref)
        return left

    def watching(ref: Player, other: Player, *, restarts: bool = False) -> None:
        def act() -> None:
            watch(ref, other, restarts=restarts)

        stage.watches.watch(ref, other, act, restarts)

    def unwatching(ref: Player, other: Player) -> None:
        stage.watches.unwatch(ref, other)
        unwatch(ref, other)

    with (
        patch.object(Ref, "notify", notifying),
        patch.object(Ref, "close", closing),
        patch.object(Ref, "watch", watching),
        patch.object(Ref, "unwatch", unwatching),
    ):
        yield


@contextlib.contextmanager
def _routers(stage: Stage) -> Generator[None]:
    handle = _Router[Work, Done].handle
    notified = _Router[Work, Done].notified

    async def handling(
        router: _Router[Work, Done], message: Work, actor: Actor[Work, Done]
    ) -> Done | Answer:
        act = handle(router, message, actor)
        return await stage.handled(router, message, actor, act)

    async def noting(
        router: _Router[Work, Done], notice: Notice, actor: Actor[Work, Done]
    ) -> None:
        await stage.notified(notice, actor, notified(router, notice, actor))

    with (
        patch.object(_Router, "handle", handling),
        patch.object(_Router, "notified", noting),
    ):
        yield


@contextlib.contextmanager
def _lives(stage: Stage) -> Generator[None]:
    cancel = Incarnation._cancel

    def cancelling(life: Incarnation, kind: ExitKind) -> None:
        stage.lives.cut(life)
        cancel(life, kind)

    with patch.object(Incarnation, "_cancel", cancelling):
        yield

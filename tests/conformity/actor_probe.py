"""Actors that can be told how to work and how to fail, and a log of what they did."""

from __future__ import annotations

import attrs
import trio
import trio.testing

from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.notices import Notice
from understudy_protocols.restart_policy import NO_BACKOFF
from understudy_protocols.supervision import (
    ChildSpec,
    Exit,
    Shutdown,
    SupervisorSpec,
)

SEEDS = range(10)


def supervising(*children: ChildSpec, intensity: int = 1000) -> SupervisorSpec:
    """Return a supervisor's spec; it restarts often, and without a wait."""
    return SupervisorSpec(children, intensity=intensity, backoff=NO_BACKOFF)


@attrs.frozen
class Crash:
    """Makes a `Recorder` crash, this many times."""

    times: int = 1


class Recorder(Behaviour[object, object]):
    """Notes what it handles in a log that outlives it."""

    def __init__(self, log: list[object], seconds: float = 0.0) -> None:
        self._log = log
        self._seconds = seconds

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        self._log.append(message)
        if self._seconds:
            await trio.sleep(self._seconds)
        if isinstance(message, Crash) and self._log.count(message) <= message.times:
            raise RuntimeError("crashed as told")
        return message

    async def notified(self, notice: Notice, actor: Actor[object, object]) -> None:
        self._log.append(notice)


async def until_quiet() -> None:
    """Wait until every task waits for something, without letting time pass."""
    await trio.testing.wait_all_tasks_blocked()


class Logged(Behaviour[object, object]):
    """Logs every hook; a message is how long to work, or how to fail."""

    def __init__(
        self, log: list[str], cleanup: float = 0.0, teardown: Exception | None = None
    ) -> None:
        self._log = log
        self._cleanup = cleanup
        self._teardown = teardown
        self._number = 0

    async def setup(self, actor: Actor[object, object]) -> None:
        self._number = actor.life.number
        self._log.append(f"setup {self._number}")

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        self._log.append(f"begin {self._number}: {message!r}")
        if message == "crash":
            raise KeyError(message)
        if message == "shutdown":
            raise Shutdown
        assert isinstance(message, (int, float))
        try:
            await trio.sleep(message)
        finally:
            if self._cleanup:
                with trio.CancelScope(shield=True):
                    await trio.sleep(self._cleanup)
        self._log.append(f"end {self._number}: {message!r}")
        return message

    async def teardown(self, exit: Exit) -> None:  # noqa: A002
        self._log.append(f"teardown {self._number}: {exit.kind.value}")
        if self._teardown is not None:
            raise self._teardown

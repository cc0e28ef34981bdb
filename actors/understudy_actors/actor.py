"""The way in: a behaviour becomes a child that a supervisor can start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from understudy_actors.behaviour import Behaviour, Conduct
from understudy_actors.cell import Cell
from understudy_actors.ref import Ref
from understudy_protocols.supervision import (
    ChildSpec,
    Exit,
    ExitKind,
    Kill,
    Life,
    Restart,
)

M = TypeVar("M")
R = TypeVar("R")

DEFAULT_CONDUCT = Conduct()


def actor_child(
    ref: Ref[M, R],
    behaviour: Callable[[], Behaviour[M, R]],
    *,
    conduct: Conduct = DEFAULT_CONDUCT,
    restart: Restart = Restart.PERMANENT,
    shutdown: float | Kill = 5.0,
    start_timeout: float = 30.0,
) -> ChildSpec:
    """Return the spec of an actor that reads the inbox of *ref*.

    The ref is good before the actor starts, and across its restarts.

    Args:
      ref: its address; the last part of its path is the child's id.
      behaviour: makes what it does, anew for each life; a class will do.
      conduct: how it takes errors, stops and overlong messages.
      restart: when it is started again after it ended.
      shutdown: how long it may take to stop before it is cut; seconds.
      start_timeout: how long `Behaviour.setup` may take; seconds.
    """

    async def start(life: Life) -> None:
        def last(end: Exit) -> bool:
            return is_last(end, life.stopping, spec)

        await Cell(ref, behaviour(), conduct, last, life).run()

    spec = ChildSpec(
        ref.path.rpartition("/")[2],
        start,
        restart=restart,
        shutdown=shutdown,
        start_timeout=start_timeout,
    )
    return spec


def is_last(end: Exit, asked: bool, spec: ChildSpec) -> bool:
    """Return whether no other life is to be expected after one that ended so.

    A group restart stops a life and starts another all the same; that one
    opens the inbox again.  A supervisor that gives up starts none, though a
    crash let one be expected.

    Args:
      asked: whether it was asked to stop.
    """
    if asked or spec.restart is Restart.TEMPORARY:
        return True
    if end.kind is ExitKind.KILLED:
        return spec.shutdown is Kill.AT_ONCE
    return spec.restart is Restart.TRANSIENT and not end.kind.abnormal

"""Draws a supervision tree as SVG."""

from __future__ import annotations

from typing import Final

from understudy.drawing.labels import short
from understudy.drawing.shapes import Block, Line, Look, Rect, Shape, Text
from understudy.drawing.svg import write_svg
from understudy.drawing.text_width import text_width
from understudy_protocols.supervision import ChildKind, Restart
from understudy_protocols.supervision_records import (
    ChildState,
    ChildStatus,
    TreeSnapshot,
)
from understudy_protocols.workload import Workload

_IDLE: Final = Workload()
_HEIGHT: Final = 40.0
_BETWEEN: Final = 12.0
_ACROSS: Final = 44.0
_TITLE: Final = 13.0
_SMALL: Final = 11.0


def tree_svg(snapshot: TreeSnapshot) -> str:
    """Return a picture of a supervision tree as an SVG document.

    The root stands at the left.  Supervisors are framed boxes, workers round
    ones; below each name is its state, its strategy or limit, and how often it
    was restarted.
    """
    name = _last(snapshot.path) or "root"
    root = _branch(name, snapshot.strategy.value, "child", snapshot)
    return write_svg(root, f"Supervision tree of {snapshot.path or 'root'}")


def _branch(name: str, facts: str, look: Look, below: TreeSnapshot | None) -> Block:
    """Return a box with all that is below it at its right; its way in is unused."""
    sign = _sign(name, facts, look)
    children = (
        [] if below is None else [_child(below, child) for child in below.children]
    )
    if not children:
        return sign
    left = sign.width + _ACROSS
    width = left + max(child.width for child in children)
    parts: list[tuple[float, float, Block]] = []
    middles: list[float] = []
    y = 0.0
    for child in children:
        parts.append((left, y, child))
        middles.append(y + child.axis)
        y += child.height + _BETWEEN
    height = y - _BETWEEN
    middle = (middles[0] + middles[-1]) / 2
    turn = sign.width + _ACROSS / 2
    lines: list[Shape] = [
        Line(((sign.width, middle), (turn, middle), (turn, at), (left, at)))
        if at != middle
        else Line(((sign.width, at), (left, at)))
        for at in middles
    ]
    parts.append((0.0, middle - _HEIGHT / 2, sign))
    return Block(width, height, middle, tuple(lines), tuple(parts))


def _child(parent: TreeSnapshot, child: ChildStatus) -> Block:
    below = next((s for s in parent.below if s.path == child.path), None)
    supervisor = child.kind is ChildKind.SUPERVISOR
    return _branch(
        child.id, _facts(child, below), _look(child.state, supervisor=supervisor), below
    )


def _facts(child: ChildStatus, below: TreeSnapshot | None) -> str:
    work = child.workload or _IDLE
    facts = ["down" if work.down else child.state.value]
    if below is not None:
        facts.append(below.strategy.value)
    if work.limit is not None:
        facts.append(f"x{work.limit}")
    restarts = max(0, child.incarnation - 1) + work.replaced
    if restarts:
        facts.append(f"restarted x{restarts}")
    if child.restart is Restart.TEMPORARY:
        facts.append(child.restart.value)
    return " · ".join(facts)


def _look(state: ChildState, *, supervisor: bool) -> Look:
    if state is ChildState.RESTARTING:
        return "pause"
    if state is not ChildState.RUNNING:
        return "group"
    return "child" if supervisor else "step"


def _sign(name: str, facts: str, look: Look) -> Block:
    """Return a box whose `axis` is the height of its middle."""
    title = short(name)
    inner = max(text_width(title, _TITLE, bold=True), text_width(facts, _SMALL))
    width = inner + 28
    shapes: list[Shape] = [
        Rect(0, 0, width, _HEIGHT, look, radius=6 if look == "child" else 20, tip=name),
        Text(width / 2, 17, title, _TITLE, bold=True),
        Text(width / 2, 32, facts, _SMALL, faint=True),
    ]
    return Block(width, _HEIGHT, _HEIGHT / 2, tuple(shapes))


def _last(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]

"""A supervision tree in words: what a person wants to know of each of its lines."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import attrs

from understudy.drawing.text_width import shortened
from understudy_protocols.supervision_records import (
    ChildState,
    ChildStatus,
    TreeSnapshot,
)
from understudy_protocols.workload import Workload

LONGEST_NAME = 40
"""Characters of a name; of a longer one the end is shown, which tells it apart."""

LONGEST_CAUSE = 200
"""Characters of an exception's text."""

_IDLE = Workload()


class Tone(IntEnum):
    """How much a line asks to be looked at."""

    QUIET = 0
    BUSY = 1
    UNEASY = 2
    BAD = 3


@attrs.frozen
class Branch:
    """One line of a tree, and those below it.

    Args:
      name: the last part of the path.
      supervision: a supervisor's strategy and budget; else when it is restarted.
      state: what it is now.
      tone: how much of that is trouble.
      restarts: how often it, or a worker of it, was replaced; a count.
      in_hand: the messages in hand, and how many there may be; empty if it has
        nothing to do with messages.
      queued: messages that wait; a count.
      cause: what broke it last, as one line; empty if nothing did.
      below: its children, in start order.
    """

    name: str
    supervision: str = ""
    state: str = ""
    tone: Tone = Tone.QUIET
    restarts: int = 0
    in_hand: str = ""
    queued: int = 0
    cause: str = ""
    below: tuple[Branch, ...] = ()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Branch]]:
        """Yield this branch and all below it, each with its depth."""
        yield depth, self
        for branch in self.below:
            yield from branch.walk(depth + 1)

    @property
    def lines(self) -> int:
        """How many lines it takes, without those below it; a count."""
        return 2 if self.cause else 1


def branch_of(snapshot: TreeSnapshot, now: float) -> Branch:
    """Return the root of a tree, and all below it.

    Args:
      now: when the snapshot was taken, on the system's clock; seconds.
    """
    return Branch(
        _name(snapshot.path),
        supervision=_supervision(snapshot),
        below=_below(snapshot, now),
    )


def _below(snapshot: TreeSnapshot, now: float) -> tuple[Branch, ...]:
    supervisors = {below.path: below for below in snapshot.below}
    return tuple(
        _branch(child, supervisors.get(child.path), now) for child in snapshot.children
    )


def _branch(child: ChildStatus, below: TreeSnapshot | None, now: float) -> Branch:
    work = child.workload or _IDLE
    state, tone = _state(child, work, now)
    return Branch(
        _name(child.path),
        child.restart.value if below is None else _supervision(below),
        state,
        tone,
        max(0, child.incarnation - 1) + work.replaced,
        "" if child.workload is None else _in_hand(work),
        work.queued,
        "" if work.cause is None else told(work.cause),
        () if below is None else _below(below, now),
    )


def _state(child: ChildStatus, work: Workload, now: float) -> tuple[str, Tone]:
    due = work.due if child.due is None else child.due
    if work.down:
        return "down", Tone.BAD
    if due is not None:
        return f"backing off, {max(0.0, due - now):.1f} s", Tone.UNEASY
    if work.stuck:
        return f"{work.stuck} stuck", Tone.BAD
    if child.state is not ChildState.RUNNING:
        return child.state.value, Tone.UNEASY
    busy = bool(work.in_hand or work.queued)
    return child.state.value, Tone.BUSY if busy else Tone.QUIET


def _supervision(snapshot: TreeSnapshot) -> str:
    budget = f"{snapshot.intensity} in {snapshot.period:g} s"
    return f"{snapshot.strategy.value}, {budget}"


def _in_hand(work: Workload) -> str:
    return (
        f"{work.in_hand}" if work.limit is None else f"{work.in_hand} of {work.limit}"
    )


def _name(path: str) -> str:
    name = path.rpartition("/")[2]
    line = shortened(name, len(name) or 1)
    return line if len(line) <= LONGEST_NAME else "…" + line[1 - LONGEST_NAME :]


def told(error: BaseException) -> str:
    """Return an exception as one line."""
    kind, text = type(error).__name__, str(error)
    return shortened(f"{kind}: {text}" if text else kind, LONGEST_CAUSE)


def trimmed(root: Branch, lines: int) -> tuple[Branch, int]:
    """Return the tree without the lines that matter least, and how many those are.

    Args:
      lines: how many there is room for, with one that says how many are left out.
    """
    excess = sum(branch.lines for _, branch in root.walk()) - lines
    if excess <= 0:
        return root, 0
    leaves = [branch for _, branch in root.walk() if not branch.below]
    # Those that stand first are kept; a sort keeps the order of equals.
    leaves.reverse()
    left_out = set[int]()
    for leaf in sorted(leaves, key=lambda leaf: leaf.tone):
        if excess < 0:
            break
        left_out.add(id(leaf))
        excess -= leaf.lines
    return _without(root, left_out), len(left_out)


def _without(branch: Branch, left_out: set[int]) -> Branch:
    kept = [_without(one, left_out) for one in branch.below if id(one) not in left_out]
    return attrs.evolve(branch, below=tuple(kept))

"""A supervision tree on a terminal, or as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TextIO

import attrs
from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from understudy.cli.branches import Branch, Tone, branch_of, trimmed
from understudy_protocols.supervision_records import TreeSnapshot


@attrs.frozen
class Column:
    """What stands beside the names.

    Args:
      title: its head.
      cell: what it says of a line.
      least: how wide it is at least; characters.
      toned: whether it is the one that shows trouble by its colour.
    """

    title: str
    cell: Callable[[Branch], str]
    least: int = 0
    toned: bool = False

    def width(self, root: Branch) -> int:
        """Return how wide it is for a whole tree; characters."""
        return max(
            self.least,
            cell_len(self.title),
            *(cell_len(self.cell(branch)) for _, branch in root.walk()),
        )


_STATE = Column("state", lambda branch: branch.state, toned=True)
_IN_HAND = Column("in hand", lambda branch: branch.in_hand)

AT_REST = (
    Column("supervision", lambda branch: branch.supervision),
    _STATE,
    _IN_HAND,
)
"""What there is to know before anything has run."""

AT_WORK = (
    # Of one width, so that what stands behind it does not jump.
    attrs.evolve(_STATE, least=len("backing off, 10.0 s")),
    Column("restarts", lambda branch: f"{branch.restarts or '':>8}"),
    _IN_HAND,
    Column("queued", lambda branch: f"{branch.queued or '':>6}"),
)
"""What changes while runs are under way."""

_STYLES = {
    Tone.QUIET: "",
    Tone.BUSY: "green",
    Tone.UNEASY: "yellow",
    Tone.BAD: "bold red",
}

_INDENT = 4
_GAP = 2
_LEAST_NAME = 20
_UNLIMITED = 100_000


def tree_view(
    snapshot: TreeSnapshot,
    now: float,
    columns: tuple[Column, ...],
    *,
    width: int = _UNLIMITED,
    height: int = _UNLIMITED,
) -> RenderableType:
    """Return a tree for rich to show.

    Args:
      now: when the snapshot was taken, on the system's clock; seconds.
      columns: what stands beside the names.
      width, height: the room there is; characters, lines.
    """
    whole = branch_of(snapshot, now)
    # Measured before anything is left out, so that the columns stand still.
    widths = [column.width(whole) for column in columns]
    room = width - sum(widths) - _GAP * len(widths)
    wanted = max(
        _INDENT * depth + cell_len(branch.name) for depth, branch in whole.walk()
    )
    names = max(_LEAST_NAME, min(wanted, room))
    root, left_out = trimmed(whole, height - 1)
    sized = tuple(zip(columns, widths, strict=True))
    titles = [(column.title, width, "dim") for column, width in sized]
    parts: list[RenderableType] = [
        _line([("", names, ""), *titles]),
        _grown(root, names, sized),
    ]
    if left_out:
        parts.append(Text(f"… and {left_out} more", style="dim"))
    return Group(*parts)


def tree_text(
    snapshot: TreeSnapshot, now: float, columns: tuple[Column, ...], file: TextIO
) -> str:
    """Return a tree as it is to be written to *file*.

    For a terminal it has colours and fits in; else it is plain, and whole.
    """
    console = Console(file=file)
    if not console.is_terminal:
        console.width = _UNLIMITED
    with console.capture() as captured:
        console.print(tree_view(snapshot, now, columns, width=console.width))
    return captured.get()


def _grown(branch: Branch, room: int, columns: tuple[tuple[Column, int], ...]) -> Tree:
    tone = _STYLES[branch.tone]
    label = _line(
        [
            (branch.name, room, "" if branch.in_hand else "dim"),
            *(
                (column.cell(branch), width, tone if column.toned else "")
                for column, width in columns
            ),
        ]
    )
    if branch.cause:
        past = branch.tone < Tone.UNEASY
        label.append(f"\n{branch.cause}", "dim" if past else "red")
    tree = Tree(label, guide_style="dim")
    below = max(_INDENT, room - _INDENT)
    tree.children = [_grown(one, below, columns) for one in branch.below]
    return tree


def _line(cells: Iterable[tuple[str, int, str]]) -> Text:
    """Return texts side by side, each with its width and style."""
    line = Text(no_wrap=True, overflow="ellipsis")
    for text, width, style in cells:
        if cell_len(text) > width:
            text = set_cell_size(text, width - 1) + "…"
        line.append(set_cell_size(text, width), style)
        line.append(" " * _GAP)
    line.rstrip()
    return line

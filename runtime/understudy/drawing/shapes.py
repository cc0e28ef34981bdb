"""What a picture is made of, and how parts of it are put together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

Look = Literal[
    "step",
    "router",
    "pause",
    "parallel",
    "each",
    "cascade",
    "repeat",
    "child",
    "group",
    "bar",
    "terminal",
    "pill",
    "choice",
]
"""What a shape stands for; decides its colours."""


@attrs.frozen
class Rect:
    """A rectangle; *tip* is shown where the pointer rests on it."""

    x: float
    y: float
    width: float
    height: float
    look: Look
    radius: float = 6.0
    tip: str = ""
    part: Literal["body", "band", "edge", "solid"] = "body"


@attrs.frozen
class Polygon:
    """A closed line through points."""

    points: tuple[tuple[float, float], ...]
    look: Look
    tip: str = ""


@attrs.frozen
class Line:
    """A way from point to point, with round corners and perhaps an arrow's head."""

    points: tuple[tuple[float, float], ...]
    arrow: bool = False
    dashed: bool = False


@attrs.frozen
class Text:
    """One line of text; *y* is that of its foot."""

    x: float
    y: float
    text: str
    size: float
    anchor: Literal["start", "middle", "end"] = "middle"
    bold: bool = False
    faint: bool = False


Shape: TypeAlias = Rect | Polygon | Line | Text


@attrs.frozen
class Block:
    """A part of a picture, entered at its top and left at its bottom.

    Args:
      width: of the room that it takes.
      height: of that room; the way in is at 0, the way out here.
      axis: where both are, from the left.
      shapes: its own, from its left upper corner; the first is drawn first.
      parts: what is inside it, each with its place.
    """

    width: float
    height: float
    axis: float
    shapes: tuple[Shape, ...]
    parts: tuple[tuple[float, float, Block], ...] = ()

    def walk(
        self, x: float = 0.0, y: float = 0.0
    ) -> Iterator[tuple[float, float, Shape]]:
        """Yield all shapes, each with the corner that it is measured from."""
        stack: list[tuple[float, float, Block]] = [(x, y, self)]
        while stack:
            left, top, block = stack.pop()
            for shape in block.shapes:
                yield left, top, shape
            stack.extend(
                (left + dx, top + dy, part) for dx, dy, part in reversed(block.parts)
            )

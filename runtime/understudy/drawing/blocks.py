"""How parts of a picture are built: boxes, frames, columns, forks and loops.

A workflow is made of parts with one way in and one way out, so each part is
laid out by itself, as a `Block`, and put into the next larger one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from understudy.drawing.shapes import Block, Line, Look, Polygon, Rect, Shape, Text
from understudy.drawing.text_width import text_width

TITLE: Final = 13.0
SMALL: Final = 11.0
GAP: Final = 28.0
"""Between one part and the next; room for an arrow."""
PAD: Final = 16.0
HEAD: Final = 25.0
_PILL: Final = 18.0
_BAR: Final = 5.0
_DIAMOND: Final = 8.0

Branch = tuple[str, Block]
"""A block, and the words on the way to it; none if empty."""


def box(title: str, facts: str, look: Look, tip: str, *, icon: bool = False) -> Block:
    """Return a box with a title and a line of facts."""
    inset = 14.0
    mark = 16.0 if icon else 0.0
    inner = max(text_width(title, TITLE, bold=True) + mark, text_width(facts, SMALL))
    width, height = max(92.0, inner + 2 * inset), 46.0 if facts else 34.0
    middle = width / 2
    shapes: list[Shape] = [
        Rect(0, 0, width, height, look, radius=17.0 if icon else 6.0, tip=tip),
        Text(middle + mark / 2, 20 if facts else 22, title, TITLE, bold=True),
    ]
    if facts:
        shapes.append(Text(middle, 37, facts, SMALL, faint=True))
    if icon:
        left = middle + mark / 2 - text_width(title, TITLE, bold=True) / 2 - 12
        top = 10.0 if facts else 12.0
        shapes += [
            Rect(left + step, top, 3, 10, look, radius=1, part="solid")
            for step in (0.0, 5.0)
        ]
    return Block(width, height, middle, tuple(shapes))


def hexagon(title: str, facts: str, look: Look, tip: str) -> Block:
    """Return the sign of a decision."""
    point = 16.0
    inner = max(text_width(title, TITLE, bold=True), text_width(facts, SMALL))
    width, height = max(92.0, inner + 2 * point + 8), 46.0 if facts else 34.0
    corners = (
        (point, 0.0),
        (width - point, 0.0),
        (width, height / 2),
        (width - point, height),
        (point, height),
        (0.0, height / 2),
    )
    shapes: list[Shape] = [
        Polygon(corners, look, tip),
        Text(width / 2, 20 if facts else 22, title, TITLE, bold=True),
    ]
    if facts:
        shapes.append(Text(width / 2, 37, facts, SMALL, faint=True))
    return Block(width, height, width / 2, tuple(shapes))


def dot(caption: str, *, ring: bool) -> Block:
    """Return where a workflow begins, or, as a *ring*, where it ends."""
    shapes: list[Shape] = [Rect(0, 0, 14, 14, "terminal", radius=7)]
    if ring:
        shapes = [
            Rect(0, 0, 14, 14, "terminal", radius=7, part="edge"),
            Rect(3.5, 3.5, 7, 7, "terminal", radius=3.5),
        ]
    if caption:
        shapes.append(Text(22, 11, caption, SMALL, anchor="start", faint=True))
    return Block(22 + text_width(caption, SMALL), 14, 7, tuple(shapes))


def column(blocks: Sequence[Block]) -> Block:
    """Return blocks one below the other, with arrows between."""
    axis = max(block.axis for block in blocks)
    right = max(block.width - block.axis for block in blocks)
    parts: list[tuple[float, float, Block]] = []
    arrows: list[Shape] = []
    y = 0.0
    for block in blocks:
        if parts:
            arrows.append(Line(((axis, y), (axis, y + GAP)), arrow=True))
            y += GAP
        parts.append((axis - block.axis, y, block))
        y += block.height
    return Block(axis + right, y, axis, tuple(arrows), tuple(parts))


def frame(
    title: str,
    badge: str,
    body: Block,
    look: Look,
    tip: str,
    *,
    sheets: int = 0,
    double: bool = False,
    arrow: bool = True,
) -> Block:
    """Return *body* in a frame with a head line.

    Args:
      badge: words at the right end of the head line.
      sheets: frames that show behind it, as in a pile of paper.
      double: whether its edge is a double line.
      arrow: whether the way in ends with an arrow's head at the body.
    """
    lap = 5.0
    head = text_width(title, SMALL, bold=True) + PAD
    head += text_width(badge, SMALL) + PAD if badge else 0.0
    # The body's axis need not be its middle; the frame is no wider for that.
    width = max(body.width + 2 * PAD, head + 8)
    left = (width - body.width) / 2
    axis, top = left + body.axis, HEAD + 20
    height = top + body.height + PAD
    shapes: list[Shape] = [
        Rect(lap * n, lap * n, width, height, look) for n in range(sheets, -1, -1)
    ]
    shapes[-1] = Rect(0, 0, width, height, look, tip=tip)
    shapes += [
        Rect(0, 0, width, HEAD, look, part="band"),
        Text(10, 17, title, SMALL, anchor="start", bold=True),
        Line(((axis, HEAD), (axis, top)), arrow=arrow),
        Line(((axis, top + body.height), (axis, height + lap * sheets))),
    ]
    if double:
        shapes.append(
            Rect(-3.5, -3.5, width + 7, height + 7, look, radius=9, part="edge")
        )
    if badge:
        shapes.append(Text(width - 10, 17, badge, SMALL, anchor="end"))
    extra = lap * sheets
    return Block(
        width + extra, height + extra, axis, tuple(shapes), ((left, top, body),)
    )


def fork(branches: Sequence[Branch], title: str, foot: str) -> Block:
    """Return branches side by side between two bars.

    Args:
      title: words beside the upper bar.
      foot: words beside the lower one.
    """
    top = _BAR + (GAP + _PILL if _labelled(branches) else GAP - 4)
    places, axes, width, bottom = _side_by_side(branches, top)
    axis = _middle(axes)
    left, right = min(axes[0], axis - 20) - 14, max(axes[-1], axis + 20) + 14
    shift = max(0.0, -left)
    low = bottom + 18
    words = max(text_width(title, SMALL), text_width(foot, SMALL)) + 8
    shapes: list[Shape] = [
        Rect(left, y, right - left, _BAR, "bar", radius=2) for y in (0.0, low)
    ]
    shapes += [
        Text(right + 8, 8, title, SMALL, anchor="start", faint=True),
        Text(right + 8, low + 8, foot, SMALL, anchor="start", faint=True),
    ]
    for x, (label, block) in zip(axes, branches, strict=True):
        shapes.append(Line(((x, _BAR), (x, top)), arrow=True))
        shapes.append(Line(((x, top + block.height), (x, low))))
        shapes += _pill(x, _BAR + 8 + _PILL / 2, label)
    inner = Block(0, 0, 0, tuple(shapes), places)
    return Block(
        max(width, right + words) + shift,
        low + _BAR,
        axis + shift,
        (),
        ((shift, 0.0, inner),),
    )


def choice(sign: Block, branches: Sequence[Branch]) -> Block:
    """Return branches side by side below the sign that decides among them."""
    turn = sign.height + 14
    top = turn + 8 + _PILL + 18
    places, axes, width, bottom = _side_by_side(branches, top)
    axis = _middle(axes)
    shift = max(0.0, sign.axis - axis)
    meet = bottom + 16
    shapes: list[Shape] = []
    for x, (label, block) in zip(axes, branches, strict=True):
        down = ((axis, sign.height), (axis, turn), (x, turn), (x, top))
        up = ((x, top + block.height), (x, meet), (axis, meet))
        shapes.append(Line(down if x != axis else (down[0], down[3]), arrow=True))
        shapes.append(Line(up if x != axis else (up[0], up[2])))
        shapes += _pill(x, turn + 8 + _PILL / 2, label)
    shapes.append(Line(((axis, meet), (axis, meet + 12))))
    inner = Block(0, 0, 0, tuple(shapes), (*places, (axis - sign.axis, 0.0, sign)))
    right = max(width, axis + sign.width - sign.axis)
    return Block(right + shift, meet + 12, axis + shift, (), ((shift, 0.0, inner),))


def ladder(tiers: Sequence[Block], accepted: str, refused: str) -> Block:
    """Return tiers one below the other, with a way out after each.

    Args:
      accepted: words on the way out.
      refused: words on the way to the next tier.
    """
    axis = max(max(tier.axis for tier in tiers), text_width(refused, SMALL) / 2 + 8)
    words = _DIAMOND + 10 + text_width(accepted, SMALL) + 10
    right = max(max(tier.width - tier.axis for tier in tiers) + 18, words)
    shapes: list[Shape] = []
    parts: list[tuple[float, float, Block]] = []
    outs: list[float] = []
    y = 0.0
    for tier in tiers:
        if parts:
            at = y + 12 + _DIAMOND
            outs.append(at)
            shapes += [
                Line(((axis, y), (axis, at - _DIAMOND))),
                _diamond(axis, at),
                Text(axis + _DIAMOND + 8, at - 5, accepted, SMALL, "start", faint=True),
            ]
            y = at + _DIAMOND + 12 + _PILL + 16
            shapes.append(Line(((axis, at + _DIAMOND), (axis, y)), arrow=True))
            shapes += _pill(axis, at + _DIAMOND + 10 + _PILL / 2, refused)
        parts.append((axis - tier.axis, y, tier))
        y += tier.height
    end = y + 20
    rail = axis + right
    shapes.append(Line(((axis, y), (axis, end))))
    shapes += [
        Line(((axis + _DIAMOND, at), (rail, at), (rail, end - 10), (axis, end - 10)))
        for at in outs
    ]
    return Block(rail, end, axis, tuple(shapes), tuple(parts))


def loop(body: Block, again: str) -> Block:
    """Return *body* with a way back from its end to its beginning.

    Args:
      again: words on that way.
    """
    pill = text_width(again, SMALL) + 16
    left = pill + 10
    axis, top = left + body.axis, 28.0
    rail = left - 10 - pill / 2
    at = top + body.height + 12 + _DIAMOND
    end = at + _DIAMOND + 6
    shapes: list[Shape] = [
        Line(((axis, 0), (axis, top)), arrow=True),
        Line(((axis, at - _DIAMOND - 12), (axis, at - _DIAMOND))),
        _diamond(axis, at),
        Line(((axis - _DIAMOND, at), (rail, at), (rail, 9), (axis - 1, 9)), True, True),
        Line(((axis, at + _DIAMOND), (axis, end))),
        *_pill(rail, (at + 9) / 2, again),
    ]
    return Block(left + body.width, end, axis, tuple(shapes), ((left, top, body),))


def _labelled(branches: Sequence[Branch]) -> bool:
    return any(label for label, _ in branches)


def _side_by_side(
    branches: Sequence[Branch], top: float
) -> tuple[tuple[tuple[float, float, Block], ...], list[float], float, float]:
    """Return where blocks go, their axes, the width of all, and the lowest end."""
    places: list[tuple[float, float, Block]] = []
    axes: list[float] = []
    x = bottom = 0.0
    for label, block in branches:
        half = (text_width(label, SMALL) + 16) / 2 if label else 0.0
        left, right = max(block.axis, half), max(block.width - block.axis, half)
        axes.append(x + left)
        places.append((x + left - block.axis, top, block))
        x += left + right + 22
        bottom = max(bottom, top + block.height)
    return tuple(places), axes, x - 22, bottom


def _middle(axes: list[float]) -> float:
    """Return where the way in goes: straight on, if there is a middle branch."""
    half = len(axes) // 2
    return axes[half] if len(axes) % 2 else (axes[0] + axes[-1]) / 2


def _pill(x: float, y: float, label: str) -> list[Shape]:
    if not label:
        return []
    width = text_width(label, SMALL) + 14
    return [
        Rect(x - width / 2, y - _PILL / 2, width, _PILL, "pill", radius=_PILL / 2),
        Text(x, y + 4, label, SMALL),
    ]


def _diamond(x: float, y: float) -> Polygon:
    half = _DIAMOND
    return Polygon(
        ((x, y - half), (x + half, y), (x, y + half), (x - half, y)), "choice"
    )

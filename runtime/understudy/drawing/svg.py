"""Writes shapes as SVG that reads well on a light and on a dark screen."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final, assert_never

from understudy.drawing.shapes import Block, Line, Polygon, Rect, Shape, Text

MARGIN: Final = 20.0
_CORNER: Final = 7.0

_ARROW_HEAD: Final = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" '
    'markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" '
    'orient="auto"><path class="head" d="M0 0.6 L8 4 L0 7.4 Z"/></marker></defs>'
)

# For each look: fill and stroke on a light screen, then on a dark one.
_COLOURS: Final = {
    "step": ("#eef3fb", "#5b7fb9", "#1b2a41", "#7ea2dd"),
    "router": ("#fff3d6", "#c28a10", "#3a2d0d", "#e0b04a"),
    "pause": ("#fde8ee", "#c2476f", "#3b1722", "#e88aa7"),
    "parallel": ("#f6f1fc", "#8a63c4", "#261c36", "#b697e6"),
    "each": ("#eaf7ee", "#3d9a5f", "#14301f", "#6cc48c"),
    "cascade": ("#fdf0e6", "#cc7331", "#36220f", "#e8a06a"),
    "repeat": ("#e6f6f7", "#2a94a0", "#0f2d31", "#62c3cd"),
    "child": ("#f3f4f6", "#6b7280", "#20252d", "#9aa4b2"),
    "group": ("#f9fafb", "#b6bec9", "#161b22", "#4b5563"),
    "bar": ("#8a63c4", "#8a63c4", "#b697e6", "#b697e6"),
    "terminal": ("#5f6b7a", "#5f6b7a", "#a9b4c2", "#a9b4c2"),
    "pill": ("#ffffff", "#c6ccd6", "#0d1117", "#3d4653"),
    "choice": ("#ffffff", "#5f6b7a", "#0d1117", "#a9b4c2"),
}


def write_svg(block: Block, title: str) -> str:
    """Return *block* as a whole SVG document.

    Args:
      title: what the picture shows, for those who cannot see it.
    """
    width, height = block.width + 2 * MARGIN, block.height + 2 * MARGIN
    placed = list(block.walk(MARGIN, MARGIN))
    # Lines lie below boxes, so that no arrow crosses a word.
    below = [_shape(x, y, s) for x, y, s in placed if isinstance(s, Rect | Polygon)]
    lines = [_shape(x, y, s) for x, y, s in placed if isinstance(s, Line)]
    texts = [_shape(x, y, s) for x, y, s in placed if isinstance(s, Text)]
    pills = [part for part in below if 'class="pill' in part]
    boxes = [part for part in below if 'class="pill' not in part]
    size = f'width="{_n(width)}" height="{_n(height)}"'
    begin = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
        f'viewBox="0 0 {_n(width)} {_n(height)}" role="img">'
    )
    return "\n".join(
        [
            begin,
            f"<title>{_escaped(title)}</title>",
            f"<style>{_style()}</style>",
            _ARROW_HEAD,
            f'<rect class="card" {size} rx="10"/>',
            *boxes,
            *lines,
            *pills,
            *texts,
            "</svg>\n",
        ]
    )


def _shape(x: float, y: float, shape: Shape) -> str:
    match shape:
        case Rect():
            return _tipped(
                "rect",
                f'class="{shape.look} {shape.part}" x="{_n(x + shape.x)}" '
                f'y="{_n(y + shape.y)}" width="{_n(shape.width)}" '
                f'height="{_n(shape.height)}" rx="{_n(shape.radius)}"',
                shape.tip,
            )
        case Polygon():
            points = " ".join(f"{_n(x + px)},{_n(y + py)}" for px, py in shape.points)
            return _tipped(
                "polygon", f'class="{shape.look} body" points="{points}"', shape.tip
            )
        case Line():
            looks = "line dashed" if shape.dashed else "line"
            head = ' marker-end="url(#head)"' if shape.arrow else ""
            points_ = [(x + px, y + py) for px, py in shape.points]
            return f'<path class="{looks}" d="{_rounded(points_)}"{head}/>'
        case Text():
            looks = " ".join(["text", *["bold"] * shape.bold, *["faint"] * shape.faint])
            return (
                f'<text class="{looks}" x="{_n(x + shape.x)}" y="{_n(y + shape.y)}" '
                f'font-size="{_n(shape.size)}" text-anchor="{shape.anchor}">'
                f"{_escaped(shape.text)}</text>"
            )
        case _:
            assert_never(shape)


def _tipped(tag: str, attributes: str, tip: str) -> str:
    if not tip:
        return f"<{tag} {attributes}/>"
    return f"<{tag} {attributes}><title>{_escaped(tip)}</title></{tag}>"


def _rounded(points: list[tuple[float, float]]) -> str:
    """Return a path through *points* whose corners are rounded."""
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        into, out = _towards(corner, before), _towards(corner, after)
        parts.append(
            f"L{_n(into[0])} {_n(into[1])} "
            f"Q{_n(corner[0])} {_n(corner[1])} {_n(out[0])} {_n(out[1])}"
        )
    parts.append(f"L{_n(points[-1][0])} {_n(points[-1][1])}")
    return " ".join(parts)


def _towards(
    corner: tuple[float, float], other: tuple[float, float]
) -> tuple[float, float]:
    """Return the point a little away from *corner*; lines go along the axes."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = abs(dx) + abs(dy)
    step = min(_CORNER, length / 2)
    if not length:
        return corner
    return corner[0] + dx / length * step, corner[1] + dy / length * step


def _style() -> str:
    light = _theme(0, card="#ffffff", ink="#1f2733", faint="#5f6b7a", line="#5f6b7a")
    dark = _theme(2, card="#0d1117", ink="#e6ebf2", faint="#a9b4c2", line="#8b97a6")
    fixed = (
        ".text{font-family:'Segoe UI',Roboto,Helvetica,Arial,'DejaVu Sans',sans-serif}"
        ".bold{font-weight:600}"
        ".body{stroke-width:1.3}.edge{fill:none}.bar{stroke-width:0}"
        ".band{stroke-width:0}.line{fill:none;stroke-width:1.4}"
        ".dashed{stroke-dasharray:4 3}"
    )
    return f"{fixed}{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _theme(first: int, *, card: str, ink: str, faint: str, line: str) -> str:
    looks: Iterable[str] = (
        f".{look}{{fill:{colours[first]};stroke:{colours[first + 1]}}}"
        for look, colours in _COLOURS.items()
    )
    bands = (
        f".{look}.band{{fill:{colours[first + 1]};fill-opacity:.2}}"
        for look, colours in _COLOURS.items()
    )
    solids = (
        f".{look}.solid{{fill:{colours[first + 1]}}}"
        for look, colours in _COLOURS.items()
        if look == "pause"
    )
    return (
        f".card{{fill:{card}}}{''.join(looks)}{''.join(bands)}{''.join(solids)}"
        f".edge{{fill:none}}.text{{fill:{ink}}}.faint{{fill:{faint}}}"
        f".line{{stroke:{line}}}.head{{fill:{line}}}"
    )


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _escaped(text: str) -> str:
    """Return *text* for XML, which has no control characters at all."""
    return escape("".join(c if c.isprintable() else " " for c in text))

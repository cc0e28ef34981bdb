"""Pictures: all is on them, nothing overflows, nothing breaks the text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Never

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from understudy import (
    Context,
    Runtime,
    cascade,
    child,
    each,
    parallel,
    pause,
    quorum,
    repeat,
    route,
    sequence,
    step,
)
from understudy.drawing.mermaid import workflow_mermaid
from understudy.drawing.shapes import Polygon, Rect, Text
from understudy.drawing.text_width import shortened, text_width
from understudy.drawing.tree import tree_svg
from understudy.drawing.workflow import workflow_block, workflow_svg
from understudy.workflows.nodes import AnyWorkflow, Workflow


@step
async def work(context: Context[str]) -> str:
    return context.input


@step(timeout=90.0, max_concurrent=8)
async def limited(context: Context[str]) -> str:
    return context.input


def good(value: object) -> bool:
    return bool(value)


def by_size(context: Context[str]) -> str:
    return "small" if len(context.input) < 10 else "large"


def named(name: str) -> Workflow[str, str, object]:
    return work.named(name)


EVERYTHING = sequence(
    limited,
    each(named("item"), over=lambda c: [c], max_concurrent=7, name="fan"),
    parallel(named("left"), right=named("other"), join=quorum(2), max_concurrent=3),
    route(by_size, small=named("few"), large=named("many")),
    cascade(named("cheap"), named("better"), named("best"), accept=good),
    repeat(named("draft"), until=good, max_rounds=4),
    child(sequence(named("deep"), named("deeper"), name="inside")),
    pause("sign_off", output=str, timeout=7200.0, default="yes"),
    name="everything",
)

WORDS = (
    "limited",
    "90 s",
    "x8",
    "fan: each item",
    "x7",
    "right",
    "quorum: 2 of 2",
    "x3",
    "by_size",
    "small",
    "large",
    "accepted",
    "accept good",
    "until good",
    "again, ≤ 4",
    "workflow inside",
    "deeper",
    "sign_off",
    "2 h",
    "then the default",
)

names = st.text(min_size=1, max_size=60).filter(
    lambda name: "/" not in name and "#" not in name
)
trees: st.SearchStrategy[AnyWorkflow] = st.recursive(
    st.one_of(names.map(named), names.map(lambda name: pause(name, output=str))),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda nodes: sequence(*nodes)),
        st.tuples(inner, names).map(lambda t: sequence(t[0], name=t[1])),
        st.dictionaries(names, inner, min_size=1, max_size=4).map(
            lambda branches: parallel(**branches)
        ),
        st.dictionaries(
            names.filter(lambda name: name != "name"), inner, min_size=1, max_size=4
        ).map(lambda branches: route(by_size, **branches)),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda nodes: cascade(*nodes, accept=good)
        ),
        inner.map(lambda body: repeat(body, until=good, max_rounds=2)),
        inner.map(lambda body: each(body, over="x")),
        inner.map(child),
    ),
    max_leaves=12,
)


def rendered(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def test_everything_that_is_declared_is_on_the_picture() -> None:
    shown = " ".join(rendered(workflow_svg(EVERYTHING)).itertext())

    assert [word for word in WORDS if word not in shown] == []


def test_everything_that_is_declared_is_in_the_mermaid_text() -> None:
    text = workflow_mermaid(EVERYTHING)

    assert text.startswith("flowchart TD\n")
    assert [word for word in WORDS if word not in text] == []
    opened = text.count("subgraph ")
    assert opened == len(re.findall(r"^ *end$", text, re.MULTILINE)) == 4


@given(tree=trees)
def test_all_of_a_picture_is_inside_it_and_no_text_overflows_its_box(
    tree: AnyWorkflow,
) -> None:
    block = workflow_block(tree)
    placed = list(block.walk())
    boxes = [
        (x + s.x, y + s.y, x + s.x + s.width, y + s.y + s.height)
        for x, y, s in placed
        if isinstance(s, Rect)
    ] + [
        (
            x + min(p[0] for p in s.points),
            y + min(p[1] for p in s.points),
            x + max(p[0] for p in s.points),
            y + max(p[1] for p in s.points),
        )
        for x, y, s in placed
        if isinstance(s, Polygon)
    ]

    for left, top, right, bottom in boxes:
        # The double edge of a child lies just outside.
        assert left >= -4
        assert top >= -4
        assert right <= block.width + 4
        assert bottom <= block.height + 4
    for x, y, text in placed:
        if isinstance(text, Text):
            left, right = _span(x, text)
            foot = y + text.y
            around = [b for b in boxes if b[1] < foot - text.size / 2 < b[3]]
            cut = [b for b in around if left < b[0] < right or left < b[2] < right]
            assert not cut, text
            assert left >= 0
            assert right <= block.width + 0.1


def _span(x: float, text: Text) -> tuple[float, float]:
    width = text_width(text.text, text.size, bold=text.bold)
    shift = {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
    return x + text.x - shift, x + text.x - shift + width


@given(tree=trees)
def test_boxes_lie_side_by_side_or_inside_one_another(tree: AnyWorkflow) -> None:
    boxes = [
        (x + s.x, y + s.y, x + s.x + s.width, y + s.y + s.height)
        for x, y, s in workflow_block(tree).walk()
        if isinstance(s, Rect) and s.tip
    ]

    for n, one in enumerate(boxes):
        for other in boxes[n + 1 :]:
            apart = (
                one[2] <= other[0]
                or other[2] <= one[0]
                or one[3] <= other[1]
                or other[3] <= one[1]
            )
            assert apart or _inside(one, other) or _inside(other, one)


def _inside(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return (
        other[0] <= one[0]
        and other[1] <= one[1]
        and one[2] <= other[2]
        and one[3] <= other[3]
    )


@given(tree=trees)
def test_no_name_can_break_the_text_of_a_picture(tree: AnyWorkflow) -> None:
    rendered(workflow_svg(tree))
    for line in workflow_mermaid(tree).splitlines():
        quoted = re.sub(r'"[^"]*"', '""', line)
        assert re.fullmatch(
            r"flowchart TD| +(end|subgraph n\d+\[\"\"\]|n\d+[\[(/{>\"\])}\\]+|"
            r"n\d+ (-->|-\.->)(\|\"\"\|)? n\d+)",
            quoted,
        ), line


@pytest.mark.parametrize(
    "name", ["<b>&\"'", "a\nb", "日本語の名前", "\x00\x1b", "\ud800"]
)
def test_an_odd_name_is_shown_and_harmless(name: str) -> None:
    rendered(workflow_svg(named(name)))
    rendered(workflow_svg(named(name))).itertext()
    assert name not in workflow_mermaid(named(name)) or name.isprintable()


def test_a_name_of_which_nothing_can_be_shown_leaves_no_empty_quotes() -> None:
    branch = msgspec.structs.replace(
        route(by_size, x=named("b")), branches={"\x1f": work}
    )
    tree = sequence(sequence(named("a"), name="\x1f"), branch)

    text = workflow_mermaid(tree)

    # Mermaid takes these for errors of syntax.
    assert '|""|' not in text
    assert not re.search(r'subgraph n\d+\[""\]', text)


def test_a_workflow_of_ten_thousand_nodes_is_drawn() -> None:
    many = sequence(*(named(f"n{i}") for i in range(10_000)))

    assert workflow_svg(many).count("<rect") > 10_000
    assert workflow_mermaid(many).count("\n") > 20_000


def test_a_text_is_cut_to_one_line() -> None:
    assert shortened("a  b\nc\x00d", 40) == "a b c d"
    assert shortened("abcdef", 4) == "abc…"


def test_a_supervision_tree_shows_every_actor() -> None:
    async def main() -> str:
        async with Runtime[Never](EVERYTHING) as runtime:
            return tree_svg(runtime.tree())

    svg = trio.run(main, clock=MockClock(autojump_threshold=0))

    shown = " ".join(rendered(svg).itertext())
    assert "watchdog" in shown
    assert "workflows" in shown
    assert "everything" in shown
    assert "limited" in shown
    assert shown.count("running") >= 10

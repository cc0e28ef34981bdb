"""Draws a workflow as SVG."""

from __future__ import annotations

from typing import Never

from understudy.drawing import blocks, labels
from understudy.drawing.shapes import Block
from understudy.drawing.svg import write_svg
from understudy.workflows.nodes import (
    AnyWorkflow,
    Cascade,
    Child,
    Each,
    Parallel,
    Pause,
    Repeat,
    Route,
    Sequence,
    is_grouping,
)
from understudy.workflows.step import Step


def workflow_svg(workflow: AnyWorkflow) -> str:
    """Return a picture of *workflow* as an SVG document.

    It reads from top to bottom, and on light and dark screens alike.  The
    workflow need not have been checked.
    """
    return write_svg(workflow_block(workflow), f"Workflow {workflow.name}")


def workflow_block(workflow: AnyWorkflow) -> Block:
    """Return the layout of the picture."""
    shown = labels.input_words(workflow)
    begin, end = blocks.dot(shown, ring=False), blocks.dot("", ring=True)
    return blocks.column([begin, *_outermost(workflow), end])


def _outermost(workflow: AnyWorkflow) -> list[Block]:
    """Return the parts of a whole workflow, which needs no frame of its own."""
    if isinstance(workflow, Sequence):
        return [_block(node) for node in workflow.nodes]
    return [_block(workflow)]


def _block(node: AnyWorkflow) -> Block:
    name = labels.name(node)
    match node:
        case Step():
            return blocks.box(name, labels.step_facts(node), "step", node.name)
        case Pause():
            facts = labels.pause_facts(node)
            return blocks.box(name, facts, "pause", node.name, icon=True)
        case Sequence():
            inside = blocks.column([_block(part) for part in node.nodes])
            if is_grouping(node):
                return inside
            return blocks.frame(name, "", inside, "group", node.name)
        case Parallel():
            title = name if node.name != "parallel" else ""
            limit = node.max_concurrent
            words = [title, "" if limit is None else f"x{limit}"]
            return blocks.fork(
                _branches(node),
                " ".join(filter(None, words)) or "parallel",
                labels.join_words(node.join, len(node.branches)),
            )
        case Each():
            return _each(node)
        case Route():
            sign = blocks.hexagon(name, labels.policy_name(node), "router", node.name)
            return blocks.choice(sign, _branches(node, always=True))
        case Cascade():
            tiers = [_block(tier) for tier in node.tiers]
            body = blocks.ladder(tiers, "accepted", "else")
            return blocks.frame(
                labels.cascade_words(node), "", body, "cascade", node.name
            )
        case Repeat():
            body = blocks.loop(_block(node.body), labels.repeat_words(node))
            title = labels.until_words(node)
            return blocks.frame(title, "", body, "repeat", node.name, arrow=False)
        case Child():
            inside = blocks.column(_outermost(node.workflow))
            title = labels.child_words(node)
            return blocks.frame(title, "", inside, "child", node.name, double=True)
        case _:
            raise AssertionError(f"no picture of {type(node).__name__}")


def _each(node: Each[Never, object, Never]) -> Block:
    badge = f"x{node.max_concurrent}"
    if node.join.kind != "all_of":
        badge = f"{badge} · {labels.join_words(node.join)}"
    title = labels.each_words(node)
    return blocks.frame(title, badge, _block(node.body), "each", node.name, sheets=2)


def _branches(
    node: Parallel[Never, object, Never] | Route[Never, object, Never],
    *,
    always: bool = False,
) -> list[blocks.Branch]:
    """Return the branches, with their labels where these are not their names."""
    return [
        (
            labels.short(label) if always or label != part.name else "",
            _block(part),
        )
        for label, part in node.branches.items()
    ]

"""The words on a picture of a workflow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Never, cast

from understudy.drawing.text_width import shortened
from understudy.workflows.hints import UNDECLARED
from understudy.workflows.joins import Join
from understudy.workflows.nodes import (
    AnyWorkflow,
    Cascade,
    Child,
    Each,
    Pause,
    Repeat,
    Route,
    Workflow,
)
from understudy.workflows.step import Step
from understudy.workflows.types import type_name

LONGEST = 40
"""Characters of one label; longer ones are cut, and whole in the tip."""


_NAMELESS = "a function"


def name(node: AnyWorkflow) -> str:
    """Return the node's name, short enough to be drawn."""
    return short(node.name)


def short(text: str) -> str:
    """Return any text, short enough to be drawn."""
    return shortened(text, LONGEST)


def step_facts(step: Step[Never, object, Never]) -> str:
    """Return what a step gives, and its limits where it has any."""
    facts = [_arrow(step.output_type)] if step.output_type is not UNDECLARED else []
    if math.isfinite(step.timeout):
        facts.append(_length(step.timeout))
    if step.max_concurrent is not None:
        facts.append(f"x{step.max_concurrent}")
    if step.when is not None:
        facts.append("optional")
    if step.thread:
        facts.append("thread")
    return shortened(" · ".join(facts), LONGEST)


def pause_facts(pause: Pause[Never, object, Never]) -> str:
    """Return what a pause waits for, and how long."""
    facts = ["answer" if pause.output is object else _arrow(pause.output)]
    if pause.timeout is not None:
        facts.append(_length(pause.timeout))
    if pause.has_default:
        facts.append("then the default")
    return shortened(" · ".join(facts), LONGEST)


def policy_name(route: Route[Never, object, Never]) -> str:
    """Return who decides."""
    return shortened(_callable_name(route.policy), LONGEST)


def join_words(join: Join, branches: int | None = None) -> str:
    """Return what a fan-out waits for."""
    if join.kind == "quorum":
        of = "" if branches is None else f" of {branches}"
        return f"quorum: {join.needed}{of}"
    return join.kind.replace("_", " ")


def each_words(each: Each[Never, object, Never]) -> str:
    """Return what a fan-out goes over."""
    source = _source(each.over)
    over = "each item" if source == _NAMELESS else f"each of {source}"
    own = each.name if each.name != "each" else ""
    return shortened(f"{own}: {over}" if own else over, LONGEST)


def repeat_words(repeat: Repeat[Never, object, Never]) -> str:
    """Return how often a loop goes round at most."""
    rounds = "without bound" if repeat.max_rounds is None else f"≤ {repeat.max_rounds}"
    return f"again, {rounds}"


def until_words(repeat: Repeat[Never, object, Never]) -> str:
    """Return the head line of a loop."""
    return shortened(f"{repeat.name}: until {_callable_name(repeat.until)}", LONGEST)


def cascade_words(cascade: Cascade[Never, object, Never]) -> str:
    """Return the head line of a cascade."""
    return shortened(
        f"{cascade.name}: accept {_callable_name(cascade.accept)}", LONGEST
    )


def child_words(child: Child[Never, object, Never]) -> str:
    """Return the head line of a workflow inside another."""
    source = "" if child.source is None else f" of {_source(child.source)}"
    return shortened(f"workflow {child.name}{source}", LONGEST)


def input_words(workflow: AnyWorkflow) -> str:
    """Return the type of a workflow's input, or just that it is one."""
    stack: list[AnyWorkflow] = [workflow]
    while stack:
        node = stack.pop()
        declared: object = getattr(node, "input_type", UNDECLARED)
        if declared is not UNDECLARED and declared is not object:
            return shortened(type_name(declared), LONGEST)
        if not isinstance(node, Child):
            stack.extend(part for _, part in reversed(node.parts))
    return "input"


def _length(seconds: float) -> str:
    """Return a length of time as people say it."""
    for unit, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {word}"
    return f"{seconds:g} s"


def _arrow(declared: object) -> str:
    if isinstance(declared, Mapping):
        title = cast("Mapping[str, object]", declared).get("title", "JSON schema")
        return f"→ {title}"
    return f"→ {type_name(declared)}"


def _source(source: object) -> str:
    if isinstance(source, Workflow):
        return source.name
    return source if isinstance(source, str) else _callable_name(source)


def _callable_name(thing: object) -> str:
    """Return the name of a function, or of an object's class."""
    named: object = getattr(thing, "__name__", None)
    found = named if isinstance(named, str) else type(thing).__name__
    return _NAMELESS if found == "<lambda>" else found

"""Draws a workflow as Mermaid text, which many places show as a picture."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Never

from understudy.drawing import labels
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

_Ends = tuple[str, str]
"""The ids of a part's first and last node."""


def workflow_mermaid(workflow: AnyWorkflow) -> str:
    """Return *workflow* as a Mermaid flowchart; the last line ends with a newline.

    The workflow need not have been checked.
    """
    chart = _Chart()
    begin = chart.node('(["<>"])', labels.input_words(workflow))
    first, last = chart.part(workflow, outermost=True)
    end = chart.node('(["<>"])', "end")
    chart.edge(begin, first)
    chart.edge(last, end)
    return "\n".join(["flowchart TD", *chart.lines, ""])


class _Chart:
    """The lines so far; ids are numbers, since names may hold anything."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0
        self._indent = "  "

    def node(self, shape: str, *texts: str) -> str:
        """Add a node; *shape* has ``<>`` where its text goes."""
        name = self._new_id()
        text = "<br/>".join(_escaped(text) for text in texts if text)
        self._line(name + shape.replace("<>", text, 1))
        return name

    def edge(
        self, first: str, second: str, label: str = "", *, back: bool = False
    ) -> None:
        """Add an arrow."""
        arrow = "-.->" if back else "-->"
        shown = _escaped(label)
        # Two quotes with nothing between them are an error of syntax there.
        middle = f'|"{shown}"|' if shown else ""
        self._line(f"{first} {arrow}{middle} {second}")

    def part(self, node: AnyWorkflow, *, outermost: bool = False) -> _Ends:
        """Add a node with all that is inside it."""
        match node:
            case Step():
                return self._single('["<>"]', node.name, labels.step_facts(node))
            case Pause():
                return self._single('[/"<>"/]', node.name, labels.pause_facts(node))
            case Sequence():
                if outermost or is_grouping(node):
                    return self._sequence(node)
                return self._framed(node.name, lambda: self._sequence(node))
            case Parallel():
                return self._parallel(node)
            case Each():
                title = f"{labels.each_words(node)} x{node.max_concurrent}"
                if node.join.kind != "all_of":
                    title = f"{title}, {labels.join_words(node.join)}"
                return self._framed(title, lambda: self.part(node.body))
            case Route():
                return self._route(node)
            case Cascade():
                title = labels.cascade_words(node)
                return self._framed(title, lambda: self._cascade(node))
            case Repeat():
                title = labels.until_words(node)
                return self._framed(title, lambda: self._repeat(node))
            case Child():
                title = labels.child_words(node)
                return self._framed(
                    title, lambda: self.part(node.workflow, outermost=True)
                )
            case _:
                raise AssertionError(f"no picture of {type(node).__name__}")

    def _single(self, shape: str, *texts: str) -> _Ends:
        made = self.node(shape, *texts)
        return made, made

    def _sequence(self, node: Sequence[Never, object, Never]) -> _Ends:
        ends = [self.part(inner) for inner in node.nodes]
        for before, after in itertools.pairwise(ends):
            self.edge(before[1], after[0])
        return ends[0][0], ends[-1][1]

    def _parallel(self, node: Parallel[Never, object, Never]) -> _Ends:
        limit = "" if node.max_concurrent is None else f"x{node.max_concurrent}"
        fork = self.node('[["<>"]]', node.name, limit)
        ends = [(label, part, self.part(part)) for label, part in node.branches.items()]
        join = self.node('[["<>"]]', labels.join_words(node.join, len(node.branches)))
        for label, part, (first, last) in ends:
            self.edge(fork, first, label if label != part.name else "")
            self.edge(last, join)
        return fork, join

    def _route(self, node: Route[Never, object, Never]) -> _Ends:
        sign = self.node('{"<>"}', node.name, labels.policy_name(node))
        ends = [(label, self.part(part)) for label, part in node.branches.items()]
        meet = self.node('((" "))')
        for label, (first, last) in ends:
            self.edge(sign, first, label)
            self.edge(last, meet)
        return sign, meet

    def _cascade(self, node: Cascade[Never, object, Never]) -> _Ends:
        ends = [self.part(tier) for tier in node.tiers]
        meet = self.node('((" "))')
        for before, after in itertools.pairwise(ends):
            self.edge(before[1], meet, "accepted")
            self.edge(before[1], after[0], "else")
        self.edge(ends[-1][1], meet)
        return ends[0][0], meet

    def _repeat(self, node: Repeat[Never, object, Never]) -> _Ends:
        first, last = self.part(node.body)
        sign = self.node('{"<>"}', "good?")
        self.edge(last, sign)
        self.edge(sign, first, labels.repeat_words(node), back=True)
        return first, sign

    def _framed(self, title: str, inside: Callable[[], _Ends]) -> _Ends:
        self._line(f'subgraph {self._new_id()}["{_escaped(title) or "?"}"]')
        outer, self._indent = self._indent, self._indent + "  "
        ends = inside()
        self._indent = outer
        self._line("end")
        return ends

    def _line(self, text: str) -> None:
        self.lines.append(self._indent + text)

    def _new_id(self) -> str:
        self._count += 1
        return f"n{self._count}"


def _escaped(text: str) -> str:
    """Return *text* such that Mermaid shows it as it is, within quotes."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(c if c.isalnum() or c in _PLAIN else f"#{ord(c)};" for c in line)


# All others are written as numbers: Mermaid has more special signs than it says.
_PLAIN = frozenset(" .,:;-_+=/()[]?!'→x·≤…")

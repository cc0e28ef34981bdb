"""The shape of a workflow, as a journal keeps it: what a run under way relies on.

For each node there are a few facts, as words: what kind of node it is, what it sees,
what it takes and gives, down to the fields, its version, and the names of
the functions that it asks.  What those functions do is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Never

import msgspec

from understudy.workflows.declared_types import types_at
from understudy.workflows.hints import UNDECLARED
from understudy.workflows.joins import Join
from understudy.workflows.naming import name_of
from understudy.workflows.nodes import (
    Cascade,
    Child,
    Each,
    Parallel,
    Repeat,
    Route,
    Workflow,
    is_grouping,
)
from understudy.workflows.plan import Plan, PlanNode
from understudy.workflows.step import Step
from understudy.workflows.type_words import definitions, in_words
from understudy.workflows.wiring import Source
from understudy_protocols.errors import CodecError, UnnamedFunctionError

VERSION: Final = 1
"""Of the documents; raised when old ones would be misread."""

Facts = Mapping[str, str]

ROOT: Final = ""
"""Where the workflow itself stands among its nodes."""

_NAMELESS: Final = ("<lambda>", "partial")
"""Names of steps that were given none."""


class Fingerprint(msgspec.Struct, frozen=True):
    """The shape of one workflow.

    Args:
      nodes: what is known of each, by its path; groupings have none.
      order: their paths, in the order in which they stand.
    """

    version: int
    nodes: Mapping[str, Facts]
    order: tuple[str, ...]

    def encode(self) -> bytes:
        """Return it as bytes, the same in every process."""
        return msgspec.json.encode(self, order="deterministic")


def fingerprint_of(plan: Plan) -> Fingerprint:
    """Return the shape of a workflow.

    Raises:
      UnnamedFunctionError: a function has no name that stays the same.
    """
    nodes = {
        ROOT if node is plan.root else node.path: dict(_facts(node))
        for node in plan.root.walk()
        if node is plan.root or not is_grouping(node.node)
    }
    nodes[ROOT] |= _typed("input", plan.input_type)
    return Fingerprint(VERSION, nodes, tuple(nodes))


def decode_fingerprint(content: bytes) -> Fingerprint:
    """Return the shape that `Fingerprint.encode` wrote.

    Raises:
      CodecError: it is none, or was written in a version that is not known.
    """
    try:
        version = msgspec.json.decode(content, type=_Version).version
        if version == VERSION:
            return msgspec.json.decode(content, type=Fingerprint)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CodecError(f"this is no shape of a workflow: {error}") from error
    raise CodecError(
        f"this shape of a workflow was written in version {version}; this release "
        f"reads version {VERSION}: use the release that wrote it"
    )


def difference(
    old: Fingerprint, new: Fingerprint, paths: Iterable[str] | None = None
) -> list[str]:
    """Say what has changed, in sentences.

    Args:
      paths: only at these nodes, those around them, and the workflow itself;
        everywhere if not given.
    """
    if paths is None:
        places = [*old.order, *(path for path in new.order if path not in old.nodes)]
    else:
        places = sorted({place for path in paths for place in _around(path)} | {ROOT})
    told = [
        sentence
        for place in places
        for sentence in _changes(place, old.nodes.get(place), new.nodes.get(place))
    ]
    if paths is None:
        stayed = [path for path in old.order if path in new.nodes]
        now = [path for path in new.order if path in old.nodes]
        if stayed != now:
            told.append(f"the order is now {', '.join(filter(None, now))}")
    return told


def _around(path: str) -> Iterator[str]:
    labels = path.split("/")
    for depth in range(len(labels)):
        yield "/".join(labels[: depth + 1])


def _changes(place: str, old: Facts | None, new: Facts | None) -> Iterator[str]:
    where = place or "the workflow"
    if old is None or new is None:
        if old is not new:
            yield f"{where} is {'new' if old is None else 'gone'}"
        return
    if old["kind"] != new["kind"]:
        yield f"{where} is a {new['kind']}, and was a {old['kind']}"
        return
    for fact in sorted(old.keys() | new.keys()):
        before, now = old.get(fact), new.get(fact)
        if before is None:
            yield f"{where}: {fact} is now {now}, and was not there"
        elif now is None:
            yield f"{where}: {fact} was {before}, and is gone"
        elif now != before:
            yield f"{where}: {fact} is now {now}, and was {before}"


class _Version(msgspec.Struct):
    version: int


# --- the facts of one node ------------------------------------------------------


def _facts(plan: PlanNode) -> Iterator[tuple[str, str]]:
    node = plan.node
    yield "kind", node.kind
    if node.version:
        yield "version", node.version
    match node:
        case Step():
            yield from _step(node, plan)
        case Parallel(join=join, branches=branches):
            yield "join", _join(join)
            yield "branches", ", ".join(sorted(branches))
        case Each(join=join, over=over):
            yield "join", _join(join)
            yield "over", _source("over", over, plan)
        case Route(policy=policy, branches=branches):
            yield "policy", _named("policy", policy, plan)
            yield "branches", ", ".join(sorted(branches))
        case Cascade(accept=accept, tiers=tiers):
            yield "accept", _named("accept", accept, plan)
            yield "tiers", ", ".join(tier.name for tier in tiers)
        case Repeat(until=until, max_rounds=rounds):
            yield "until", _named("until", until, plan)
            yield "max_rounds", str(rounds)
        case Child(source=source):
            if source is not None:
                yield "source", _source("input", source, plan)
        case _:
            pass
    for fact, declared in types_at(plan):
        yield from _typed(fact, declared)


def _step(
    node: Step[Never, object, Never], plan: PlanNode
) -> Iterator[tuple[str, str]]:
    name = name_of(node.call if node.factory is None else node.factory)
    if name is not None:
        yield "function", name
    elif node.name in _NAMELESS:
        raise UnnamedFunctionError(
            plan.path, _unnamed("its function", "step(name=...)")
        )
    if node.when is not None:
        yield "when", _named("when", node.when, plan)
    if plan.needs is None:
        yield "needs", "all in scope"
        return
    for need, must_exist in plan.needs.items():
        yield f"need of {need}", "certain" if must_exist else "maybe"


def _typed(fact: str, declared: object) -> Iterator[tuple[str, str]]:
    if declared is not UNDECLARED:
        yield fact, in_words(declared)
        yield from definitions(declared)


def _join(join: Join) -> str:
    return join.kind if join.needed is None else f"{join.kind} of {join.needed}"


def _source(what: str, source: Source, plan: PlanNode) -> str:
    if isinstance(source, Workflow):
        return f"what {source.name} gives"
    return (
        f"what {source} gives"
        if isinstance(source, str)
        else _named(what, source, plan)
    )


def _named(what: str, thing: object, plan: PlanNode) -> str:
    name = name_of(thing)
    if name is None:
        raise UnnamedFunctionError(
            plan.path, _unnamed(what, "named_function('some name', ...)")
        )
    return name


def _unnamed(what: str, how: str) -> str:
    return (
        f"with a journal, {what} needs a name that the next process knows it by; "
        f"define it at the top of a module, or name it with {how}"
    )

"""What is different between two runs, in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from understudy.cli.plain import as_mapping
from understudy.cli.runs.ages import length
from understudy.cli.runs.story import Event, Story
from understudy.cli.tally import usd
from understudy_protocols.journal import StoredRun
from understudy_protocols.sensitive import HIDDEN

_ROOM = 60
"""Characters of a value that are shown."""

_MOST = 5
"""Differences within one value that are told one by one."""


def differences(
    a: StoredRun, story_a: Story, b: StoredRun, story_b: Story
) -> Iterator[str]:
    """Yield a line for each thing in which two runs differ: the one's | the other's."""
    if a.workflow != b.workflow:
        yield f"workflow: {a.workflow} | {b.workflow}"
    yield from _values("input", story_a.input, story_b.input)
    yield from _events(story_a.events, story_b.events)
    if a.status is not b.status:
        yield f"status: {a.status.value} | {b.status.value}"
    if _told(story_a.failure) != _told(story_b.failure):
        yield f"failure: {_told(story_a.failure)} | {_told(story_b.failure)}"


def sameness(*stories: Story) -> str:
    """Return what is to be said of runs between which there is no difference."""
    shown = [[s.input, *(event.value for event in s.events)] for s in stories]
    said = "the same input, and the same came of it"
    if HIDDEN in json.dumps(shown, ensure_ascii=False, default=repr):
        said += ", but for what is sensitive, which is not compared"
    return said


def figures(story_a: Story, story_b: Story) -> str:
    """Return how long two runs took and what they cost, in a line."""
    told = f"active {length(story_a.last)} | {length(story_b.last)}"
    costs = story_a.usage.cost_micros, story_b.usage.cost_micros
    return f"{told}; cost {usd(costs[0])} | {usd(costs[1])}" if any(costs) else told


def _events(a: Iterable[Event], b: Iterable[Event]) -> Iterator[str]:
    left, right = _by_place(a), _by_place(b)
    for place, event in left.items():
        other = right.get(place)
        if other is None:
            yield f"{event.name}: {event.status} | not there"
            continue
        if event.status != other.status:
            yield f"{event.name}: {event.status} | {other.status}"
        else:
            yield from _values(event.name, event.value, other.value)
        if _told(event.failure) != _told(other.failure):
            yield f"{event.name}: {_told(event.failure)} | {_told(other.failure)}"
        if event.number != other.number:
            yield f"{event.name}, tries: {event.number} | {other.number}"
    for place, event in right.items():
        if place not in left:
            yield f"{event.name}: not there | {event.status}"


def _by_place(events: Iterable[Event]) -> dict[tuple[str, str, str, int], Event]:
    placed: dict[tuple[str, str, str, int], Event] = {}
    for event in events:
        ordinal = 0
        while (event.path, event.position, event.kind, ordinal) in placed:
            ordinal += 1
        placed[event.path, event.position, event.kind, ordinal] = event
    return placed


def _values(name: str, a: object, b: object) -> Iterator[str]:
    found = list(_inside(name, a, b))
    yield from found[:_MOST]
    if len(found) > _MOST:
        yield f"{name}: and {len(found) - _MOST:,} more differences in it"


def _inside(name: str, a: object, b: object) -> Iterator[str]:
    """Yield where two values differ: in which field or item, if they have such."""
    if a == b and type(a) is type(b):
        return
    left, right = as_mapping(a), as_mapping(b)
    if left is not None and right is not None:
        for key in dict.fromkeys([*left, *right]):
            if key in left and key in right:
                yield from _inside(f"{name}.{key}", left[key], right[key])
            else:
                yield f"{name}.{key}: {_part(left, key)} | {_part(right, key)}"
        return
    pairs = _pairs(a, b)
    if pairs is None:
        yield f"{name}: {' | '.join(_apart(_text(a), _text(b)))}"
        return
    for place, (one, other) in enumerate(pairs):
        yield from _inside(f"{name}[{place}]", one, other)


def _pairs(a: object, b: object) -> list[tuple[object, object]] | None:
    """Return what stands at the same places of two lists of one length."""
    if not isinstance(a, list) or not isinstance(b, list):
        return None
    left, right = cast("list[object]", a), cast("list[object]", b)
    return list(zip(left, right, strict=True)) if len(left) == len(right) else None


def _part(fields: Mapping[str, object], key: str) -> str:
    return _short(fields[key]) if key in fields else "not there"


def _apart(a: str, b: str) -> tuple[str, str]:
    """Return what is shown of two texts, so that one sees where they differ."""
    pairs = enumerate(zip(a, b, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(len(a), len(b)))
    if max(len(a), len(b)) <= _ROOM or same < _ROOM // 2:
        return _cut(a), _cut(b)
    start = same - _ROOM // 4
    return _cut("…" + a[start:]), _cut("…" + b[start:])


def _short(value: object) -> str:
    return _cut(_text(value))


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)


def _cut(text: str) -> str:
    return text if len(text) <= _ROOM else text[: _ROOM - 1] + "…"


def _told(failure: object) -> str:
    return "none" if failure is None else str(failure)

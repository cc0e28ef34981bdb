"""Wherever a mark is heeded the value is found in no file, event, text or result."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Generic, NamedTuple, NewType, TypedDict, TypeVar, cast

import attr
import attrs
import msgspec
import pytest
import trio
from journal_lives import Flow

from understudy import (
    SENSITIVE,
    Attempt,
    Context,
    FrozenMap,
    RunEvent,
    RunStatus,
    Runtime,
    pause,
    register_type,
    sequence,
    step,
)
from understudy.cli.plain import plain
from understudy.journal.exporting import export_lines
from understudy.journal.reader import SqliteReader
from understudy.journal.sealing import VARIABLE, new_key

SECRET = "hunter2-planted"

Password = Annotated[str, SENSITIVE]
Secret = NewType("Secret", Password)  # pyright: ignore[reportGeneralTypeIssues]
Hidden = TypeVar("Hidden", bound=Password)
T = TypeVar("T")


class AsMapping(TypedDict):
    password: str


class AsTuple(NamedTuple):
    password: Password


@dataclasses.dataclass(frozen=True)
class AsDataclass:
    password: Password | None


class AsStruct(msgspec.Struct, frozen=True):
    password: tuple[Password, ...]


@attr.s(frozen=True)
class OldAttrs:
    password = attr.ib(type=Password)  # pyright: ignore[reportGeneralTypeIssues]


@attrs.frozen
class ByName:
    passwords: Mapping[str, Password]


@attrs.frozen
class WithMapping:
    login: Annotated[AsMapping, SENSITIVE]


@attrs.frozen
class WithNewType:
    password: Secret  # pyright: ignore[reportInvalidTypeForm]


class Box(msgspec.Struct, Generic[T], frozen=True):
    inside: T


@attrs.frozen
class WithBox:
    box: Box[Password]


class HiddenBox(msgspec.Struct, Generic[Hidden], frozen=True):
    inside: Hidden


class Opaque:
    secret: Password

    def __init__(self, secret: str) -> None:
        self.secret = secret


register_type(Opaque, to=lambda one: one.secret, from_=Opaque)

VALUES = [
    AsTuple(SECRET),
    AsDataclass(SECRET),
    AsStruct((SECRET,)),
    cast("Callable[[str], object]", OldAttrs)(SECRET),
    ByName(FrozenMap({"u": SECRET})),
    WithMapping({"password": SECRET}),
    WithNewType(Secret(SECRET)),
    WithBox(Box(SECRET)),
    HiddenBox(SECRET),
    Opaque(SECRET),
    dataclasses.make_dataclass("Made", [("password", Password)], frozen=True)(SECRET),
    msgspec.defstruct("Struct", [("password", Password)], frozen=True)(SECRET),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_what_is_in_a_marked_field_is_shown_and_written_nowhere(
    value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, new_key())
    cls = type(value)

    @step(output=cls)
    async def give(context: Context[object], attempt: Attempt[object]) -> object:
        attempt.emit(context.input)
        return value

    flow = cast("Flow", sequence(give, pause("ask", output=cls), name="places"))
    events: list[RunEvent] = []

    async def main() -> None:
        path = tmp_path / "runs.db"
        async with Runtime(flow, journal=path) as runtime, runtime.events() as seen:
            handle = await runtime.submit(flow, value, run_id="run")
            await handle.wait(RunStatus.PAUSED)
            runtime.answer("run", "ask", value)
            result = await handle.result()
            async for event in seen:
                events.append(event)
                if event.kind == "ended":
                    break
            with SqliteReader(path) as reader:
                exported = b"".join(export_lines(reader, reader.runs())).decode()
        assert type(result.value) is cls
        shown = json.dumps(plain(result.outputs))
        for told in (exported, repr(events), repr(result), shown):
            assert SECRET not in told
            assert "(sensitive)" in told

    trio.run(main)
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes(), file.name

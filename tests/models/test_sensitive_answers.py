"""What a model gives as a type with a sensitive field is for the step alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import attrs
import pytest
import trio

from understudy import SENSITIVE, Attempt, Context, RunEvent, Runtime, step
from understudy.cli.plain import plain
from understudy.journal.exporting import export_lines
from understudy.journal.reader import SqliteReader
from understudy.journal.sealing import VARIABLE, new_key
from understudy.models import ScriptedModel
from understudy.models.bound import Completion

SECRET = "hunter2-planted"


@attrs.frozen
class Login:
    user: str
    password: Annotated[str, SENSITIVE]


@step(name="ask")
async def ask(context: Context[str], attempt: Attempt[object]) -> Completion[Login]:
    completion = await attempt.models["m"].complete(
        context.input, output=Login, stream=True
    )
    attempt.emit(completion)
    return completion


def test_neither_its_pieces_nor_its_words_are_shown_or_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, new_key())
    path = tmp_path / "runs.db"
    words = json.dumps({"user": "u", "password": SECRET})
    models = {"m": ScriptedModel([words], name="m")}
    seen: list[RunEvent] = []

    async def main() -> None:
        async with Runtime(ask, journal=path, models=models) as runtime:
            async with runtime.events() as events:
                result = await runtime.run(ask, "who is it?")
                async for event in events:
                    seen.append(event)
                    if event.kind == "ended":
                        break
            assert result.value.value == Login("u", SECRET)
            with SqliteReader(path) as reader:
                exported = b"".join(export_lines(reader, reader.runs())).decode()
            shown = json.dumps(plain(result.outputs))
            for told in (repr(seen), repr(result), shown, exported):
                assert SECRET not in told
                assert "(sensitive)" in told

    trio.run(main)
    # What the step showed by itself, and nothing else.
    assert [event.kind for event in seen].count("emitted") == 1
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes(), file.name

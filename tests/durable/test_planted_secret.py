"""A secret that was planted is found nowhere in what a journal keeps and shows."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Never, cast

import attrs
import msgspec
import pytest
import trio
from images import RUN, Filmed, records_of
from journal_lives import Flow, Result, ends, live

from understudy import (
    SENSITIVE,
    Attempt,
    ConfigError,
    Context,
    ModelReply,
    RetryConfig,
    RunEvent,
    RunStatus,
    Runtime,
    child,
    each,
    pause,
    sequence,
    step,
)
from understudy.journal.exporting import export_lines
from understudy.journal.memory import MemoryStore
from understudy.journal.reader import SqliteReader
from understudy.journal.sealing import VARIABLE, new_key
from understudy.models import ScriptedModel, journaled
from understudy.models.conversation import converse
from understudy.workflows.nodes import Workflow
from understudy_protocols.chat import Finish, ToolRequestPart
from understudy_protocols.codec import register_tag
from understudy_protocols.errors import CodecError, SetupError
from understudy_protocols.records import Answered, Finished

SECRET = "hunter2-planted"
LONG = f"{SECRET} " * 500
KEY = new_key()


@attrs.frozen
class Login:
    user: str
    password: Annotated[str, SENSITIVE]
    notes: str = ""


@attrs.frozen
class Token:
    text: Annotated[str, SENSITIVE]


@attrs.frozen
class Leaf:
    title: str


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


@step(output=Token)
async def sign_in(context: Context[Login], attempt: Attempt[object]) -> Token:
    attempt.emit({"signed in": context.input})
    return Token(f"token of {context.input.password}")


@step(output=Login)
async def large(context: Context[Login]) -> Login:
    return attrs.evolve(context.input, notes="n" * 5000)


@step(output=Token)
async def item(context: Context[Login]) -> Token:
    return context.item_as(Token)


def tokens(context: Context[Login]) -> tuple[Token, ...]:
    return (context[sign_in], Token(context.input.password))


def login(context: Context[Login]) -> Login:
    return context.input


async def look_up(user: str) -> Token:
    return Token(f"{user} has {SECRET}")


@step(output=str)
async def talks(context: Context[Login], attempt: Attempt[object]) -> str:
    talk = await converse(attempt.models["m"], "go", functions=[journaled(look_up)])
    return talk.text


@step(output=str, retry=RetryConfig(max_attempts=1))
async def last(context: Context[Login]) -> str:
    await trio.sleep(1)
    return f"{len(context.input.password)} characters"


planted = sequence(
    sign_in,
    large,
    each(item, over=tokens, name="items"),
    child(large.named("inner"), input=login, name="within"),
    talks,
    pause("ask", output=Login),
    last,
    name="planted",
)
# What a run is given is declared by its steps; these tests give it what they like.
workflow = cast("Flow", planted)
alone = cast("Flow", last)
signing = cast("Flow", sign_in)


def model() -> ScriptedModel:
    part = ToolRequestPart("id", "look_up", '{"user": "u"}')
    asks = ModelReply("", finish=Finish.TOOL_REQUEST, parts=(part,))
    return ScriptedModel([asks, "done"], name="m")


def files(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_in_no_file_event_log_or_export_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "runs.db"
    caplog.set_level(0)
    events: list[RunEvent] = []
    answer = {"user": "a", "password": SECRET}
    wrong = {"user": 1, "password": SECRET}

    async def begin() -> None:
        async with (
            Runtime(workflow, journal=path, models={"m": model()}) as runtime,
            runtime.events() as seen,
        ):
            await runtime.submit(workflow, Login("u", SECRET), run_id=RUN)
            async for event in seen:
                events.append(event)
                if event.kind == "paused":
                    break
            with SqliteReader(path) as reader:
                body = {"pause": "ask", "value": wrong}
                number = reader.ask(RUN, "answer", json.dumps(body).encode())
                with trio.fail_after(30):
                    while (outcome := reader.outcome(number)) is None:
                        await trio.sleep(0.01)
            assert "refused" in outcome
            assert SECRET not in outcome
            check_files()

    def check_files() -> None:
        for name, content in files(tmp_path).items():
            assert SECRET.encode() not in content, name

    async def go_on() -> Result:
        async with Runtime(workflow, journal=path, models={"m": model()}) as runtime:
            with SqliteReader(path) as reader:
                body = {"pause": "ask", "value": answer}
                reader.ask(RUN, "answer", json.dumps(body).encode())
            with trio.fail_after(30):
                await runtime.get(RUN).result()
            fork = runtime.fork(
                RUN, from_step="last", changes={"sign_in": Token(f"another {SECRET}")}
            )
            return await fork.result()

    trio.run(begin)
    result = trio.run(go_on)
    assert result.ok, result.failure
    assert result.outputs["sign_in"] == Token(f"another {SECRET}")
    assert result.outputs["ask"] == Login("a", SECRET)
    assert result.outputs["items"] == (Token(f"token of {SECRET}"), Token(SECRET))
    check_files()
    assert b"$sealed" in b"".join(files(tmp_path).values())
    emitted = [event.value for event in events if event.kind == "emitted"]
    assert emitted == [{"signed in": Login("u", "(sensitive)")}]
    with SqliteReader(path) as reader:
        exported = b"".join(export_lines(reader, reader.runs()))
    assert exported.count(b"(sensitive)") > 10
    assert b"$sealed" not in exported
    for told in (exported.decode(), repr(events), repr(result), caplog.text):
        assert SECRET not in told


def test_after_a_crash_at_any_record_all_of_it_is_there_again() -> None:
    store = Filmed()

    async def body(runtime: Runtime[object]) -> Result:
        handle = await runtime.submit(workflow, Login("u", SECRET), run_id=RUN)
        await handle.wait(RunStatus.PAUSED)
        runtime.answer(RUN, "ask", Login("a", SECRET))
        return await handle.result()

    whole = live(workflow, store, body, models={"m": model()})
    assert len(store.images) > 10
    for _, image in store.images:
        answered = any(isinstance(one, Answered) for one in records_of(image))
        rest = ends(workflow, Login("u", SECRET)) if answered else body
        again = live(workflow, image.copy(), rest, models={"m": model()})
        assert again.outputs == whole.outputs
    assert SECRET not in repr(records_of(store))


def test_the_text_of_a_result_does_not_show_it() -> None:
    result = live(signing, MemoryStore(), ends(signing, Login("u", SECRET)))
    assert result.value == Token(f"token of {SECRET}")
    assert SECRET not in repr(result)


def test_another_input_under_the_same_id_is_told_from_the_one_that_is_sealed() -> None:
    store = MemoryStore()
    live(alone, store, ends(alone, Login("u", SECRET)))
    assert live(alone, store, ends(alone, Login("u", SECRET))).ok
    with pytest.raises(SetupError, match="another input"):
        live(alone, store, ends(alone, Login("u", "another")))


# --- keys ---------------------------------------------------------------------------


def test_keys_can_be_changed_and_a_run_under_a_lost_one_keeps_no_other_from_going_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flow = cast("Flow", sequence(sign_in, pause("ask", output=str), name="keys"))
    store = MemoryStore()

    async def begin(runtime: Runtime[object]) -> None:
        await runtime.submit(flow, Login("u", SECRET), run_id=RUN)

    live(flow, store, begin)
    lost = store.copy()
    other = new_key()

    async def answer(runtime: Runtime[object]) -> Result:
        handle = runtime.get(RUN)
        await handle.wait(RunStatus.PAUSED)
        runtime.answer(RUN, "ask", "yes")
        return await handle.result()

    monkeypatch.setenv(VARIABLE, f"{other} {KEY}")
    assert live(flow, store, answer).outputs["sign_in"] == Token(f"token of {SECRET}")

    monkeypatch.setenv(VARIABLE, other)

    async def another(runtime: Runtime[object]) -> Result:
        handle = await runtime.submit(flow, Login("v", SECRET), run_id="another")
        await handle.wait(RunStatus.PAUSED)
        runtime.answer("another", "ask", "yes")
        return await handle.result()

    assert live(flow, lost, another).ok
    assert f"run {RUN!r} stays where it is: this was encrypted with the key" in (
        caplog.text
    )
    assert VARIABLE in caplog.text
    # And with its key it goes on after all.
    monkeypatch.setenv(VARIABLE, f"{other} {KEY}")
    assert live(flow, lost, answer).ok


@pytest.mark.parametrize("wrong", ["", "abc", KEY[:20]])
def test_without_a_key_such_a_workflow_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv(VARIABLE, wrong)
    with pytest.raises(ConfigError, match=rf"Login\.password is sensitive.*{VARIABLE}"):
        Runtime(workflow, journal=MemoryStore(), models={"m": model()})
    Runtime(workflow, models={"m": model()})


@pytest.mark.parametrize("place", ["pause", "items", "child"])
def test_wherever_it_is_declared_a_key_is_needed(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.delenv(VARIABLE)
    flows: dict[str, Workflow[Never, object, Never]] = {
        "pause": pause("ask", output=tuple[Login | None, ...]),
        "items": each(noted, over=tokens, name="items"),
        "child": child(noted, input=login, name="within"),
    }
    with pytest.raises(ConfigError, match="is sensitive"):
        Runtime(flows[place], journal=MemoryStore())


@step(output=int)
async def noted(context: Context[Login]) -> int:
    return 1


def test_a_value_of_a_class_that_is_not_declared_is_not_written_without_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register_tag(Token, "Token")
    monkeypatch.delenv(VARIABLE)
    store = MemoryStore()
    result = live(undeclared, store, ends(undeclared))
    assert result.status is RunStatus.FAILED
    assert "is sensitive" in str(result.failure)
    assert SECRET not in repr(records_of(store))


@step(output=object, retry=RetryConfig(max_attempts=1))
async def undeclared(context: Context[object]) -> object:
    return Token(SECRET)


def test_a_workflow_with_nothing_sensitive_is_written_as_ever_and_asks_for_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain: Flow = sequence(titled, pause("ask", output=Leaf), name="plain")

    async def body(runtime: Runtime[object]) -> Result:
        handle = await runtime.submit(plain, "input", run_id=RUN)
        await handle.wait(RunStatus.PAUSED)
        runtime.answer(RUN, "ask", Leaf("answered"))
        return await handle.result()

    stores: list[MemoryStore] = []
    for key in ("", "no key", KEY):
        monkeypatch.setenv(VARIABLE, key)
        stores.append(MemoryStore())
        live(plain, stores[-1], body)
    contents = [
        [store.records(found.row) for found in [store.find(RUN)] if found]
        for store in stores
    ]
    assert contents[0] == contents[1] == contents[2]
    values = [
        one.value
        for one in records_of(stores[0])
        if isinstance(one, Finished | Answered)
    ]
    assert values == [{"@Leaf": {"title": "t"}}, {"@Leaf": {"title": "answered"}}]


@step(output=Leaf)
async def titled(context: Context[object]) -> Leaf:
    return Leaf("t")


# --- asked by other processes -----------------------------------------------------------


def test_what_others_ask_is_sealed_or_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    flow: Flow = sequence(pause("ask", output=Login), name="asked")

    async def begin() -> None:
        async with Runtime(flow, journal=path) as runtime:
            await runtime.submit(flow, "input", run_id=RUN)

    trio.run(begin)
    body = msgspec.json.encode({"pause": "ask", "value": Login("u", SECRET)})
    with SqliteReader(path) as reader:
        monkeypatch.delenv(VARIABLE)
        with pytest.raises(CodecError, match=VARIABLE):
            reader.ask(RUN, "answer", body)
        reader.ask(RUN, "resume", b"{}\n")
        monkeypatch.setenv(VARIABLE, KEY)
        reader.ask(RUN, "answer", body)
    for name, content in files(tmp_path).items():
        assert SECRET.encode() not in content, name


def test_a_change_of_a_fork_is_what_its_step_declares() -> None:
    store = MemoryStore()
    flow = cast("Flow", sequence(sign_in, last, name="changed"))
    live(flow, store, ends(flow, Login("u", SECRET)))

    async def fork(runtime: Runtime[object]) -> object:
        with pytest.raises(SetupError, match="does not fit Token") as caught:
            runtime.fork(RUN, from_step="last", changes={"sign_in": {"text": 1}})
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        handle = runtime.fork(
            RUN, from_step="last", changes={"sign_in": {"text": LONG}}, new_id="f"
        )
        return (await handle.result()).outputs["sign_in"]

    assert live(flow, store, fork) == Token(LONG)
    assert SECRET not in repr(records_of(store, "f"))

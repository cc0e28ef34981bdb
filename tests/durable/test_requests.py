"""What is asked about runs: answers, an end, another try, a fork; each done once."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec
import pytest
import trio
from images import RUN, Filmed, records_of
from journal_lives import Flow, Result, ends, image_at, live, noting

from understudy import (
    Attempt,
    Cause,
    Context,
    RunStatus,
    Runtime,
    StepError,
    best_effort,
    each,
    named_function,
    parallel,
    pause,
    repeat,
    sequence,
    step,
)
from understudy.journal.memory import MemoryStore
from understudy_protocols.errors import (
    JournalCorruptError,
    RunHeldError,
    SetupError,
)
from understudy_protocols.journal import Batch, Request
from understudy_protocols.records import Answered


def test_an_answer_by_way_of_the_journal_is_given_once_and_said_to_be() -> None:
    workflow: Flow = sequence(noting("a", []), pause("ask", output=int))
    store = MemoryStore()

    async def body(runtime: Runtime[object]) -> Result:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        await handle.wait(RunStatus.PAUSED)
        words = store.ask(RUN, "answer", b'{"pause": "ask", "value": "seven"}')
        first = store.ask(RUN, "answer", b'{"pause": "ask", "value": 7}')
        second = store.ask(RUN, "answer", b'{"pause": "ask", "value": 8}')
        result = await handle.result()
        await trio.sleep(1)
        assert "seven" in store.outcomes[words] or "int" in store.outcomes[words]
        assert store.outcomes[first] == ""
        assert "refused" in store.outcomes[second]
        return result

    assert live(workflow, store, body).value == 7
    answers = [one for one in records_of(store) if isinstance(one, Answered)]
    assert [one.value for one in answers] == [7]


def test_what_is_asked_while_no_process_has_the_runs_is_done_at_the_next_start() -> (
    None
):
    workflow: Flow = pause("ask", output=str)
    store = MemoryStore()

    async def begin(runtime: Runtime[object]) -> None:
        await runtime.submit(workflow, "input", run_id=RUN)

    live(workflow, store, begin)
    store.ask(RUN, "answer", json.dumps({"pause": "ask", "value": "yes"}).encode())
    assert live(workflow, store, ends(workflow)).value == "yes"


def test_what_is_cancelled_while_no_process_has_it_does_not_go_on_before() -> None:
    notes: list[str] = []
    workflow: Flow = sequence(noting("a", notes), noting("b", notes))
    film = Filmed()
    live(workflow, film, ends(workflow))
    notes.clear()
    store = image_at(film, 1.5)
    # In their order: what was asked before the cancel is not done after it.
    asked = [store.ask(RUN, what, b"{}") for what in ("resume", "cancel")]

    result = live(workflow, store, ends(workflow), start=1.5)

    assert result.status is RunStatus.CANCELLED
    assert notes == []
    assert [store.outcomes[one] for one in asked] == ["", ""]
    again = live(workflow, store, ends(workflow), start=3.0)
    assert again.status is RunStatus.CANCELLED


def test_a_run_is_cancelled_also_if_it_would_be_held_at_that_start() -> None:
    notes: list[str] = []

    async def body(context: Context[object]) -> str:
        notes.append("begun")
        await trio.sleep(1.0)
        return "done"

    workflow: Flow = step(name="once", output=str, replay_safe=False)(body)
    film = Filmed()
    live(workflow, film, ends(workflow))
    store = image_at(film, 0.5)
    store.ask(RUN, "cancel", b"{}")
    result = live(workflow, store, ends(workflow), start=0.5)
    assert result.status is RunStatus.CANCELLED
    assert notes == ["begun"]


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("answer", b"{"),
        ("answer", b'{"value": 1}'),
        ("dance", b"{}"),
        ("fork", b'{"from": "nowhere"}'),
        ("retry", b"{}"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_words(
    what: str, body: bytes
) -> None:
    workflow = noting("a", [], takes=5.0)
    store = MemoryStore()

    async def ask(runtime: Runtime[object]) -> None:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        number = store.ask(RUN, what, body)
        unknown = store.ask("no such run", "cancel")
        await trio.sleep(1)
        assert store.outcomes[number].startswith("refused: ")
        assert "no run 'no such run'" in store.outcomes[unknown]
        assert (await handle.result()).ok

    live(workflow, store, ask)


def test_a_cancel_ends_a_run_that_is_under_way_or_held() -> None:
    notes: list[str] = []
    store = Filmed()

    async def pays(context: Context[object]) -> str:
        notes.append("paid")
        await trio.sleep(5)
        return "paid"

    workflow: Flow = step(name="pays", output=str, replay_safe=False)(pays)
    live(workflow, store, ends(workflow))
    image = image_at(store, 2.0)
    with pytest.raises(RunHeldError):
        live(workflow, image, ends(workflow))

    async def cancel(runtime: Runtime[object]) -> None:
        runtime.cancel(RUN)

    live(workflow, image, cancel)
    result = live(workflow, image, ends(workflow))
    assert result.status is RunStatus.CANCELLED
    assert notes == ["paid"]


def test_a_retry_lets_a_held_run_go_on() -> None:
    notes: list[str] = []
    store = Filmed()

    async def pays(context: Context[object]) -> str:
        notes.append("paid")
        await trio.sleep(5)
        return "paid"

    workflow: Flow = step(name="pays", output=str, replay_safe=False)(pays)
    live(workflow, store, ends(workflow))
    image = image_at(store, 2.0)

    async def retry(runtime: Runtime[object]) -> Result:
        await trio.sleep(1)
        with pytest.raises(SetupError, match="under way"):
            runtime.get(RUN)
        return await runtime.retry(RUN).result()

    assert live(workflow, image, retry).value == "paid"
    assert notes == ["paid", "paid"]
    assert live(workflow, image, ends(workflow)).value == "paid"
    assert notes == ["paid", "paid"]


def test_a_retry_of_a_failed_run_begins_where_it_failed() -> None:
    notes: list[str] = []
    fixed: list[bool] = []

    async def body(context: Context[object], attempt: Attempt[object]) -> str:
        if not fixed:
            raise StepError("not yet", cause=Cause.STEP_ERROR)
        return "mended"

    workflow: Flow = sequence(noting("a", notes), step(name="b", output=str)(body))
    store = MemoryStore()
    failed = live(workflow, store, ends(workflow))
    assert failed.status is RunStatus.FAILED
    fixed.append(True)

    async def retry(runtime: Runtime[object]) -> Result:
        return await runtime.retry(RUN).result()

    again = live(workflow, store, retry)
    assert again.value == "mended"
    assert again.run_id != RUN
    assert len(notes) == 1
    with pytest.raises(SetupError, match="no run 'other'"):
        live(workflow, store, lambda runtime: _async(runtime.retry, "other"))


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_retry_repeats_no_failure_that_the_run_went_on_after(cancelled: bool) -> None:
    notes: list[str] = []
    fixed: list[bool] = []

    async def body(context: Context[object]) -> str:
        await trio.sleep(1)
        if not fixed:
            raise StepError("not yet", cause=Cause.STEP_ERROR)
        return "mended"

    fails = step(name="fails", output=str)(body)
    both = parallel(fails, noting("a", notes), join=best_effort(), name="both")
    workflow: Flow = sequence(both, noting("b", notes), fails.named("last"))
    store = MemoryStore()

    async def end(runtime: Runtime[object]) -> Result:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        await trio.sleep(2.5 if cancelled else 9.0)
        handle.cancel()
        return await handle.result()

    assert not live(workflow, store, end).ok
    notes.clear()
    fixed.append(True)

    async def retry(runtime: Runtime[object]) -> Result:
        return await runtime.retry(RUN).result()

    again = live(workflow, store, retry)
    assert again.value == "mended"
    assert notes == []


def test_a_retry_asks_the_users_code_again_that_raised() -> None:
    notes: list[str] = []
    asked: list[str] = []

    def enough(_: object) -> bool:
        asked.append("enough?")
        if len(asked) == 1:
            raise LookupError("not yet")
        return True

    until = named_function("enough", enough)
    workflow: Flow = repeat(noting("a", notes), until=until, max_rounds=2)
    store = MemoryStore()
    assert live(workflow, store, ends(workflow)).status is RunStatus.FAILED

    async def retry(runtime: Runtime[object]) -> Result:
        return await runtime.retry(RUN).result()

    assert live(workflow, store, retry).value == "a"
    assert (len(notes), len(asked)) == (1, 2)
    asked.clear()

    def over(_: object) -> tuple[int, ...]:
        enough(_)
        return (7,)

    of_all = each(noting("b", []), over=named_function("over", over))
    workflow, store = sequence(noting("a", notes), of_all), MemoryStore()
    assert live(workflow, store, ends(workflow)).status is RunStatus.FAILED
    assert live(workflow, store, retry).value == ("b",)
    assert (len(notes), len(asked)) == (2, 2)


async def _async(call: object, *arguments: object) -> object:
    return call(*arguments)  # type: ignore[operator]


def test_a_fork_takes_over_what_was_before_a_step_with_other_values() -> None:
    notes: list[str] = []

    async def body(context: Context[object]) -> str:
        return f"b of {context['a']}"

    second = step(name="b", needs=["a"], output=str)(body)
    workflow: Flow = sequence(noting("a", notes), second, noting("c", notes))
    store = MemoryStore()
    live(workflow, store, ends(workflow))
    notes.clear()

    async def fork(runtime: Runtime[object]) -> Result:
        with pytest.raises(SetupError, match="no record of a step 'x'"):
            runtime.fork(RUN, "x")
        with pytest.raises(SetupError, match="'c' is not among"):
            runtime.fork(RUN, "b", changes={"c": "no"})
        with pytest.raises(SetupError, match="there is a run"):
            runtime.fork(RUN, "b", new_id=RUN)
        handle = runtime.fork(RUN, "b", changes={"a": "A"}, new_id="the fork")
        return await handle.result()

    result = live(workflow, store, fork)
    assert dict(result.outputs) == {"a": "A", "b": "b of A", "c": "c"}
    assert [note[0] for note in notes] == ["c"]
    # It is a run like any other.
    again = live(workflow, store, lambda runtime: _again(runtime, workflow))
    assert again.outputs == result.outputs


async def _again(runtime: Runtime[object], workflow: Flow) -> Result:
    return await runtime.run(workflow, "input", run_id="the fork")


def test_runs_wait_for_a_word_if_they_are_not_to_go_on_by_themselves() -> None:
    notes: list[str] = []
    workflow = noting("a", notes)
    store = Filmed()
    live(workflow, store, ends(workflow))
    image = image_at(store, 0.5)
    notes.clear()

    async def wait(runtime: Runtime[object]) -> Result:
        await trio.sleep(5)
        assert notes == []
        store_id = image.ask(RUN, "resume")
        await trio.sleep(1)
        assert image.outcomes[store_id] == ""
        return await runtime.get(RUN).result()

    assert live(workflow, image, wait, resume="manual").value == "a"


class Unasked(MemoryStore):
    """A store whose requests cannot be read."""

    def requests(self) -> Iterable[Request]:
        raise JournalCorruptError("request 1 is damaged")


def test_runs_go_on_although_requests_cannot_be_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    workflow = noting("a", [], takes=10.0)
    assert live(workflow, Unasked(), ends(workflow)).value == "a"
    assert [one.message for one in caplog.records] == [
        "requests cannot be read: request 1 is damaged"
    ]


def test_two_forks_under_one_id_at_the_same_moment_are_one_and_a_refusal() -> None:
    workflow: Flow = sequence(noting("a", []), noting("b", []))
    store = MemoryStore()
    live(workflow, store, ends(workflow))
    body = b'{"from": "b", "id": "the fork"}'
    asked = [store.ask(RUN, "fork", body) for _ in range(2)]

    async def fork(runtime: Runtime[object]) -> str | None:
        await trio.sleep(10)
        runtime.fork(RUN, "b", new_id="another")
        with pytest.raises(SetupError, match="there is a run 'another'"):
            runtime.fork(RUN, "b", new_id="another")
        await runtime.get("another").result()
        return (await runtime.run(workflow, "input", run_id="the fork")).value  # type: ignore[return-value]

    assert live(workflow, store, fork) == "b"
    first, second = (store.outcomes[one] for one in asked)
    assert "the fork" in first
    assert "refused: there is a run 'the fork'" in second


def test_a_fork_keeps_the_large_values_that_it_refers_to() -> None:
    async def body(context: Context[object]) -> str:
        return "x" * 5_000

    workflow: Flow = sequence(step(name="big", output=str)(body), noting("a", []))
    store = MemoryStore()
    live(workflow, store, ends(workflow))
    written: list[Batch] = []
    write = store.write

    def seen(batch: Batch) -> None:
        written.append(batch)
        write(batch)

    store.write = seen  # type: ignore[method-assign]

    async def fork(runtime: Runtime[object]) -> Result:
        return await runtime.fork(RUN, "a").result()

    assert live(workflow, store, fork).outputs["big"] == "x" * 5_000
    (made,) = [batch for batch in written if batch.runs]
    assert len(made.blobs) == 1


def test_a_fork_of_a_damaged_run_is_refused_and_leaves_nothing() -> None:
    async def body(context: Context[object]) -> str:
        return "x" * 5_000

    workflow: Flow = sequence(step(name="big", output=str)(body), noting("a", []))
    store = MemoryStore()
    live(workflow, store, ends(workflow))
    store._blobs.clear()

    async def fork(runtime: Runtime[object]) -> None:
        with pytest.raises(JournalCorruptError, match="has no value"):
            runtime.fork(RUN, "a", new_id="the fork")

    live(workflow, store, fork)
    assert store.find("the fork") is None


def test_a_cancel_ends_a_run_also_if_it_would_be_held_now() -> None:
    """Nobody waits for it any more, however many processes have died over it."""
    workflow, store = noting("a", []), Filmed()
    live(workflow, store, ends(workflow))
    image = image_at(store, 0.5)
    image._runs[1] = msgspec.structs.replace(image._runs[1], recoveries=4)

    async def cancel(runtime: Runtime[object]) -> None:
        number = image.ask(RUN, "cancel")
        await trio.sleep(1)
        assert image.outcomes[number] == ""

    live(workflow, image, cancel, resume="manual")
    assert live(workflow, image, ends(workflow)).status is RunStatus.CANCELLED

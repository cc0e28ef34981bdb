"""What a run finds again, at each place where it can have been left."""

from __future__ import annotations

import traceback
from typing import cast

import msgspec
import pytest
import trio
from images import RUN, Filmed, records_of, utcnow
from journal_lives import Body, Flow, Result, ends, image_at, live, noting

from understudy import (
    Attempt,
    Budget,
    Cause,
    Context,
    RetryConfig,
    RunStatus,
    Runtime,
    StepError,
    cascade,
    child,
    each,
    named_function,
    parallel,
    pause,
    quorum,
    repeat,
    sequence,
    step,
)
from understudy.handle import RunHandle
from understudy.journal.memory import MemoryStore
from understudy_protocols.errors import (
    JournalBusyError,
    JournalWriteError,
    RunHeldError,
    RunSuspendedError,
    RuntimeFailed,
)
from understudy_protocols.journal import Batch
from understudy_protocols.records import (
    Begun,
    Decided,
    Ended,
    Finished,
    Retrying,
)

# --- nothing twice ------------------------------------------------------------


@pytest.mark.parametrize("time", [0.5, 1.5, 2.5])
def test_a_step_in_flight_runs_again_under_the_same_key_and_no_other_does(
    time: float,
) -> None:
    notes: list[str] = []
    workflow = sequence(*[noting(name, notes) for name in "abc"])
    store = Filmed()
    live(workflow, store, ends(workflow))
    before, notes[:] = list(notes), []
    result = live(workflow, image_at(store, time), ends(workflow), start=time)
    assert notes == before[int(time) :]
    assert result.value == "c"
    assert [one.path for one in result.steps] == [*"abc"]


def test_items_that_are_done_are_not_done_again_and_the_others_go_on() -> None:
    done: list[object] = []

    async def body(context: Context[object]) -> object:
        await trio.sleep(1)
        done.append(context.item)
        return context.item

    item = step(name="item", output=int)(body)
    workflow: Flow = each(item, over=_thousand, max_concurrent=50)
    store = Filmed()
    live(workflow, store, ends(workflow))
    done.clear()
    image = image_at(store, 7.5)
    result = live(workflow, image, ends(workflow))
    assert sorted(done) == list(range(350, 1000))  # type: ignore[type-var]
    assert result.value == tuple(range(1000))


def _thousand(_: Context[object]) -> tuple[int, ...]:
    return tuple(range(1000))


def test_what_the_users_code_decided_is_not_asked_again() -> None:
    """It would say something else each time."""
    asked: list[str] = []

    def changes(what: str) -> bool:
        asked.append(what)
        return asked.count(what) == 2

    async def one(context: Context[object]) -> object:
        await trio.sleep(1)
        return (context.round, context.item, context.input)

    thing = step(name="thing", output=tuple)(one)

    def over(_: Context[object]) -> tuple[int, ...]:
        asked.append("over")
        return (len(asked), len(asked) + 1)

    def given(_: Context[object]) -> object:
        asked.append("input")
        return f"asked {len(asked)}"

    workflow: Flow = sequence(
        repeat(
            thing,
            until=named_function("until", lambda _: changes("until")),
            max_rounds=5,
            name="loop",
        ),
        cascade(
            thing.named("low"),
            thing.named("high"),
            accept=named_function("accept", lambda _: changes("accept")),
        ),
        each(thing.named("one"), over=named_function("over", over), name="all"),
        child(
            thing.named("inner"), input=named_function("given", given), name="within"
        ),
    )
    store = Filmed()
    whole = live(workflow, store, ends(workflow))
    assert asked == ["until", "until", "accept", "over", "input"]
    value = whole.outputs
    seen: set[int] = set()
    for at, image in store.images:
        asked.clear()
        decided = [one for one in records_of(image) if isinstance(one, Decided)]
        again = live(workflow, image.copy(), ends(workflow), start=at)
        seen.add(len(decided))
        for count, question in [(2, "until"), (3, "accept"), (4, "over"), (5, "input")]:
            assert (len(decided) >= count) == (question not in asked)
        if len(decided) == 5:
            assert again.outputs == value
    assert seen == set(range(6))


# --- attempts, waits, deadlines -----------------------------------------------


def test_attempts_go_on_counting_and_a_backoff_goes_on_where_it_was() -> None:
    made: list[tuple[int, float]] = []

    async def body(context: Context[object], attempt: Attempt[object]) -> object:
        made.append((attempt.number, trio.current_time()))
        raise StepError("no", cause=Cause.SERVER)

    fails: Flow = step(
        name="fails",
        output=str,
        retry=RetryConfig(max_attempts=3, backoff_base=10.0, jitter=0.0),
    )(body)
    store = Filmed()
    live(fails, store, ends(fails))
    assert [number for number, _ in made] == [1, 2, 3]
    at = made[-1][1]
    made.clear()
    left = 4.0
    result = live(fails, image_at(store, at - left), ends(fails), start=at - left)
    assert [number for number, _ in made] == [3]
    assert made[0][1] == pytest.approx(left)
    assert result.steps[0].number == 3
    assert len(result.steps[0].attempts) == 3


def test_a_clock_that_was_set_back_lets_nothing_wait_longer_than_it_was_to() -> None:
    async def body(context: Context[object], attempt: Attempt[object]) -> object:
        if attempt.number == 1:
            raise StepError("no", cause=Cause.SERVER)
        return "done"

    retry = RetryConfig(max_attempts=2)  # the first wait is of one second
    again: Flow = step(name="again", output=str, retry=retry)(body)
    asked: Flow = pause("ask", output=str, timeout=1.0, default="nobody")
    for workflow, value in [(again, "done"), (sequence(asked, name="w"), "nobody")]:
        store = Filmed()
        live(workflow, store, ends(workflow))
        image = image_at(store, 0.5)
        result = live(workflow, image, ends(workflow), start=-1_000_000.0)
        assert result.value == value
        assert result.duration == pytest.approx(1.0)


def test_a_pause_waits_for_ever_when_the_program_limits_it_no_more() -> None:
    limited: Flow = sequence(pause("ask", output=str, timeout=8.0), name="w")
    endless: Flow = sequence(pause("ask", output=str), name="w")
    store = Filmed()
    live(limited, store, ends(limited))

    async def look(runtime: Runtime[object]) -> Result:
        await trio.sleep(100.0)
        runtime.answer(RUN, "ask", "yes")
        return await runtime.get(RUN).result()

    assert live(endless, image_at(store, 2.0), look, start=2.0).value == "yes"


def test_a_deadline_stands_still_while_no_process_has_the_run() -> None:
    notes: list[str] = []
    workflow = sequence(*[noting(name, notes, takes=2.0) for name in "abc"])
    store = Filmed()
    live(workflow, store, ends(workflow, deadline=5.0))
    image = image_at(store, 4.5)
    result = live(workflow, image, ends(workflow), start=10_000.0)
    assert result.status is RunStatus.EXPIRED
    # Four seconds are on record: one is left.
    assert result.duration == pytest.approx(5.0)


def _answered(workflow: Flow, pause: str, deadline: float) -> Body[Result]:
    async def body(runtime: Runtime[object]) -> Result:
        handle = await runtime.submit(workflow, "input", run_id=RUN, deadline=deadline)
        if await handle.wait(RunStatus.PAUSED) is RunStatus.PAUSED:
            await trio.sleep(100)
            runtime.answer(RUN, pause, "yes")
        return await handle.result()

    return body


ASK: Flow = pause("ask", output=str)
WORK = noting("work", [], takes=3.0)


@pytest.mark.parametrize(
    ("first", "active"),
    [
        (ASK, 0.0),
        # One branch works for a while, in which the other one waits.
        (parallel(ASK, WORK, name="both"), 3.0),
        (parallel(ASK, sequence(WORK, WORK.named("more")), name="both"), 6.0),
        # One that waits is called off, and holds the clock no more.
        (parallel(ASK, ASK.named("other"), join=quorum(1), name="both"), 0.0),
    ],
)
def test_a_deadline_counts_no_pause_of_an_earlier_life(
    first: Flow, active: float
) -> None:
    """After a crash at any moment as much time is left as there was."""
    rest = [noting(name, [], takes=2.0) for name in "bc"]
    workflow: Flow = sequence(first, *rest)
    for deadline, status in [
        (active + 4.1, RunStatus.COMPLETED),
        (active + 3.9, RunStatus.EXPIRED),
    ]:
        body, store = _answered(workflow, "ask", deadline), Filmed()
        assert live(workflow, store, body).status is status
        for at, image in store.images:
            assert live(workflow, image.copy(), body, start=at).status is status


def test_a_deadline_does_not_count_the_time_in_line_of_an_earlier_life() -> None:

    async def body(context: Context[float]) -> float:
        await trio.sleep(context.input)
        return trio.current_time()

    sleeps = cast("Flow", step(body))
    workflow = sequence(*[sleeps.named(name) for name in "abc"])

    async def begin(runtime: Runtime[object]) -> None:
        await runtime.submit(workflow, 20.0, run_id="first")
        await runtime.run(workflow, 1.0, run_id=RUN, deadline=4.0)

    async def go_on(runtime: Runtime[object]) -> Result:
        return await runtime.get(RUN).result()

    first, second = Filmed(), Filmed()
    live(workflow, first, begin)
    second.__dict__.update(image_at(first, 1.5).__dict__)
    assert live(workflow, second, go_on, max_runs=1).status is RunStatus.COMPLETED
    # There it began after 60 s in line, and had done one more step.
    result = live(workflow, image_at(second, 61.5), go_on)
    assert result.status is RunStatus.COMPLETED
    assert result.duration == pytest.approx(3.0)


def test_a_run_that_expires_on_the_calendar_has_expired_when_it_is_found_late() -> None:
    notes: list[str] = []
    workflow = sequence(*[noting(name, notes, takes=2.0) for name in "abc"])
    store = Filmed()
    expires_at = utcnow(5.0)
    live(workflow, store, lambda runtime: _submit(runtime, workflow, expires_at))
    notes.clear()
    result = live(workflow, image_at(store, 3.0), ends(workflow), start=100.0)
    assert result.status is RunStatus.EXPIRED


async def _submit(runtime: Runtime[object], workflow: Flow, moment: object) -> Result:
    handle = await runtime.submit(
        workflow,
        "input",
        run_id=RUN,
        expires_at=moment(),  # type: ignore[operator]
    )
    return await handle.result()


# --- pauses --------------------------------------------------------------------


def test_a_pause_waits_through_restarts_and_is_answered_in_a_later_life() -> None:
    notes: list[str] = []
    workflow: Flow = sequence(
        noting("a", notes), pause("ask", output=str), noting("b", notes)
    )
    store = MemoryStore()

    async def begin(runtime: Runtime[object]) -> None:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        assert await handle.wait(RunStatus.PAUSED) is RunStatus.PAUSED

    async def look(runtime: Runtime[object]) -> None:
        handle = runtime.get(RUN)
        await trio.sleep(1)
        assert (handle.status, handle.pauses) == (RunStatus.PAUSED, ("ask",))

    async def answer(runtime: Runtime[object]) -> Result:
        handle = runtime.get(RUN)
        runtime.answer(RUN, "ask", "yes")
        return await handle.result()

    live(workflow, store, begin)
    stored = store.find(RUN)
    assert stored is not None
    assert stored.status is RunStatus.PAUSED
    for _ in range(10):  # to wait is not to run: no number of lives is too many
        live(workflow, store, look)
    result = live(workflow, store, answer)
    assert result.outputs["ask"] == "yes"
    assert [note[0] for note in notes] == ["a", "b"]


def test_the_time_of_a_pause_is_that_of_the_calendar() -> None:
    workflow: Flow = pause("ask", output=str, timeout=100.0, default="late")
    store = Filmed()
    live(workflow, store, ends(workflow))
    took: list[float] = []

    async def timed(runtime: Runtime[object]) -> Result:
        result = await ends(workflow)(runtime)
        took.append(trio.current_time())
        return result

    for start, left in [(30.0, 70.0), (99.0, 1.0), (5_000.0, 0.0)]:
        result = live(workflow, image_at(store, 1.0), timed, start=start)
        assert result.value == "late"
        assert took.pop() == pytest.approx(left, abs=0.01)


# --- steps that must not be repeated --------------------------------------------


def test_a_step_that_must_not_be_repeated_is_on_record_before_it_begins() -> None:
    begun: list[bool] = []
    store = Filmed()

    async def body(context: Context[object]) -> object:
        begun.append(any(isinstance(one, Begun) for one in records_of(store)))
        await trio.sleep(5)
        return "paid"

    pays: Flow = step(name="pays", output=str, replay_safe=False)(body)
    live(pays, store, ends(pays))
    assert begun == [True]
    image = image_at(store, 2.0)
    with pytest.raises(RunHeldError, match="pays had begun") as held:
        live(pays, image, ends(pays))
    assert held.value.reason == "unknown_outcome"
    assert begun == [True]
    # It stays so, and is not taken for one that a process died over.
    for _ in range(7):
        with pytest.raises(RunHeldError, match="unknown_outcome"):
            live(pays, image, ends(pays))
    stored = image.find(RUN)
    assert stored is not None
    assert stored.status is RunStatus.HELD


def test_a_step_that_was_called_off_holds_no_run_that_goes_on_without_it() -> None:
    async def body(context: Context[object]) -> object:
        notes.append("pays")
        await trio.sleep(5)
        return "paid"

    notes: list[str] = []
    pays: Flow = step(name="pays", output=str, replay_safe=False)(body)
    either = cast("Flow", parallel(pays, noting("a", notes), join=quorum(1)))
    workflow = sequence(either, noting("b", notes, takes=3.0))
    store = Filmed()
    live(workflow, store, ends(workflow))
    with pytest.raises(RunHeldError, match="pays had begun"):
        live(workflow, image_at(store, 0.5), ends(workflow))
    notes.clear()
    assert live(workflow, image_at(store, 2.0), ends(workflow)).value == "b"
    assert [note[0] for note in notes] == ["b"]


def test_a_run_that_processes_die_of_is_held_in_the_end() -> None:
    notes: list[str] = []
    workflow = noting("a", notes)
    store = Filmed()
    live(workflow, store, ends(workflow))
    image = image_at(store, 0.5)
    for _ in range(4):
        # A process that dies leaves what it had written at first.
        film = Filmed()
        film.__dict__.update(image.__dict__ | {"images": []})
        live(workflow, film, ends(workflow))
        image = film.images[0][1].copy()
    with pytest.raises(RunHeldError, match="5 processes have died") as held:
        live(workflow, image, ends(workflow))
    assert held.value.reason == "poisoned"


# --- the end ---------------------------------------------------------------------


def test_a_run_that_is_over_is_found_again_with_its_result_and_not_run() -> None:
    notes: list[str] = []
    workflow = sequence(noting("a", notes), noting("b", notes))
    store = MemoryStore()
    first = live(workflow, store, ends(workflow, budget=Budget(calls=3)))
    notes.clear()
    again = live(workflow, store, ends(workflow))
    assert notes == []
    for what in ("value", "status", "outputs", "attempts", "created_at"):
        assert getattr(again, what) == getattr(first, what)
    assert again.duration == pytest.approx(first.duration, abs=1e-5)


def test_nobody_sees_the_end_of_a_run_before_it_is_on_record() -> None:
    notes: list[str] = []
    workflow = noting("a", notes)
    store = MemoryStore()

    async def body(runtime: Runtime[object]) -> None:
        await runtime.run(workflow, "input", run_id=RUN)
        assert isinstance(records_of(store)[-1], Ended)

    live(workflow, store, body)


def test_a_cancelled_run_stays_cancelled() -> None:
    notes: list[str] = []
    workflow = noting("a", notes)
    store = MemoryStore()

    async def cancel(runtime: Runtime[object]) -> Result:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        await trio.sleep(0.5)
        handle.cancel()
        return await handle.result()

    assert live(workflow, store, cancel).status is RunStatus.CANCELLED
    again = live(workflow, store, ends(workflow))
    assert again.status is RunStatus.CANCELLED
    assert len(notes) == 1


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    ("deadline", "status"), [(9.0, RunStatus.CANCELLED), (5.0, RunStatus.EXPIRED)]
)
def test_a_run_that_ends_before_a_step_is_on_record_stays_as_it_ended(
    fails: bool, deadline: float, status: RunStatus
) -> None:
    # A step of a branch: with one of the run's own it would be over.
    either = cast("Flow", parallel(_fails_or_not("a", fails), name="either"))
    workflow = sequence(either, _fails_or_not("b", False))
    first, again = _cancelled_while_nothing_can_be_written(workflow, deadline)
    for result in (first, again):
        assert (result.status, dict(result.outputs)) == (status, {})
    assert again.failure == first.failure
    assert again.duration == pytest.approx(first.duration)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("deadline", [9.0, 5.0])
def test_a_run_is_over_with_its_last_step_however_long_it_takes_to_be_on_record(
    fails: bool, deadline: float
) -> None:
    workflow = _fails_or_not("a", fails)
    first, again = _cancelled_while_nothing_can_be_written(workflow, deadline)
    status = RunStatus.FAILED if fails else RunStatus.COMPLETED
    for result in (first, again):
        assert result.status is status
        assert dict(result.outputs) == ({} if fails else {"a": "a"})
        assert result.duration == pytest.approx(2.0)
    assert again.failure == first.failure


def _fails_or_not(name: str, fails: bool) -> Flow:
    async def body(context: Context[object]) -> str:
        await trio.sleep(2)
        if fails:
            raise StepError("no", cause=Cause.STEP_ERROR)
        return name

    return step(name=name, output=str)(body)


def _cancelled_while_nothing_can_be_written(
    workflow: Flow, deadline: float
) -> tuple[Result, Result]:
    """Return what comes of a run, in its own process and in the next one."""

    async def end(runtime: Runtime[object]) -> Result:
        handle = await runtime.submit(workflow, "in", run_id=RUN, deadline=deadline)
        await trio.sleep(6)
        handle.cancel()
        return await handle.result()

    store = Failing()
    first = live(workflow, store, end)
    return first, live(workflow, store, ends(workflow, "in"))


def test_a_runtime_that_is_left_suspends_its_runs_and_the_next_one_goes_on() -> None:
    notes: list[str] = []
    workflow = sequence(*[noting(name, notes) for name in "abc"])
    store = MemoryStore()

    async def leave(runtime: Runtime[object]) -> None:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        await trio.sleep(1.5)
        watched.append(handle)
        raise LookupError("enough")

    watched: list[RunHandle[object]] = []
    with pytest.raises(LookupError):
        live(workflow, store, leave)

    async def look() -> None:
        with pytest.raises(RunSuspendedError, match="the next runtime goes on"):
            await watched[0].result()

    trio.run(look)
    for _ in range(6):  # nobody has died: it can be left as often as one likes

        async def glance(runtime: Runtime[object]) -> None:
            await trio.sleep(0.1)
            raise LookupError("enough")

        with pytest.raises(LookupError):
            live(workflow, store, glance)
    result = live(workflow, store, ends(workflow))
    assert result.value == "c"
    assert [note[0] for note in notes[:2]] == ["a", "b"]


# --- the journal itself --------------------------------------------------------------


def test_submitting_returns_when_it_is_safe_that_the_run_was_accepted() -> None:
    store = MemoryStore()
    workflow = noting("a", [])

    async def body(runtime: Runtime[object]) -> None:
        await runtime.submit(workflow, "input", run_id=RUN)
        assert store.find(RUN) is not None

    live(workflow, store, body)


def test_two_runtimes_do_not_execute_the_runs_of_one_journal() -> None:
    store = MemoryStore()
    workflow = noting("a", [])

    async def body(runtime: Runtime[object]) -> None:
        with pytest.raises(JournalBusyError):
            async with Runtime(workflow, journal=store):
                pass

    live(workflow, store, body)


class Failing(MemoryStore):
    """A store that cannot write between two moments."""

    def write(self, batch: Batch) -> None:
        if 1.0 <= trio.current_time() < 9.0:
            raise JournalWriteError("the disk is full")
        super().write(batch)


def test_runs_wait_while_nothing_can_be_written_and_lose_nothing() -> None:
    notes: list[str] = []
    workflow = sequence(*[noting(name, notes, takes=2.0) for name in "ab"])
    store = Failing()

    async def body(runtime: Runtime[object]) -> Result:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        await trio.sleep(5)
        assert [note[0] for note in notes] == ["a"], "what was not safe went on"
        with pytest.raises(Exception, match="the disk is full"):
            await runtime.submit(workflow, "another")
        result = await handle.result()
        assert trio.current_time() >= 11.0
        return result

    assert live(workflow, store, body).value == "b"


def test_async_goes_on_at_once_and_may_repeat_what_was_not_written() -> None:
    notes: list[str] = []
    workflow = sequence(*[noting(name, notes, takes=2.0) for name in "ab"])
    store = Failing()

    async def body(runtime: Runtime[object]) -> Result:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        await trio.sleep(5)
        assert [note[0] for note in notes] == ["a", "b"]
        assert not any(isinstance(one, Finished) for one in records_of(store))
        return await handle.result()

    result = live(workflow, store, body, durability="async")
    assert result.value == "b"


def test_a_large_value_is_kept_once() -> None:
    text = "x" * 50_000

    async def body(context: Context[object]) -> str:
        return text

    big = step(name="big", output=str)(body)
    workflow: Flow = sequence(big, big.named("again"), big.named("more"))
    store = MemoryStore()
    live(workflow, store, ends(workflow))
    assert len(store._blobs) == 1
    assert all(len(content) < 200 for content in store._records[1])
    assert live(workflow, store, ends(workflow)).value == text


def test_each_failed_attempt_is_on_record() -> None:
    async def body(context: Context[object], attempt: Attempt[object]) -> object:
        if attempt.number < 3:
            raise StepError("no", cause=Cause.SERVER)
        return attempt.number

    flaky: Flow = step(name="flaky", output=int, retry=RetryConfig(backoff_base=0))(
        body
    )
    store = MemoryStore()
    live(flaky, store, ends(flaky))
    again = [one.number for one in records_of(store) if isinstance(one, Retrying)]
    assert again == [2, 3]


def test_each_failed_attempt_is_on_record_once_until_the_step_ends() -> None:
    async def body(context: Context[object], attempt: Attempt[object]) -> object:
        await trio.sleep(1.0)
        if attempt.number < 41:
            raise StepError("no", cause=Cause.SERVER)
        return attempt.number

    retry = RetryConfig(max_attempts=41, backoff_base=0)
    stubborn: Flow = step(name="stubborn", output=int, retry=retry)(body)
    store = MemoryStore()
    for start in (0.0, 10.0, 20.0):
        film = Filmed(store)
        live(stubborn, film, ends(stubborn), start=start)
        store = image_at(film, 10.0)
    sizes = [len(one) for one in store._records[1]]
    assert max(sizes[2:]) < 1.2 * min(sizes[1:])

    result = live(stubborn, store, ends(stubborn), start=30.0)
    (entry,) = result.steps
    assert [one.number for one in entry.attempts] == list(range(1, 41))
    assert result.value == 41


def test_a_run_that_cannot_be_read_keeps_no_other_from_going_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notes: list[str] = []
    workflow = noting("a", notes, takes=5.0)
    store = MemoryStore()

    async def leave(runtime: Runtime[object]) -> None:
        await runtime.submit(workflow, "one", run_id=RUN)
        await runtime.submit(workflow, "two", run_id="another")
        raise LookupError("enough")

    with pytest.raises(LookupError):
        live(workflow, store, leave)
    store._records[1][0] = b"\x91\x63"

    async def go_on(runtime: Runtime[object]) -> Result:
        return await runtime.get("another").result()

    assert live(workflow, store, go_on).value == "a"
    assert "the tag 99, which is not known here" in caplog.text
    assert "'the run' stays where it is" in caplog.text


def test_a_held_run_that_is_let_go_may_die_as_often_again() -> None:
    workflow = noting("a", [])
    store = Filmed()
    live(workflow, store, ends(workflow))
    image = image_at(store, 0.5)
    image._runs[1] = msgspec.structs.replace(image._runs[1], recoveries=4)
    with pytest.raises(RunHeldError, match="poisoned"):
        live(workflow, image, ends(workflow))
    film = Filmed()
    film.__dict__.update(image.__dict__ | {"images": []})

    async def retry(runtime: Runtime[object]) -> Result:
        return await runtime.retry(RUN).result()

    assert live(workflow, film, retry).value == "a"
    assert film.images[-1][1]._runs[1].recoveries == 0


class Broken(MemoryStore):
    """A store that cannot write from some moment on."""

    def write(self, batch: Batch) -> None:
        if trio.current_time() >= 1.0:
            raise JournalWriteError("the disk is full")
        super().write(batch)


def test_a_runtime_that_cannot_write_for_a_minute_fails_and_its_runs_are_kept() -> None:
    notes: list[str] = []
    workflow = sequence(*[noting(name, notes, takes=2.0) for name in "ab"])
    store = Broken()

    async def body(runtime: Runtime[object]) -> None:
        await runtime.submit(workflow, "input", run_id=RUN)
        try:
            await trio.sleep_forever()
        finally:
            assert trio.current_time() >= 61

    with pytest.raises(RuntimeFailed, match="root/journal") as failed:
        live(workflow, store, body)
    reasons = "".join(traceback.format_exception(failed.value))
    assert "the disk is full" in reasons
    assert [note[0] for note in notes] == ["a"]
    assert live(workflow, store.copy(), ends(workflow)).value == "b"


def test_a_run_takes_room_in_proportion_to_its_steps() -> None:
    def size(steps: int) -> int:
        workflow = sequence(*[noting(f"s{n}", [], takes=0.0) for n in range(steps)])
        store = MemoryStore()
        live(workflow, store, ends(workflow))
        return sum(map(len, store._records[1]))

    assert size(100) <= 12 * size(10)


# --- ids ----------------------------------------------------------------------


def test_ids_in_a_journal_follow_time_and_no_seed_gives_one_of_them_again() -> None:
    workflow = noting("a", [])
    store = MemoryStore()

    async def body(runtime: Runtime[object]) -> list[str]:
        return [(await runtime.run(workflow, n)).run_id for n in range(5)]

    ids = [*live(workflow, store, body), *live(workflow, store, body, start=60)]
    assert ids == sorted(set(ids))
    assert {len(one) for one in ids} == {32}

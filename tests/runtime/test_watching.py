"""Events: what those who watch runs are told, and that watching changes nothing."""

from __future__ import annotations

import pytest
import trio
from run_probe import asking, failing, scripted, seeded

import understudy.watching
from understudy import (
    Attempt,
    Cause,
    Context,
    RunEvent,
    RunStatus,
    Runtime,
    sequence,
    step,
)
from understudy.testing import run_seeded


@step
async def first(context: Context[object], attempt: Attempt[object]) -> int:
    if attempt.number == 1:
        raise ConnectionError("gone")
    attempt.emit("half way")
    return 1


@step
async def second(context: Context[object]) -> int:
    await trio.sleep(1)
    return 2


flow = sequence(first, second, name="flow")


@seeded
def test_a_stream_has_the_events_of_its_run_from_start_to_end(seed: int) -> None:
    async def main() -> list[tuple[str, str, float]]:
        async with Runtime(flow) as runtime:
            await runtime.submit(flow, 0)
            async with runtime.stream(flow, 0) as stream:
                seen = [event async for event in stream]
                assert (await stream.result()).value == 2
                assert {event.run_id for event in seen} == {stream.run_id}
        return [(event.kind, event.path, event.time) for event in seen]

    assert run_seeded(main, seed=seed) == [
        ("accepted", "", 0.0),
        ("step_started", "first", 0.0),
        ("attempt_failed", "first", 0.0),
        ("waiting", "first", 0.0),
        ("step_started", "first", 1.0),
        ("emitted", "first", 1.0),
        ("step_finished", "first", 1.0),
        ("step_started", "second", 1.0),
        ("step_finished", "second", 2.0),
        ("ended", "", 2.0),
    ]


@seeded
def test_a_wait_within_a_step_has_a_beginning_and_an_end(seed: int) -> None:
    models = {"m": scripted(failing(Cause.SERVER), "hello")}

    async def main() -> list[tuple[str, float, int, str]]:
        async with (
            Runtime(asking, models=models) as runtime,
            runtime.stream(asking, 0) as stream,
        ):
            seen = [event async for event in stream]
        waits = [event for event in seen if event.kind.startswith("wait")]
        return [(one.kind, one.time, one.attempt, one.detail) for one in waits]

    assert run_seeded(main, seed=seed) == [
        ("waiting", 0.0, 2, "server: backoff, 1 s"),
        ("waited", 1.0, 2, "server: backoff, 1 s"),
    ]


@seeded
def test_leaving_a_stream_early_cancels_its_run(seed: int) -> None:
    async def main() -> None:
        async with Runtime(flow) as runtime:
            async with runtime.stream(flow, 0) as stream:
                async for event in stream:
                    if event.kind == "waiting":
                        break
            assert (await stream.result()).status is RunStatus.CANCELLED
            assert runtime._flow.observers == []
            assert trio.current_time() == 0.0

    run_seeded(main, seed=seed)


@seeded
def test_a_slow_watcher_misses_the_newest_and_is_told_how_many(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(understudy.watching, "BUFFERED_EVENTS", 3)

    async def main() -> tuple[list[str], int]:
        async with Runtime(flow) as runtime, runtime.events() as events:
            result = await runtime.run(flow, 0)
            assert result.value == 2
            seen: list[RunEvent] = [await anext(events) for _ in range(3)]
            return [event.kind for event in seen], events.missed

    kinds, missed = run_seeded(main, seed=seed)
    assert kinds == ["accepted", "step_started", "attempt_failed"]
    assert missed == 7


@seeded
def test_the_events_of_one_run_end_with_it(seed: int) -> None:
    async def main() -> str:
        async with Runtime(flow) as runtime, runtime.events("mine") as events:
            await runtime.submit(flow, 0)
            await runtime.submit(flow, 0, run_id="mine")
            seen = [event async for event in events]
            assert {event.run_id for event in seen} == {"mine"}
            return seen[-1].kind

    assert run_seeded(main, seed=seed) == "ended"


@seeded
def test_leaving_the_stream_of_a_run_begun_before_leaves_that_run_alone(
    seed: int,
) -> None:
    async def main() -> None:
        async with Runtime(flow) as runtime:
            handle = await runtime.submit(flow, 0, run_id="mine")
            async with runtime.stream(flow, 0, run_id="mine") as stream:
                assert (await anext(stream)).run_id == "mine"
            assert trio.current_time() < 2.0
            assert (await handle.result()).value == 2
            assert (await stream.result()).value == 2
            assert runtime._flow.observers == []

    run_seeded(main, seed=seed)


@seeded
def test_the_stream_of_a_run_that_is_over_at_once_ends(seed: int) -> None:
    async def main() -> list[str]:
        async with (
            Runtime(flow) as runtime,
            runtime.stream(flow, 0, deadline=0) as stream,
        ):
            return [event.kind async for event in stream]

    assert run_seeded(main, seed=seed) == ["accepted", "ended"]


@seeded
def test_the_end_of_a_run_is_told_though_its_watcher_is_behind(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(understudy.watching, "BUFFERED_EVENTS", 2)

    async def main() -> list[str]:
        async with Runtime(flow) as runtime, runtime.stream(flow, 0) as stream:
            await stream.result()
            return [event.kind async for event in stream]

    assert run_seeded(main, seed=seed) == ["accepted", "step_started", "ended"]


@seeded
def test_the_events_of_all_runs_end_with_the_runtime(seed: int) -> None:
    async def main() -> list[str]:
        kinds: list[str] = []

        async def watch(runtime: Runtime[object], opened: trio.Event) -> None:
            async with runtime.events() as events:
                opened.set()
                kinds.extend([event.kind async for event in events])

        async with trio.open_nursery() as nursery, Runtime(flow) as runtime:
            opened = trio.Event()
            nursery.start_soon(watch, runtime, opened)
            await opened.wait()
            await runtime.submit(flow, 0)
        async with runtime.events() as late:
            assert [event async for event in late] == []
        return kinds

    assert run_seeded(main, seed=seed)[-1] == "ended"

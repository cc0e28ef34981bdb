"""Errors in groups, cancellations that went astray, and what ends the process (S33 to S35)."""

from __future__ import annotations

import pytest
import trio
from step_actor_probe import let_out_cancelled
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy_actors.supervisor import supervisor_child
from understudy_protocols.errors import RuntimeFailed, StartFailedError
from understudy_protocols.supervision import (
    ChildSpec,
    ExitKind,
    Kill,
    Life,
    Restart,
    Start,
)


class Clean(Exception):
    """Raised while cleaning up."""


async def fails_in_nurseries(life: Life) -> None:
    life.ready()

    async def fail() -> None:
        raise Boom("leaf")

    async with trio.open_nursery() as outer, trio.open_nursery() as inner:
        outer.start_soon(trio.sleep_forever)
        inner.start_soon(fail)
        await trio.sleep_forever()


both = ExceptionGroup("two", [Boom("one"), ValueError("two")])


async def fails_twice(life: Life) -> None:
    life.ready()
    raise both


async def fails_in_clean_up(life: Life) -> None:
    life.ready()
    try:
        await trio.sleep_forever()
    finally:
        raise Clean


@pytest.mark.parametrize("seed", SEEDS)
def test_s033_a_group_of_one_is_classified_by_its_leaf(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        child = ChildSpec("A", fails_in_nurseries, restart=Restart.TEMPORARY)
        async with probe.system([child]):
            await settle()
        (end,) = probe.ends("root/A")
        assert end.kind is ExitKind.CRASH
        assert isinstance(end.cause, Boom)

    run(main, seed)


async def leaks_beside_an_error(life: Life) -> None:
    life.ready()
    stray = await let_out_cancelled()
    raise BaseExceptionGroup("two", [stray, Boom("the error")])


def test_s033_cancelled_beside_an_error_is_the_error() -> None:
    async def main() -> None:
        probe = Probe()
        child = ChildSpec("A", leaks_beside_an_error, restart=Restart.TEMPORARY)
        async with probe.system([child]):
            await settle()
        (end,) = probe.ends("root/A")
        assert end.kind is ExitKind.CRASH
        assert isinstance(end.cause, Boom)

    run(main)


def test_s033_a_group_of_several_is_a_crash_that_carries_the_group() -> None:
    async def main() -> None:
        probe = Probe()
        child = ChildSpec("A", fails_twice, restart=Restart.TEMPORARY)
        async with probe.system([child]):
            await settle()
        (end,) = probe.ends("root/A")
        assert end.kind is ExitKind.CRASH
        assert end.cause is both

    run(main)


async def fails_in_clean_up_beside_others(life: Life) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        await fails_in_clean_up(life)


async def cuts_itself_and_fails(life: Life) -> None:
    life.scope.cancel()  # type: ignore[attr-defined] # what a child does not see, but has
    await fails_in_clean_up_beside_others(life)


@pytest.mark.parametrize("code", [fails_in_clean_up, fails_in_clean_up_beside_others])
@pytest.mark.parametrize("shutdown", [1.0, Kill.AT_ONCE])
def test_s033_an_error_in_the_clean_up_after_a_cut_is_the_cause_of_the_cut(
    code: Start, shutdown: float | Kill
) -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([ChildSpec("A", code, shutdown=shutdown)]):
            pass
        (end,) = probe.ends("root/A")
        assert end.kind is ExitKind.KILLED
        assert isinstance(end.cause, Clean)

    run(main)


def test_s033_an_error_in_the_clean_up_of_a_late_start_is_the_cause_of_the_timeout() -> (
    None
):
    async def never_ready(life: Life) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Clean

    async def main() -> None:
        probe = Probe()
        async with probe.system([]) as system:
            with pytest.raises(StartFailedError, match="over its time") as caught:
                await system.root.start_child(ChildSpec("A", never_ready))
            assert isinstance(caught.value.__cause__, Clean)
        (end,) = probe.ends("root/A")
        assert (end.kind, end.cause) == (ExitKind.TIMEOUT, caught.value.__cause__)

    run(main)


def test_s033_a_child_that_cuts_itself_and_fails_is_caught_outside_its_scope() -> None:
    async def main() -> None:
        probe = Probe()
        code = cuts_itself_and_fails
        async with probe.system([ChildSpec("A", code, restart=Restart.TEMPORARY)]):
            await settle()
        (end,) = probe.ends("root/A")
        assert end.kind is ExitKind.KILLED
        assert isinstance(end.cause, Clean)

    run(main)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_s034_what_ends_the_process_ends_the_root_in_order(
    interrupt: BaseException, deep: bool, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        inner = [probe.child("B"), probe.child("C"), probe.child("D")]
        if deep:
            inner = [supervisor_child("S", supervising(*inner))]

        async def scene() -> None:
            async with probe.system([probe.child("A"), *inner]):
                probe.crash("C", interrupt)
                await trio.sleep_forever()

        with pytest.raises(type(interrupt)) as caught:
            await scene()
        assert caught.value is interrupt
        assert probe.log[4:] == ["end C", "stop D", "stop B", "stop A"]

    run(main, seed)


def test_s034_also_when_it_comes_during_the_stop() -> None:
    async def ends_it(life: Life) -> None:
        life.ready()
        await life.wait_stop()
        raise SystemExit(7)

    async def main() -> None:
        probe = Probe()
        with pytest.raises(SystemExit):
            async with probe.system([probe.child("A"), ChildSpec("B", ends_it)]):
                pass
        assert probe.log == ["init A", "stop A"]

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s035_a_stray_cancelled_is_a_crash(seed: int) -> None:
    async def leaks(life: Life) -> None:
        life.ready()
        raise await let_out_cancelled()

    async def main() -> None:
        probe = Probe()
        child = ChildSpec("A", leaks, restart=Restart.TEMPORARY)
        async with probe.system([child]):
            await settle()
        (end,) = probe.ends("root/A")
        assert end.kind is ExitKind.CRASH
        assert isinstance(end.cause, RuntimeError)
        assert isinstance(end.cause.__cause__, trio.Cancelled)

    run(main, seed)


async def leaks_beside_errors(life: Life) -> None:
    life.ready()
    stray = await let_out_cancelled()
    raise BaseExceptionGroup("three", [stray, *both.exceptions])


def test_s033_several_errors_beside_a_cancelled_end_the_child_and_no_more() -> None:
    async def main() -> None:
        probe = Probe()
        child = ChildSpec("A", leaks_beside_errors, restart=Restart.TEMPORARY)
        async with probe.system([child, probe.child("B")]) as system:
            await settle()
            assert [child.id for child in system.root.children()] == ["B"]
        (end,) = probe.ends("root/A")
        assert end.kind is ExitKind.CRASH
        rest = ExceptionGroup("three", [*both.exceptions])
        assert repr(end.cause) == repr(rest)

    run(main)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_s159_at_no_way_in_or_out_is_a_group_made_of_a_single_cause(
    deep: bool, seed: int
) -> None:
    """Where the leaf fails does not matter: at the start, by hand, or later."""

    async def unready_code(life: Life) -> None:
        async with trio.open_nursery() as outer, trio.open_nursery():
            outer.start_soon(fail)

    async def fail() -> None:
        raise Boom("leaf")

    def above(child: ChildSpec) -> ChildSpec:
        below = supervising(child, intensity=0)
        return supervisor_child("S", below) if deep else child

    async def main() -> None:
        unready = above(ChildSpec("A", unready_code))
        with pytest.raises(StartFailedError) as caught:
            async with Probe().system([unready]):
                pytest.fail("the body must not run")
        assert isinstance(caught.value.__cause__, Boom)
        async with Probe().system([]) as system:
            with pytest.raises(StartFailedError) as caught:
                await system.root.start_child(unready)
            assert isinstance(caught.value.__cause__, Boom)

        async def give_up() -> None:
            spec = supervising(above(ChildSpec("A", fails_in_nurseries)), intensity=0)
            async with Probe().system(spec):
                await trio.sleep_forever()

        with pytest.raises(RuntimeFailed) as failed:
            await give_up()
        assert isinstance(failed.value.__cause__, Boom)

    run(main, seed)

"""The whole system: plain exceptions, cancellation, Ctrl-C (S86, S159 to S162)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from random import Random

import pytest
import trio
import trio.testing
from tree_probe import (
    SEEDS,
    Boom,
    Probe,
    assert_accepted,
    run,
    settle,
    supervising,
)

from understudy_actors.supervisor import Supervisor
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import ConfigError
from understudy_protocols.supervision import (
    ChildSpec,
    Life,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import (
    AdminError,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_s159_what_the_body_raises_leaves_as_the_same_object(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        boom = Boom("body")

        async def scene() -> None:
            async with probe.system([probe.child("A"), probe.child("B")]):
                raise boom

        with pytest.raises(Boom) as caught:
            await scene()
        assert caught.value is boom
        assert probe.log[2:] == ["stop B", "stop A"]

    run(main, seed)


def test_s159_a_failure_of_the_root_is_noted_on_what_the_body_raises() -> None:
    async def main() -> None:
        probe = Probe()
        boom = Boom("body")

        async def scene() -> None:
            async with probe.system(supervising(probe.child("A"), intensity=0)):
                try:
                    probe.crash("A")
                    await trio.sleep_forever()
                finally:
                    raise boom

        with pytest.raises(Boom) as caught:
            await scene()
        assert caught.value is boom
        assert "moreover, the runtime failed" in caught.value.__notes__[0]

    run(main)


def test_s159_a_group_around_the_bodys_cancellation_is_taken_apart() -> None:
    async def main() -> None:
        probe = Probe()

        async def scene() -> None:
            async with probe.system(supervising(probe.child("A"), intensity=0)):
                probe.crash("A")
                try:
                    await trio.sleep_forever()
                except trio.Cancelled as cancelled:
                    group = BaseExceptionGroup("two", [cancelled, Boom("body")])
                    raise group from None

        with pytest.raises(Boom, match="body"):
            await scene()

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s159_a_foreign_task_in_the_nursery_fails_without_a_group(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        boom = Boom("foreign")

        async def foreign() -> None:
            await trio.sleep(1.0)
            raise boom

        async def scene() -> None:
            async with probe.system([probe.child("A"), probe.child("B")]) as system:
                system.nursery.start_soon(foreign)
                await trio.sleep_forever()

        with pytest.raises(Boom) as caught:
            await scene()
        assert caught.value is boom
        assert probe.log[2:] == ["stop B", "stop A"]

    run(main, seed)


async def _restart_stopped(root: Supervisor) -> None:
    await root.restart_child("B")


async def _delete_stopped(root: Supervisor) -> None:
    await root.delete_child("B")


async def _terminate(root: Supervisor) -> None:
    await root.terminate_child("A")


async def _stop(root: Supervisor) -> None:
    await root.stop()


async def _start(root: Supervisor) -> None:
    await root.start_child(Probe().child("C", init_takes=0.5))


CALLS = [_restart_stopped, _delete_stopped, _terminate, _stop, _start]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("passes", range(6))
@pytest.mark.parametrize("seed", SEEDS)
def test_s160_no_admin_call_swallows_a_cancellation(
    call: Callable[[Supervisor], Awaitable[None]], passes: int, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        done = False

        async def caller(scope: trio.CancelScope) -> None:
            nonlocal done
            with scope:
                await call(system.root)
                done = True

        children = [probe.child("A", stop_takes=0.5), probe.child("B", init_takes=0.5)]
        async with probe.system(children) as system, trio.open_nursery() as nursery:
            await system.root.terminate_child("B")
            scope = trio.CancelScope()
            nursery.start_soon(caller, scope)
            for _ in range(passes):
                await trio.lowlevel.checkpoint()
            if passes == 5:
                await settle()
            scope.cancel()
            await settle()
            assert done is not scope.cancelled_caught
        assert not system.lives

    run(main, seed)


@pytest.mark.parametrize("call", CALLS)
def test_s161_every_admin_call_is_a_checkpoint(
    call: Callable[[Supervisor], Awaitable[None]],
) -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([probe.child("A"), probe.child("B")]) as system:
            await system.root.terminate_child("B")
            with trio.testing.assert_checkpoints():
                await call(system.root)
            await system.stop()
            with trio.testing.assert_checkpoints():
                await system.stop()
            with trio.testing.assert_checkpoints():
                await system.root.stop()
            with trio.testing.assert_checkpoints(), pytest.raises(AdminError):
                await system.root.terminate_child("A")

    run(main)


@pytest.mark.parametrize("time", [x * 0.25 for x in range(24)])
@pytest.mark.parametrize("seed", SEEDS)
def test_s160_entering_and_leaving_pass_a_cancellation_on(
    time: float, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child(name, init_takes=0.5, stop_takes=0.5, shutdown=2.0)
            for name in "AB"
        ]
        done = False
        with trio.move_on_after(time) as scope:
            async with probe.system(children):
                await trio.sleep(1.0)
            done = True
        assert scope.cancelled_caught is not done
        assert done is (time > 3.0)
        stopped = [line[-1] for line in probe.log if line.startswith("stop")]
        assert stopped == sorted(stopped, reverse=True)
        assert_accepted(probe.events)

    run(main, seed)


def test_s162_two_systems_share_nothing() -> None:
    async def main() -> None:
        one, two = Probe(), Probe()
        async with one.system(supervising(one.child("A"), intensity=1)) as first:
            second = ActorSystem(
                supervising(two.child("A"), intensity=1),
                random=Random(1),
                on_event=two.events.append,
            )
            async with second:
                await one.crash_and_settle("A")
                await two.crash_and_settle("A")
                assert first.new_id() != second.new_id()
                assert second.new_id() != second.new_id()
            assert one.number("A") == two.number("A") == 2
            assert one.log == ["init A", "end A", "init A"]

    run(main)


def test_s162_one_system_per_thread_works() -> None:
    probes = [Probe() for _ in range(4)]

    def work(probe: Probe) -> None:
        async def main() -> None:
            async with probe.system([probe.child("A")]):
                await probe.crash_and_settle("A")

        trio.run(main)

    threads = [threading.Thread(target=work, args=(probe,)) for probe in probes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = ["init A", "end A", "init A", "stop A"]
    assert [probe.log for probe in probes] == [expected] * 4


def test_the_same_seed_gives_the_same_ids_and_waits() -> None:
    async def main() -> tuple[str, float | None]:
        probe = Probe()
        system = ActorSystem(
            SupervisorSpec((probe.child("A"),)),
            random=Random(7),
            on_event=probe.events.append,
        )
        async with system:
            probe.crash("A")
            await settle()
            return system.new_id(), probe.events[-1].due

    assert run(main, 1) == run(main, 2)


def interrupt() -> None:
    """Do what Ctrl-C does."""
    signal.raise_signal(signal.SIGINT)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C be heard, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("seed", SEEDS)
def test_s086_ctrl_c_in_a_childs_code_is_an_ordered_stop(seed: int) -> None:
    async def main() -> None:
        probe = Probe()

        async def child(life: Life) -> None:
            life.ready()
            await trio.sleep(1.0)
            interrupt()
            probe.log.append("not hurt")
            await life.wait_stop()

        async def scene() -> None:
            children = [probe.child("A"), ChildSpec("B", child), probe.child("C")]
            async with probe.system(children):
                await trio.sleep_forever()

        with pytest.raises(KeyboardInterrupt):
            await scene()
        assert probe.log[2:] == ["not hurt", "stop C", "stop A"]
        assert trio.current_time() == 1.0

    run(main, seed)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_s086_ctrl_c_during_the_stop_cuts_everything(first: bool, seed: int) -> None:
    async def main() -> None:
        probe = Probe()

        async def child(life: Life) -> None:
            life.ready()
            await life.wait_stop()
            await trio.sleep(1.0)
            interrupt()

        async def scene() -> None:
            patient = probe.child("A", stop_takes=60.0, shutdown=60.0)
            async with probe.system([patient, ChildSpec("B", child)]):
                if first:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await scene()
        # The first one hurries an ordered stop, the second one does not wait.
        assert trio.current_time() == (1.0 if first else 11.0)
        assert "stop A" not in probe.log

    run(main, seed)


def test_impossible_timeouts_are_refused() -> None:
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="kill_timeout"):
            ActorSystem(supervising(), kill_timeout=wrong)
    with pytest.raises(ConfigError, match="stop_timeout"):
        ActorSystem(supervising(), stop_timeout=-1.0)


def test_a_child_is_shielded_from_what_happens_outside() -> None:
    async def main() -> None:
        log: list[str] = []

        async def child(life: Life) -> None:
            life.ready()
            await life.wait_stop()
            await trio.sleep(1.0)
            log.append("cleaned up")

        with trio.CancelScope() as scope:
            async with ActorSystem(supervising(ChildSpec("A", child))):
                scope.cancel()
        assert log == ["cleaned up"]

    run(main)

"""What an end leaves behind: results (S97), handles (S102), and reports (S70)."""

from __future__ import annotations

import logging

import pytest
import trio
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.event_log import log_events
from understudy_actors.ref import Ref
from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.restart_policy import NO_BACKOFF, Backoff
from understudy_protocols.supervision import (
    AutoShutdown,
    ChildSpec,
    Life,
    Restart,
    Shutdown,
    Strategy,
)
from understudy_protocols.supervision_records import (
    AdminError,
    ChildState,
    LifeState,
    Refusal,
)

ANY = AutoShutdown.ANY_SIGNIFICANT
ALL = AutoShutdown.ALL_SIGNIFICANT


def finisher(child_id: str, after: float, *, raises: bool = False) -> ChildSpec:
    """Return a significant child that ends after a time, and leaves a result."""

    async def work(life: Life) -> str:
        life.ready()
        with trio.move_on_after(after):
            await life.wait_stop()
            return "stopped"
        if raises:
            raise Shutdown(result=f"{child_id} is done")
        return f"{child_id} is done"

    return ChildSpec(child_id, work, restart=Restart.TRANSIENT, significant=True)


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize(("flag", "winner"), [(ANY, "A"), (ALL, "B")])
@pytest.mark.parametrize("seed", SEEDS)
def test_s097_the_result_of_the_child_that_ended_it_is_the_supervisors(
    flag: AutoShutdown, winner: str, raises: bool, seed: int
) -> None:
    async def main() -> None:
        children = [finisher("A", 1.0, raises=raises), finisher("B", 2.0)]
        spec = supervising(*children, auto_shutdown=flag)
        async with ActorSystem(spec) as system:
            assert system.root.result is None
            assert await system.ended() == f"{winner} is done"
            assert system.root.result == f"{winner} is done"

    run(main, seed)


def test_s097_a_result_goes_up_through_significant_supervisors() -> None:
    async def main() -> None:
        spec = supervising(finisher("A", 1.0), auto_shutdown=ANY)
        for name in ("inner", "outer"):
            child = supervisor_child(
                name, spec, restart=Restart.TRANSIENT, significant=True
            )
            spec = supervising(child, auto_shutdown=ANY)
        async with ActorSystem(spec) as system:
            assert await system.ended() == "A is done"

    run(main)


def test_s097_an_actor_leaves_its_result_by_shutdown() -> None:
    class Adder(Behaviour[int, None]):
        def __init__(self) -> None:
            self.total = 0

        async def handle(self, message: int, actor: Actor[int, None]) -> None:
            self.total += message
            if self.total >= 10:
                raise Shutdown("enough", result=self.total)

    async def main() -> None:
        ref = Ref[int, None]("root/adder")
        child = actor_child(ref, Adder, restart=Restart.TRANSIENT, significant=True)
        async with ActorSystem(supervising(child, auto_shutdown=ANY)) as system:
            for number in (4, 5, 6):
                await ref.tell(number)
            assert await system.ended() == 15

    run(main)


def test_s097_a_stop_by_hand_leaves_no_result() -> None:
    async def main() -> None:
        spec = supervising(finisher("A", 9.0), auto_shutdown=ANY)
        async with ActorSystem(spec) as system:
            root = system.root
            await system.stop()
        assert root.result is None

    run(main)


# How loud it is

NOISY = Backoff(0.1, 0.1, jitter=0.0, reset_after=60.0, critical_after=2)


def test_s070_the_level_rises_after_so_many_failures_and_falls_back() -> None:
    async def main() -> None:
        probe = Probe()
        child = probe.child("A", backoff=NOISY)
        async with probe.system(supervising(child, intensity=100)):
            for pause in (0.0, 1.0, 1.0, 1.0, 61.0, 1.0):
                await trio.sleep(pause)
                await probe.crash_and_settle("A")
            await trio.sleep(1)
        ends = [event for event in probe.events if event.state is LifeState.CRASHED]
        assert [event.failures for event in ends] == [1, 2, 3, 4, 1, 2]
        warning, error = logging.WARNING, logging.ERROR
        levels = [warning, warning, error, error, warning, warning]
        assert [event.level for event in ends] == levels
        waits = [e.level for e in probe.events if e.state is LifeState.BACKING_OFF]
        assert waits == levels

    run(main)


def test_s070_an_end_that_nothing_follows_is_an_error_and_a_life_is_quiet() -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", restart=Restart.TEMPORARY),
            probe.child("B", restart=Restart.TRANSIENT),
            probe.child("C"),
        ]
        below = supervisor_child(
            "S", supervising(*children, intensity=1), restart=Restart.TEMPORARY
        )
        async with probe.system([below]):
            probe.crash("A")
            probe.finish("B")
            await settle()
            await probe.crash_and_settle("C")
            await probe.crash_and_settle("C")
        loud = [(e.path, e.state, e.level) for e in probe.events if e.level > 10]
        crashed, gave_up = LifeState.CRASHED, LifeState.GAVE_UP
        assert loud == [
            ("root/S/A", crashed, logging.ERROR),
            ("root/S/C", crashed, logging.WARNING),
            ("root/S/C", LifeState.RESTARTED, logging.INFO),
            ("root/S/C", crashed, logging.ERROR),
            ("root/S", gave_up, logging.ERROR),
            ("root/S", crashed, logging.ERROR),
        ]

    run(main)


def test_s070_events_can_go_to_a_logger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "understudy.supervision")

    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"), backoff=NO_BACKOFF)
        async with ActorSystem(spec, on_event=log_events()):
            await probe.crash_and_settle("A")

    run(main)
    crashed, restarted = caplog.records
    assert crashed.levelno == logging.WARNING
    assert crashed.getMessage() == (
        "root/A, life 1: crashed, by crash, failure 1 in a row, decision: restart"
    )
    assert crashed.exc_info is not None
    assert crashed.exc_info[0] is Boom
    assert restarted.getMessage() == "root/A, life 2: restarted"


def test_s097_the_handle_of_a_supervisor_below_tells_its_result() -> None:
    async def main() -> None:
        below = supervisor_child(
            "S",
            supervising(finisher("A", 1.0), auto_shutdown=ANY),
            restart=Restart.TEMPORARY,
        )
        async with ActorSystem(supervising(below)) as system:
            handle = system.root.children()[0].value
            assert isinstance(handle, Supervisor)
            await trio.sleep(2)
            assert handle.result == "A is done"
            assert system.root.children() == ()

    run(main)


# Handles

Any = Ref[object, object]


class Echo(Behaviour[object, object]):
    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        return message


def guests() -> ChildSpec:
    """Return a dynamic supervisor of actors, as a child."""
    template = ChildSpec("guest", _never, restart=Restart.TRANSIENT)
    return supervisor_child("S", supervising(template, strategy=Strategy.DYNAMIC))


async def _never(life: Life) -> None:
    raise AssertionError("a template is not started")


async def start_guest(guests: Supervisor, name: str) -> Any:
    ref = Ref[object, object](f"{guests.path}/{name}")
    await guests.start_child(actor_child(ref, Echo, restart=Restart.TRANSIENT))
    return ref


@pytest.mark.parametrize("seed", SEEDS)
def test_s102_a_child_is_terminated_by_its_handle_and_twice_is_no_error(
    seed: int,
) -> None:
    async def main() -> None:
        async with ActorSystem(supervising(guests())) as system:
            below = supervisor_of(system)
            ada = await start_guest(below, "ada")
            bob = await start_guest(below, "bob")
            for _ in range(2):
                await below.terminate(ada)
                assert ada.closed
                assert [child.id for child in below.children()] == ["bob"]
            # The name is used again: that child is another one, and is left alone.
            new = await start_guest(below, "ada")
            await below.terminate(ada)
            assert await new.ask("there?") == "there?"
            assert await bob.ask("there?") == "there?"

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s102_a_foreign_handle_is_not_found_and_unharmed(seed: int) -> None:
    async def main() -> None:
        foreign = Ref[object, object]("root/foreign")
        nobody = Ref[object, object]("root/S/nobody")
        spec = supervising(guests(), actor_child(foreign, Echo))
        async with ActorSystem(spec) as system:
            below = supervisor_of(system)
            namesake = await start_guest(below, "foreign")
            for handle in (foreign, nobody, system.root):
                with pytest.raises(AdminError) as caught:
                    await below.terminate(handle)
                assert caught.value.refusal is Refusal.NOT_FOUND
            assert await foreign.ask("there?") == "there?"
            assert await namesake.ask("there?") == "there?"

    run(main, seed)


def test_s102_a_supervisor_is_terminated_by_the_handle_of_its_life() -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"), intensity=0)
        below = supervisor_child("S", spec, restart=Restart.TRANSIENT)
        async with ActorSystem(supervising(below)) as system:
            first = supervisor_of(system)
            await probe.crash_and_settle("A")
            second = supervisor_of(system)
            assert first is not second
            await system.root.terminate(first)  # that life is over
            assert not second.closed
            await system.root.terminate(second)
            assert second.closed
            assert system.root.children()[0].state is ChildState.STOPPED

    run(main)


def test_s102_a_pending_restart_is_called_off_by_the_handle() -> None:
    async def main() -> None:
        class Broken(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                raise Boom("as told")

        ref = Ref[object, object]("root/broken")
        spec = supervising(actor_child(ref, Broken), backoff=Backoff(5.0, 5.0))
        async with ActorSystem(spec) as system:
            await ref.tell("break")
            await settle()
            await system.root.terminate(ref)
            await trio.sleep(20)
            assert ref.closed
            assert system.root.children()[0].incarnation == 1

    run(main)


def supervisor_of(system: ActorSystem) -> Supervisor:
    value = system.root.children()[0].value
    assert isinstance(value, Supervisor)
    return value

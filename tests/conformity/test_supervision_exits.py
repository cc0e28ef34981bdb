"""How ends are classified, and which of them call for a restart (S27 to S38)."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import attrs
import pytest
import trio
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy_actors.supervisor import supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import ChildEscalatedError, RuntimeFailed
from understudy_protocols.supervision import (
    ChildSpec,
    Escalate,
    Exit,
    ExitKind,
    Kill,
    Life,
    Restart,
    Shutdown,
    Start,
    Strategy,
)
from understudy_protocols.supervision_records import (
    ChildState,
    Decision,
    LifeState,
)


async def returns(life: Life) -> None:
    life.ready()


async def obeys(life: Life) -> None:
    life.ready()
    await life.wait_stop()


async def shuts_down(life: Life) -> None:
    life.ready()
    raise Shutdown


async def crashes(life: Life) -> None:
    life.ready()
    raise Boom


async def times_out(life: Life) -> None:
    life.ready()
    with trio.fail_after(1.0):
        await trio.sleep_forever()


async def hangs(life: Life) -> None:
    life.ready()
    await trio.sleep_forever()


async def never_ready(life: Life) -> None:
    await trio.lowlevel.checkpoint()


async def cuts_itself(life: Life) -> None:
    life.ready()
    life.scope.cancel()  # type: ignore[attr-defined] # what a child does not see, but has
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (returns, ExitKind.NORMAL),
        (obeys, ExitKind.SHUTDOWN),
        (shuts_down, ExitKind.SHUTDOWN),
        (crashes, ExitKind.CRASH),
        (times_out, ExitKind.TIMEOUT),
        (hangs, ExitKind.KILLED),
        (cuts_itself, ExitKind.KILLED),
        (never_ready, ExitKind.START_FAILED),
    ],
)
def test_s027_each_end_has_exactly_one_kind(code: Start, kind: ExitKind) -> None:
    async def main() -> None:
        probe = Probe()
        child = ChildSpec("A", code, restart=Restart.TEMPORARY)
        async with probe.system([]) as system:
            if kind is ExitKind.START_FAILED:
                with pytest.raises(Exception, match="did not start"):
                    await system.root.start_child(child)
            else:
                await system.root.start_child(child)
            await trio.sleep(2.0)
        assert [end.kind for end in probe.ends("root/A")] == [kind]

    run(main)


def test_s027_there_are_no_other_kinds() -> None:
    assert [kind.value for kind in ExitKind] == [
        "normal",
        "shutdown",
        "crash",
        "timeout",
        "killed",
        "start_failed",
        "gave_up",
    ]


def test_s027_a_supervisor_over_budget_ends_with_gave_up() -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"), intensity=0)
        below = supervisor_child("S", spec, restart=Restart.TEMPORARY)
        async with probe.system([below]) as system:
            await probe.crash_and_settle("A")
            assert system.root.children() == ()
        assert [end.kind for end in probe.ends("root/S")] == [ExitKind.GAVE_UP]

    run(main)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (returns, ExitKind.NORMAL),
        (shuts_down, ExitKind.SHUTDOWN),
        (crashes, ExitKind.CRASH),
        (times_out, ExitKind.TIMEOUT),
        (cuts_itself, ExitKind.KILLED),
    ],
)
@pytest.mark.parametrize("restart", list(Restart))
def test_s028_s029_s030_the_restart_type_decides(
    code: Start, kind: ExitKind, restart: Restart
) -> None:
    async def main() -> None:
        probe = Probe()

        async def once(life: Life) -> None:
            await (code if life.number == 1 else obeys)(life)

        async with probe.system([ChildSpec("A", once, restart=restart)]) as system:
            await trio.sleep(2.0)
            statuses = system.root.children()
            if restart is Restart.TEMPORARY:
                assert statuses == ()
                again = ChildSpec("A", obeys, restart=Restart.TEMPORARY)
                await system.root.start_child(again)
            elif restart is Restart.PERMANENT or kind.abnormal:
                assert statuses[0].incarnation == 2
                assert statuses[0].state is ChildState.RUNNING
            else:
                assert statuses[0].state is ChildState.STOPPED
                await system.root.restart_child("A")
                assert system.root.children()[0].incarnation == 2

    run(main)


@pytest.mark.parametrize("crashes_first", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_s030_the_id_of_a_temporary_child_is_free_when_it_has_ended(
    crashes_first: bool, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        child = probe.child("A", restart=Restart.TEMPORARY)
        gone = trio.Event()

        def note(path: str, end: Exit | None) -> None:
            gone.set()

        spec = attrs.evolve(child, on_gone=note)
        async with probe.system(supervising(spec, intensity=0)) as system:
            (probe.crash if crashes_first else probe.finish)("A")
            await gone.wait()
            assert system.root.children() == ()
            assert await system.root.start_child(child) == "A#1"
            await system.root.terminate_child("A")
            assert system.root.children() == ()
            assert await system.root.start_child(child) == "A#1"

    run(main, seed)


@pytest.mark.parametrize("restart", [Restart.PERMANENT, Restart.TRANSIENT])
def test_s028_s029_s032_a_supervisor_that_gave_up_is_restarted(
    restart: Restart,
) -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"), intensity=0)
        below = supervisor_child("S", spec, restart=restart)
        async with probe.system([below]) as system:
            await probe.crash_and_settle("A")
            (end,) = probe.ends("root/S")
            assert (end.kind, end.restarts) == (ExitKind.GAVE_UP, 1)
            assert system.root.children()[0].incarnation == 2
            assert probe.number("A") == 2

    run(main)


def test_s031_a_normal_end_of_a_permanent_child_spends_budget() -> None:
    async def main() -> None:
        probe = Probe()

        async def scene() -> None:
            async with probe.system(supervising(probe.child("A"), intensity=1)):
                probe.finish("A")
                await settle()
                assert probe.number("A") == 2
                probe.finish("A")
                await trio.sleep_forever()

        with pytest.raises(RuntimeFailed) as caught:
            await scene()
        assert caught.value.causes == ()

    run(main)


@pytest.mark.parametrize("escalates", [False, True])
def test_s032_gave_up_of_a_temporary_child_is_reported_or_escalates(
    escalates: bool,
) -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"), intensity=0)
        below = supervisor_child(
            "S", spec, restart=Restart.TEMPORARY, escalates=escalates
        )
        failure: BaseException | None = None
        try:
            async with probe.system([below]):
                await probe.crash_and_settle("A")
                await trio.lowlevel.checkpoint()
        except RuntimeFailed as error:
            failure = error
        assert (failure is not None) is escalates
        (end,) = probe.ends("root/S")
        assert end.state is LifeState.CRASHED
        assert end.decision is (Decision.GIVE_UP if escalates else Decision.FORGET)

    run(main)


def test_a_good_end_of_a_child_that_escalates_is_no_failure() -> None:
    async def main() -> None:
        probe = Probe()
        child = probe.child("A", restart=Restart.TEMPORARY, escalates=True)
        async with probe.system([child]) as system:
            probe.finish("A")
            await settle()
            assert system.root.children() == ()
        assert [end.decision for end in probe.ends("root/A")] == [Decision.FORGET]

    run(main)


def test_a_child_can_ask_its_supervisor_to_give_up() -> None:
    async def main() -> None:
        probe = Probe()
        boom = Boom()
        error = Escalate("hopeless")
        error.__cause__ = boom

        async def scene() -> None:
            async with probe.system([probe.child("A"), probe.child("B")]):
                probe.crash("A", error)
                await trio.sleep_forever()

        with pytest.raises(RuntimeFailed, match="root/A failed for good") as caught:
            await scene()
        assert caught.value.causes[0].__cause__ is error
        assert isinstance(caught.value.causes[0], ChildEscalatedError)
        assert probe.number("A") == 1

    run(main)


class Load:
    """Something that a child is started with."""


def test_s036_the_arguments_of_a_temporary_child_are_its_own_to_drop() -> None:
    async def hold(load: Load, life: Life) -> None:
        life.ready()
        del load
        await life.wait_stop()

    async def main() -> None:
        probe = Probe()
        load = Load()
        alive = weakref.ref(load)
        start = partial(hold, load)
        del load
        async with probe.system([]) as system:
            spec = ChildSpec("A", start, restart=Restart.TEMPORARY)
            await system.root.start_child(spec)
            del spec, start
            await settle()
            gc.collect()
            assert alive() is None

    run(main)


def test_s036_so_are_those_of_a_temporary_child_of_a_dynamic_supervisor() -> None:
    async def hold(load: Load, life: Life) -> None:
        life.ready()
        del load
        await life.wait_stop()

    async def main() -> None:
        template = ChildSpec("T", obeys, restart=Restart.TEMPORARY)
        load = Load()
        alive = weakref.ref(load)
        start = partial(hold, load)
        del load
        spec = supervising(template, strategy=Strategy.DYNAMIC)
        async with Probe().system(spec) as system:
            await system.root.start_child(template.named("A", start))
            del start
            await settle()
            gc.collect()
            assert alive() is None
            assert system.root.count().active == 1

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s037_a_late_end_of_an_earlier_life_changes_nothing(seed: int) -> None:
    async def stubborn(life: Life) -> None:
        life.ready()
        if life.number == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(5.0)
            raise Boom("late")
        await life.wait_stop()

    async def main() -> None:
        probe = Probe()
        child = ChildSpec("A", stubborn, shutdown=1.0)
        async with probe.system([child]) as system:
            await system.root.terminate_child("A")
            assert trio.current_time() == pytest.approx(2.0)
            await system.root.restart_child("A")
            await trio.sleep(5.0)
            (status,) = system.root.children()
            assert status.incarnation == 2
            assert status.state is ChildState.RUNNING
        assert system.stop_report is not None
        assert system.stop_report.clean, "what ended late is not stuck any more"
        ends = [(e.incarnation, e.state) for e in probe.events if e.path == "root/A"]
        assert (1, LifeState.STUCK) in ends
        assert ends.count((1, LifeState.CRASHED)) == 1

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s038_a_crash_is_reported_once_with_all_that_belongs_to_it(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        booms = [Boom(str(number)) for number in range(4)]
        spec = supervising(probe.child("A"), probe.child("B"), period=5.0)
        async with probe.system(spec):
            # The other child's count too; after five seconds none of them does.
            for number, (at, name) in enumerate(
                [(0.0, "A"), (2.0, "B"), (4.0, "A"), (9.0, "A")]
            ):
                await trio.sleep_until(at)
                probe.crash(name, booms[number])
                await settle()
            crashes = [e for e in probe.events if e.state is LifeState.CRASHED]
            told = [
                (e.time, e.path, e.incarnation, e.cause, e.decision, e.restarts)
                for e in crashes
            ]
            again = Decision.RESTART
            assert told == [
                (0.0, "root/A", 1, booms[0], again, 1),
                (2.0, "root/B", 1, booms[1], again, 2),
                (4.0, "root/A", 2, booms[2], again, 3),
                (9.0, "root/A", 3, booms[3], again, 1),
            ]

    run(main, seed)


def test_a_child_killed_at_once_is_not_asked_and_that_is_as_expected() -> None:
    asked: list[str] = []

    async def listens(life: Life) -> None:
        life.on_stop(lambda: asked.append("asked"))
        life.ready()
        try:
            await life.wait_stop()
        finally:
            asked.append("finally")

    async def main() -> None:
        probe = Probe()
        spec = ChildSpec("A", listens, shutdown=Kill.AT_ONCE)
        async with ActorSystem(supervising(spec), on_event=probe.events.append):
            pass
        (end,) = probe.ends("root/A")
        assert end.kind is ExitKind.KILLED
        assert end.state is LifeState.STOPPED
        assert asked == ["finally"]
        assert trio.current_time() == 0.0

    run(main)

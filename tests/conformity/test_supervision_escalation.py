"""Failure on its way up: sub-supervisors, the root, our own mistakes (S71 to S77)."""

from __future__ import annotations

import contextlib

import pytest
import trio
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy_actors.supervision import Supervision
from understudy_actors.supervision_messages import Action, Event, Terminate
from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_actors.supervisor_loop import SupervisorLoop
from understudy_protocols.errors import RestartIntensityError, RuntimeFailed
from understudy_protocols.supervision import ExitKind, Kill, Restart, Strategy
from understudy_protocols.supervision_records import AdminError, LifeState, Refusal


@pytest.mark.parametrize("seed", SEEDS)
def test_s071_a_crash_within_budget_changes_nothing_outside_its_supervisor(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        inner = supervising(
            probe.child("B"), probe.child("C"), strategy=Strategy.ONE_FOR_ALL
        )
        children = [probe.child("A"), supervisor_child("S", inner), probe.child("D")]
        outer = supervising(*children, strategy=Strategy.ONE_FOR_ALL)
        async with probe.system(outer):
            await probe.crash_and_settle("B")
            assert [probe.number(name) for name in "ABCD"] == [1, 2, 2, 1]

    run(main, seed)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.ONE_FOR_ONE, ["init B"]),
        (Strategy.REST_FOR_ONE, ["stop C", "init B", "init C"]),
        (Strategy.ONE_FOR_ALL, ["stop C", "stop A", "init A", "init B", "init C"]),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_s072_a_supervisor_that_gave_up_is_a_child_that_failed(
    seed: int, strategy: Strategy, expected: list[str]
) -> None:
    async def main() -> None:
        probe = Probe()
        inner = supervising(probe.child("B"), intensity=0)
        children = [probe.child("A"), supervisor_child("S", inner), probe.child("C")]
        async with probe.system(supervising(*children, strategy=strategy)):
            log = await probe.crash_and_settle("B")
            assert log == ["end B", *expected]
            (end,) = probe.ends("root/S")
            assert end.kind is ExitKind.GAVE_UP
            assert end.restarts == 1

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s072_a_child_that_fails_the_start_of_a_restarted_supervisor_fails_that_start(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        inner = supervising(probe.child("B"), probe.child("C"))
        children = [probe.child("A"), supervisor_child("S", inner)]
        outer = supervising(*children, strategy=Strategy.ONE_FOR_ALL)
        async with probe.system(outer):
            probe.init_faults["C"] = [Boom()]
            log = await probe.crash_and_settle("A")
            assert log[:3] == ["end A", "stop C", "stop B"]
            assert log[3:8] == ["init A", "init B", "init C", "stop B", "stop A"]
            assert log[8:] == ["init A", "init B", "init C"]
            kinds = [end.kind for end in probe.ends("root/S")]
            assert kinds == [ExitKind.SHUTDOWN, ExitKind.START_FAILED]

    run(main, seed)


def test_s073_a_restarted_supervisor_has_only_the_children_of_its_spec() -> None:
    async def main() -> None:
        probe = Probe()
        inner = supervising(probe.child("B"), intensity=0)
        async with probe.system([supervisor_child("S", inner)]) as system:
            supervisor = system.root.children()[0].value
            assert isinstance(supervisor, Supervisor)
            await supervisor.start_child(probe.child("C"))
            await probe.crash_and_settle("B")
            again = system.root.children()[0].value
            assert isinstance(again, Supervisor)
            assert again is not supervisor
            assert [child.id for child in again.children()] == ["B"]
            with pytest.raises(AdminError) as caught:
                await supervisor.start_child(probe.child("D"))
            assert caught.value.refusal is Refusal.STOPPED

    run(main)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (1, 2), (3, 1), (2, 2)])
@pytest.mark.parametrize("seed", SEEDS)
def test_s074_a_leaf_that_always_crashes_is_started_n_plus_1_times_m_plus_1(
    n: int, m: int, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        leaf = probe.child("A", always_crashes=True)
        inner = supervisor_child("S", supervising(leaf, intensity=n))

        async def scene() -> None:
            async with probe.system(supervising(inner, intensity=m)):
                await trio.sleep_forever()

        with pytest.raises(RuntimeFailed):
            await scene()
        assert probe.log.count("init A") == (n + 1) * (m + 1)

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s075_the_failure_of_the_root_is_one_exception_with_its_origin(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        boom = Boom("leaf")
        inner = supervising(probe.child("A"), intensity=0)
        middle = supervising(supervisor_child("T", inner), intensity=0)

        async def scene() -> None:
            spec = supervising(supervisor_child("S", middle), intensity=0)
            async with probe.system(spec):
                probe.crash("A", boom)
                await trio.sleep_forever()

        with pytest.raises(RuntimeFailed, match="root/S was restarted") as caught:
            await scene()
        assert caught.value.__cause__ is boom
        (cause,) = caught.value.causes
        assert isinstance(cause, RestartIntensityError)
        assert cause.child == "root/S/T"
        assert isinstance(cause.__cause__, RestartIntensityError)
        assert cause.__cause__.child == "root/S/T/A"
        assert cause.__cause__.__cause__ is boom

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s076_the_subtree_is_gone_before_the_block_is_left(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        inner = supervising(probe.child("B"), probe.child("C", stop_takes=2.0))
        children = [probe.child("A"), supervisor_child("S", inner), probe.child("D")]
        with trio.move_on_after(1.0):
            async with probe.system(children):
                await trio.sleep_forever()
        assert probe.log[4:] == ["stop D", "stop C", "stop B", "stop A"]
        assert trio.current_time() == 3.0

    run(main, seed)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("gives up", ["S/A", "S/T/C", "S/T/B", "S/T", "S"]),
        ("is stopped", ["S/T/C", "S/T/B", "S/T", "S/A", "S"]),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_s076_the_subtree_is_gone_before_the_end_of_what_was_above_it(
    how: str, expected: list[str], seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        below = supervising(probe.child("B"), probe.child("C", stop_takes=2.0))
        children = [probe.child("A"), supervisor_child("T", below)]
        spec = supervising(*children, intensity=0)
        above = supervisor_child("S", spec, restart=Restart.TEMPORARY)
        async with probe.system([above]) as system:
            if how == "gives up":
                probe.crash("A")
            else:
                await system.root.terminate_child("S")
            await trio.sleep(5.0)
            assert not system.root.children()
            assert ended(probe) == [f"root/{path}" for path in expected]

    run(main, seed)


def ended(probe: Probe) -> list[str]:
    """Return the paths of the lives that ended, in order."""
    ends = (LifeState.STOPPED, LifeState.CRASHED)
    return [event.path for event in probe.events if event.state in ends]


@pytest.mark.parametrize("seed", SEEDS)
def test_s076_of_a_supervisor_that_is_killed_the_subtree_is_gone_before_it(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        below = supervising(probe.child("B"), probe.child("C", stop_takes=2.0))
        spec = supervising(probe.child("A"), supervisor_child("T", below))
        above = supervisor_child("S", spec, shutdown=Kill.AT_ONCE)
        async with probe.system([above]) as system:
            await system.root.terminate_child("S")
            order = ended(probe)
            assert sorted(order) == sorted(
                f"root/{path}" for path in ("S", "S/A", "S/T", "S/T/B", "S/T/C")
            )
            for path in order[:-1]:
                assert order.index(path) < order.index(path.rpartition("/")[0])
            assert trio.current_time() == 0.0

    run(main, seed)


class Bug(Exception):
    """A mistake in the supervisor's own code."""


def plant_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = Supervision.handle

    def broken(self: Supervision, event: Event, now: float) -> list[Action]:
        if isinstance(event, Terminate):
            raise Bug
        return handle(self, event, now)

    monkeypatch.setattr(Supervision, "handle", broken)


@pytest.mark.parametrize("seed", SEEDS)
def test_s077_a_bug_in_a_supervisor_leaves_no_orphan_and_does_not_hang(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_a_bug(monkeypatch)

    async def main() -> None:
        probe = Probe()
        hangs = probe.child("C", stop_takes=3.0)
        inner = supervising(probe.child("B"), hangs)
        async with probe.system([supervisor_child("S", inner)]) as system:
            supervisor = system.root.children()[0].value
            assert isinstance(supervisor, Supervisor)
            with pytest.raises(AdminError) as caught:
                await supervisor.terminate_child("B")
            assert caught.value.refusal is Refusal.STOPPED
            assert trio.current_time() == 0.0, "its children were cut, and ended"
            await settle()
            (end,) = probe.ends("root/S")
            assert end.kind is ExitKind.CRASH
            assert isinstance(end.cause, Bug)
            kinds = [e.kind for name in "BC" for e in probe.ends(f"root/S/{name}")]
            assert kinds == [ExitKind.KILLED, ExitKind.KILLED]
            assert probe.number("B") == 2

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s077_a_bug_in_the_root_ends_the_system_with_its_cause(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_a_bug(monkeypatch)

    async def main() -> None:
        probe = Probe()

        async def scene() -> None:
            inner = supervisor_child("S", supervising(probe.child("B")))
            async with probe.system([probe.child("A"), inner]) as system:
                await system.root.terminate_child("A")

        with pytest.raises(AdminError) as caught:
            await scene()
        assert "moreover, the runtime failed" in caught.value.__notes__[0]
        (end,) = probe.ends("root")
        assert isinstance(end.cause, Bug)
        kinds = [end.kind for path in ("S", "A") for end in probe.ends(f"root/{path}")]
        assert kinds == [ExitKind.KILLED, ExitKind.KILLED]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s077_even_a_bug_in_the_way_out_of_a_bug_leaves_no_orphan(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_a_bug(monkeypatch)

    async def broken(self: SupervisorLoop) -> None:
        raise Bug("and another")

    monkeypatch.setattr(SupervisorLoop, "_abandon", broken)

    async def main() -> None:
        probe = Probe()

        async def scene() -> None:
            async with probe.system([probe.child("A"), probe.child("B")]) as system:
                with contextlib.suppress(AdminError):
                    await system.root.terminate_child("A")
                await trio.sleep_forever()

        with pytest.raises(RuntimeFailed) as caught:
            await scene()
        assert isinstance(caught.value.__cause__, Bug)
        kinds = [end.kind for path in "AB" for end in probe.ends(f"root/{path}")]
        assert kinds == [ExitKind.KILLED, ExitKind.KILLED]
        assert trio.current_time() == 0.0

    run(main, seed)

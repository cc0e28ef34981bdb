"""Which siblings share the fate of a child that is restarted (S39 to S50)."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy.testing import seeds
from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import Restart, Strategy
from understudy_protocols.supervision_records import ChildState, LifeState


@pytest.mark.parametrize("seed", SEEDS)
def test_s039_one_for_one_restarts_only_the_one_that_failed(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([probe.child(name) for name in "ABC"]):
            assert await probe.crash_and_settle("B") == ["end B", "init B"]
            assert [probe.number(name) for name in "ABC"] == [1, 2, 1]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s040_one_for_all_stops_all_in_reverse_and_starts_all_in_order(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name) for name in "ABC"]
        spec = supervising(*children, strategy=Strategy.ONE_FOR_ALL)
        async with probe.system(spec):
            log = await probe.crash_and_settle("B")
            assert log == ["end B", "stop C", "stop A", "init A", "init B", "init C"]
            assert [end.restarts for end in probe.ends("root/B")] == [1]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s041_rest_for_one_leaves_those_before_alone(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name) for name in "ABCD"]
        spec = supervising(*children, strategy=Strategy.REST_FOR_ONE)
        async with probe.system(spec):
            log = await probe.crash_and_settle("B")
            assert log == ["end B", "stop D", "stop C", "init B", "init C", "init D"]
            assert probe.number("A") == 1

    run(main, seed)


@pytest.mark.parametrize(
    ("strategy", "crashed", "expected"),
    [
        (Strategy.ONE_FOR_ALL, "C", ["stop B", "stop A", "init A", "init C"]),
        (Strategy.ONE_FOR_ALL, "A", ["stop C", "stop B", "init A", "init C"]),
        (Strategy.REST_FOR_ONE, "A", ["stop C", "stop B", "init A", "init C"]),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_s042_a_temporary_sibling_is_stopped_and_forgotten(
    seed: int, strategy: Strategy, crashed: str, expected: list[str]
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A"),
            probe.child("B", restart=Restart.TEMPORARY),
            probe.child("C"),
        ]
        async with probe.system(supervising(*children, strategy=strategy)) as system:
            log = await probe.crash_and_settle(crashed)
            assert log == [f"end {crashed}", *expected]
            assert [child.id for child in system.root.children()] == ["A", "C"]
            assert not probe.ends("root")

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s043_a_failed_group_restart_is_retried_from_the_first(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name) for name in "ABC"]
        spec = supervising(*children, strategy=Strategy.ONE_FOR_ALL)
        async with probe.system(spec):
            probe.init_faults["B"] = [Boom(), Boom()]
            log = await probe.crash_and_settle("C")
            attempt = ["init A", "init B", "stop A"]
            assert log[:3] == ["end C", "stop B", "stop A"]
            assert log[3:] == [*attempt, *attempt, "init A", "init B", "init C"]
            ends = [e.restarts for e in probe.events if e.restarts]
            assert ends == [1, 2, 3]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s044_under_rest_for_one_the_retry_resumes_where_it_failed(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name) for name in "ABC"]
        spec = supervising(*children, strategy=Strategy.REST_FOR_ONE)
        async with probe.system(spec):
            probe.init_faults["B"] = [Boom(), Boom()]
            log = await probe.crash_and_settle("A")
            assert log[:3] == ["end A", "stop C", "stop B"]
            assert log[3:] == ["init A", "init B", "init B", "init B", "init C"]

    run(main, seed)


@pytest.mark.parametrize("seed", range(20))
def test_s045_two_crashes_in_one_tick_are_one_group_restart(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name) for name in "ABC"]
        spec = supervising(*children, strategy=Strategy.ONE_FOR_ALL)
        async with probe.system(spec):
            probe.crash("A")
            probe.crash("C")
            await settle()
            assert [probe.number(name) for name in "ABC"] == [2, 2, 2]
            assert max(event.restarts for event in probe.events) == 1
            crashes = [e for e in probe.events if e.state is LifeState.CRASHED]
            assert len(crashes) == 2

    run(main, seed)


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ONE, Strategy.DYNAMIC])
@pytest.mark.parametrize("seed", SEEDS)
def test_s045_many_ends_in_one_tick_are_all_seen(seed: int, strategy: Strategy) -> None:
    async def main() -> None:
        probe = Probe()
        names = [f"c{number}" for number in range(50)]
        template = probe.child("T")
        first = [template] if strategy is Strategy.DYNAMIC else []
        spec = supervising(*first, strategy=strategy, intensity=50)
        async with probe.system(spec) as system:
            for name in names:
                made = probe.child(name)
                await system.root.start_child(template.named(name, made.start))
            for name in names:
                probe.crash(name)
            await settle()
            assert all(probe.number(name) == 2 for name in names)
            assert system.root.count().active == 50

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s046_an_end_while_the_group_is_stopped_counts_for_nothing(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A"),
            probe.child("B"),
            probe.child("C", stop_takes=2.0),
            probe.child("D"),
        ]
        spec = supervising(*children, strategy=Strategy.ONE_FOR_ALL)
        async with probe.system(spec):
            probe.crash("D")
            await trio.sleep(1.0)
            probe.crash("A")
            probe.finish("B")
            await trio.sleep(2.0)
            assert [probe.number(name) for name in "ABCD"] == [2, 2, 2, 2]
            assert max(event.restarts for event in probe.events) == 1
            (end,) = probe.ends("root/A")
            assert end.state is LifeState.CRASHED

    run(main, seed)


def test_s047_children_of_a_dynamic_supervisor_are_independent() -> None:
    async def main() -> None:
        probe = Probe()
        template = probe.child("T")
        spec = supervising(template, strategy=Strategy.DYNAMIC)
        async with probe.system([supervisor_child("D", spec)]) as system:
            dynamic = system.root.children()[0].value
            assert isinstance(dynamic, Supervisor)
            for name in "AB":
                await dynamic.start_child(template.named(name, probe.child(name).start))
            assert await probe.crash_and_settle("A") == ["end A", "init A"]
            assert dynamic.children()[0].value == "A#2"
            probe.finish("B")
            await settle()
            assert dynamic.children()[1].value == "B#2"

    run(main)


@pytest.mark.parametrize("revive", [False, True])
@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_s048_finished_and_stopped_children_are_revived_only_if_wished(
    strategy: Strategy, revive: bool
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A"),
            probe.child("B", restart=Restart.TRANSIENT),
            probe.child("C"),
        ]
        spec = supervising(*children, strategy=strategy, revive=revive)
        async with probe.system(spec) as system:
            probe.finish("B")
            await system.root.terminate_child("C")
            await probe.crash_and_settle("A")
            states = [child.state for child in system.root.children()]
            other = ChildState.RUNNING if revive else ChildState.STOPPED
            assert states == [ChildState.RUNNING, other, other]

    run(main)


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
@pytest.mark.parametrize("crashed", list("ABCD"))
def test_s049_the_listing_keeps_its_order(strategy: Strategy, crashed: str) -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(*(probe.child(name) for name in "ABC"), strategy=strategy)
        async with probe.system(spec) as system:
            await system.root.start_child(probe.child("D"))
            await probe.crash_and_settle(crashed)
            await system.root.terminate_child("B")
            await system.root.restart_child("B")
            assert [child.id for child in system.root.children()] == list("ABCD")

    run(main)


@settings(max_examples=150, deadline=None)
@given(
    types=st.lists(st.sampled_from(list(Restart)), min_size=1, max_size=6),
    index=st.integers(0, 5),
    strategy=st.sampled_from(list(Strategy)[:3]),
    seed=seeds(),
)
def test_s050_who_changes_and_in_which_order_is_what_the_strategy_says(
    types: list[Restart], index: int, strategy: Strategy, seed: int
) -> None:
    index %= len(types)
    names = [f"c{number}" for number in range(len(types))]
    failed = names[index]
    affected = {
        Strategy.ONE_FOR_ONE: names[index : index + 1],
        Strategy.ONE_FOR_ALL: names,
        Strategy.REST_FOR_ONE: names[index:],
    }[strategy]
    if types[index] is Restart.TEMPORARY:
        affected = []
    temporary = {
        n
        for n, restart in zip(names, types, strict=True)
        if restart is Restart.TEMPORARY
    }
    again = [name for name in affected if name not in temporary]

    async def main() -> None:
        probe = Probe()
        children = [
            probe.child(name, restart=restart)
            for name, restart in zip(names, types, strict=True)
        ]
        spec = supervising(*children, strategy=strategy)
        async with probe.system(spec) as system:
            log = await probe.crash_and_settle(failed)
            assert log == [
                f"end {failed}",
                *(f"stop {name}" for name in reversed(affected) if name != failed),
                *(f"init {name}" for name in again),
            ]
            assert [name for name in names if probe.number(name) == 2] == again
            gone = temporary & {*affected, failed}
            listed = [child.id for child in system.root.children()]
            assert listed == [name for name in names if name not in gone]

    run(main, seed)


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
@pytest.mark.parametrize("seed", SEEDS)
def test_s050_a_later_childs_crash_does_not_call_off_an_earlier_group_restart(
    seed: int, strategy: Strategy
) -> None:
    async def main() -> None:
        probe = Probe()
        slowly = Backoff(10.0, 10.0, jitter=0.0)
        children = [probe.child("A"), probe.child("B", backoff=slowly)]
        spec = supervising(*children, strategy=strategy)
        async with probe.system(spec) as system:
            assert await probe.crash_and_settle("B")
            # By hand, so it does not wait for B.
            await system.root.start_child(probe.child("C"))
            assert await probe.crash_and_settle("C") == ["end C"]
            await trio.sleep_until(9.9)
            assert probe.number("B") == 1, "the backoff is B's, and not cut short"
            await trio.sleep_until(10.0)
            await settle()
            assert probe.log[-2:] == ["init B", "init C"]
            running = {child.state for child in system.root.children()}
            assert running == {ChildState.RUNNING}

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s050_a_child_started_by_hand_amid_a_group_restart_is_left_alone(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A"),
            probe.child("B", stop_takes=2.0),
            probe.child("C"),
        ]
        spec = supervising(*children, strategy=Strategy.ONE_FOR_ALL)
        async with probe.system(spec) as system:
            assert await probe.crash_and_settle("C") == ["end C"]
            await system.root.terminate_child("A")
            await system.root.restart_child("A")  # while B takes its time
            await trio.sleep(3)
            assert [probe.number(name) for name in "ABC"] == [2, 2, 2]
            running = {child.state for child in system.root.children()}
            assert running == {ChildState.RUNNING}

    run(main, seed)

"""Significant children, whose own end is that of their supervisor (S92 to S96)."""

from __future__ import annotations

import pytest
import trio
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising, supervisor_of

from understudy_actors.supervisor import supervisor_child
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import (
    AutoShutdown,
    ExitKind,
    Restart,
    Shutdown,
    Strategy,
)
from understudy_protocols.supervision_records import ChildState, Decision

ENDS: dict[str, Exception | None] = {
    "returns": None,
    "shuts down": Shutdown(),
    "crashes": Boom(),
    "times out": TimeoutError(),
}


def end(probe: Probe, child_id: str, how: str) -> None:
    """Let a running child end by itself."""
    error = ENDS[how]
    if error is None:
        probe.finish(child_id)
    else:
        probe.crash(child_id, error)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
def test_s092_without_auto_shutdown_no_end_of_a_child_is_the_supervisors(
    restart: Restart, how: str
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name, restart=restart) for name in "AB"]
        spec = supervising(*children, auto_shutdown=AutoShutdown.NEVER)
        async with probe.system([supervisor_child("S", spec)]) as system:
            below = supervisor_of(system.root)
            for name in "AB":
                end(probe, name, how)
                await settle()
            again = restart is Restart.TRANSIENT and how in ("crashes", "times out")
            assert below.count().active == (2 if again else 0)
            assert not probe.ends("root/S")
            # It serves on, also with no child left.
            await below.start_child(probe.child("C"))

    run(main)


@pytest.mark.parametrize(
    ("restart", "how", "triggers"),
    [
        (Restart.TEMPORARY, "returns", True),
        (Restart.TEMPORARY, "shuts down", True),
        (Restart.TEMPORARY, "crashes", True),
        (Restart.TEMPORARY, "times out", True),
        (Restart.TRANSIENT, "returns", True),
        (Restart.TRANSIENT, "shuts down", True),
        (Restart.TRANSIENT, "crashes", False),
        (Restart.TRANSIENT, "times out", False),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_s093_the_first_end_of_a_significant_child_ends_its_supervisor(
    restart: Restart, how: str, triggers: bool, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A"),
            probe.child("B", restart=restart, significant=True),
            probe.child("C", restart=Restart.TEMPORARY, significant=True),
        ]
        spec = supervising(*children, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
        below = supervisor_child("S", spec, restart=Restart.TEMPORARY)
        async with probe.system([below]):
            before = len(probe.log)
            end(probe, "B", how)
            await settle()
            follows = ["stop C", "stop A"] if triggers else ["init B"]
            assert probe.log[before:] == ["end B", *follows]
            assert len(probe.ends("root/S")) == int(triggers)

    run(main, seed)


@pytest.mark.parametrize("how", ["returns", "shuts down", "crashes"])
@pytest.mark.parametrize("seed", SEEDS)
def test_s094_only_the_last_end_of_the_significant_children_ends_their_supervisor(
    how: str, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", restart=Restart.TEMPORARY, significant=True),
            probe.child("B", restart=Restart.TRANSIENT, significant=True),
            probe.child("C", restart=Restart.TRANSIENT, significant=True),
            probe.child("D"),
            probe.child("E", restart=Restart.TEMPORARY),
        ]
        spec = supervising(
            *children,
            auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
            backoff=Backoff(9.0, 9.0, jitter=0.0),
        )
        below = supervisor_child("S", spec, restart=Restart.TEMPORARY)
        async with probe.system([below]) as system:
            probe.crash("B")  # not alive now, and about to be
            await settle()
            # Stopped by hand, a child is out of the count, and no trigger.
            await supervisor_of(system.root).terminate_child("C")
            end(probe, "A", how)
            probe.finish("E")
            await settle()
            assert not probe.ends("root/S"), "one is about to start again"
            await trio.sleep(9.0)
            await settle()
            assert probe.number("B") == 2
            assert not probe.ends("root/S"), "one is alive"
            probe.finish("B")
            await settle()
            (last,) = probe.ends("root/S")
            assert last.kind is ExitKind.SHUTDOWN
            assert probe.log[-1] == "stop D"

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("flag", "first", "second"),
    [
        (AutoShutdown.ANY_SIGNIFICANT, True, True),
        (AutoShutdown.ALL_SIGNIFICANT, False, True),
    ],
)
def test_s093_s094_significant_children_end_their_supervisor(
    flag: AutoShutdown, first: bool, second: bool, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", restart=Restart.TRANSIENT, significant=True),
            probe.child("B", restart=Restart.TEMPORARY, significant=True),
            probe.child("C"),
        ]
        spec = supervising(*children, auto_shutdown=flag)
        below = supervisor_child("S", spec, restart=Restart.TRANSIENT)
        async with probe.system([below]) as system:
            probe.finish("A")
            await settle()
            assert bool(probe.ends("root/S")) is first
            if not first:
                probe.crash("B")
                await settle()
            assert bool(probe.ends("root/S")) is second
            (end,) = probe.ends("root/S")
            assert end.kind is ExitKind.SHUTDOWN
            assert system.root.children()[0].state is ChildState.STOPPED
            assert probe.log[-1].startswith("stop")
            last = probe.ends("root/S/A")[0] if first else probe.ends("root/S/B")[0]
            assert last.decision is Decision.SHUT_DOWN

    run(main, seed)


def test_s093_a_crash_of_a_significant_transient_child_is_restarted() -> None:
    async def main() -> None:
        probe = Probe()
        child = probe.child("A", restart=Restart.TRANSIENT, significant=True)
        spec = supervising(child, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
        async with probe.system([supervisor_child("S", spec)]):
            await probe.crash_and_settle("A")
            assert probe.number("A") == 2
            assert not probe.ends("root/S")

    run(main)


@pytest.mark.parametrize("flag", list(AutoShutdown)[1:])
@pytest.mark.parametrize("seed", SEEDS)
def test_s095_being_stopped_by_others_does_not_trigger(
    flag: AutoShutdown, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", restart=Restart.TEMPORARY, significant=True),
            probe.child("B", restart=Restart.TRANSIENT, significant=True),
            probe.child("C"),
        ]
        spec = supervising(
            *children,
            strategy=Strategy.ONE_FOR_ALL,
            auto_shutdown=flag,
        )
        async with probe.system([supervisor_child("S", spec)]) as system:
            below = supervisor_of(system.root)
            await below.terminate_child("B")
            await probe.crash_and_settle("C")
            assert [child.id for child in below.children()] == ["B", "C"]
            assert not probe.ends("root/S"), "none is left, and none ended by itself"

    run(main, seed)


@pytest.mark.parametrize("significant", [False, True])
def test_s096_a_significant_supervisor_passes_its_shutdown_on(
    significant: bool,
) -> None:
    async def main() -> None:
        probe = Probe()
        flag = AutoShutdown.ANY_SIGNIFICANT
        leaf = probe.child("A", restart=Restart.TRANSIENT, significant=True)
        inner = supervisor_child(
            "T",
            supervising(leaf, auto_shutdown=flag),
            restart=Restart.TRANSIENT,
            significant=significant,
        )
        outer = supervising(inner, probe.child("B"), auto_shutdown=flag)
        below = supervisor_child("S", outer, restart=Restart.TEMPORARY)
        async with probe.system([below]):
            probe.finish("A")
            await settle()
            assert len(probe.ends("root/S/T")) == 1
            assert len(probe.ends("root/S")) == int(significant)

    run(main)

"""Random trees, faults and schedules: what is promised holds at every event.

Each failure says how to run its seed again.  What is checked, and where:
messages, asks and stashes in `ledger`, notices in `watches`, lives and their
events in `lives`, supervisors' decisions in `rules`, and whether they are
carried out, and repeatable, in `cores`, limits in `tokens`, ends in `world`.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from chaos import Fault
from world import Ending, simulate

from understudy_protocols.supervision import ExitKind
from understudy_protocols.supervision_records import Decision, LifeState, Refusal

BLOCKS = 20
SEEDS = 100
"""Seeds in a block; a count."""


@functools.cache
def figures(block: int) -> Counter[str]:
    """Run one block of seeds; return how often each kind of thing happened."""
    total = Counter[str]()
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        total.update(simulate(seed).figures)
    return total


@pytest.mark.parametrize("block", range(BLOCKS))
def test_s166_whatever_goes_wrong_all_that_must_hold_holds(block: int) -> None:
    assert figures(block)["life begun"] > SEEDS


def test_s166_everything_that_can_go_wrong_did_and_every_end_came() -> None:
    seen = sum(map(figures, range(BLOCKS)), Counter[str]())
    wanted = {
        *(f"fault: {fault.value}" for fault in Fault),
        *(f"exit: {kind.value}" for kind in ExitKind),
        *(f"decision: {decision.value}" for decision in Decision),
        *(f"state: {state.value}" for state in LifeState),
        *(f"refused: {refusal.value}" for refusal in Refusal),
        *("end: body raised", "end: cancelled", "end: clean", "end: failed"),
        *("end: exited", "end: not started", "recovered", "late end"),
        *("ask: answered", "ask: AskTimeoutError", "ask: AskRefusedError"),
        *("ask: ActorStoppedError", "ask: MailboxFullError", "ask: Cancelled"),
        *("ask: Declared", "ask: HandlerTimeoutError", "ask: UnhandledMessageError"),
        *("letter: overflow", "letter: stopped", "letter: expired", "letter: failed"),
        *("letter: unhandled", "letter: stuck", "letter: crash", "letter: timeout"),
        *("letter: killed", "letter: late_reply", "letter: second_reply"),
        *("letter: no routee", "letter: given up"),
        *("not sent: refused", "not sent: cancelled"),
        *("notice: Terminated", "notice: Restarted", "notice: ReceiveTimeout"),
        *("gave up: RestartIntensityError", "gave up: ChildEscalatedError"),
        *("group restart: one_for_all", "group restart: rest_for_one"),
        *("alarm", "passed on", "put aside", "put back", "rerouted"),
        *("supervisor abandoned", "swallowed", "terminated", "token taken"),
    }
    rare = {kind: seen[kind] for kind in wanted if seen[kind] < 5}
    assert not rare


@pytest.mark.parametrize("block", range(4))
def test_s167_once_nothing_goes_wrong_any_more_all_is_well_or_the_root_has_failed(
    block: int,
) -> None:
    seen = Counter[str]()
    for seed in range(10_000 + block * 75, 10_000 + (block + 1) * 75):
        seen.update(simulate(seed, ending=Ending.LIVENESS).figures)
    assert seen["recovered"] > 30
    assert seen["end: failed"] > 0


def digests(hash_seed: int) -> list[str]:
    """Run 200 seeds in a process of its own; return a line for each."""
    script = Path(__file__).with_name("simulate.py")
    done = subprocess.run(
        [sys.executable, str(script), "--seeds", "0", "200", "--digests"],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.splitlines()


def test_s164_the_same_seed_gives_the_same_events_in_any_process() -> None:
    first, second = digests(1), digests(2)
    assert len(first) == 200
    assert first == second


def test_s165_more_than_half_of_the_schedules_of_one_tree_give_other_events() -> None:
    trees, schedules = range(20_000, 20_010), 20
    distinct = [
        len({simulate(tree, schedule).digest for schedule in range(schedules)})
        for tree in trees
    ]
    assert sum(distinct) > len(trees) * schedules / 2, distinct
    assert len({simulate(tree).digest for tree in trees}) == len(trees)

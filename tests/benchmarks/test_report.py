"""From samples to verdicts: arithmetic that no clock is needed for."""

from __future__ import annotations

import math

import pytest
from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sample, Sizes
from benchmarks.report import claim_table, figure_table, judge


def figures(ours: list[float], bare: list[float]) -> Figures:
    return {
        "ours": [Sample(2 * cpu, cpu) for cpu in ours],
        "bare": [Sample(cpu, cpu) for cpu in bare],
    }


RATIO = Claim("ours beside bare", "ours", "bare", 1.5)
ON_THE_WALL = Claim("ours beside bare", "ours", "bare", 1.5, "wall")


def test_samples_taken_one_after_the_other_are_divided_by_one_another() -> None:
    slow_machine_in_the_middle = figures([1.0, 9.0, 1.0], [1.0, 9.0, 1.0])
    outcome = judge(RATIO, [slow_machine_in_the_middle])
    assert (outcome.value, outcome.low, outcome.high) == (1.0, 1.0, 1.0)


def test_the_spread_is_that_of_the_medians_of_the_processes() -> None:
    outcome = judge(RATIO, [figures([1, 2, 9], [1] * 3), figures([3], [1])])
    assert (outcome.value, outcome.low, outcome.high) == (2.5, 2, 3)


def test_the_best_is_the_least_of_one_by_the_least_of_the_other() -> None:
    outcome = judge(RATIO, [figures([6, 4], [1, 2]), figures([8], [4])])
    assert outcome.best == 4


def test_both_clocks_are_shown_and_one_decides() -> None:
    outcome = judge(RATIO, [figures([1.2], [1.0])])
    assert (outcome.value, outcome.cpu, outcome.wall) == (1.2, 1.2, 2.4)


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [(1.5, "met"), (3.0, "MISSED by 100%"), (1.65, "MISSED by 10%")],
)
def test_a_target_is_met_or_missed_by_so_much(ours: float, verdict: str) -> None:
    assert judge(RATIO, [figures([ours], [1.0])]).verdict == verdict


def test_a_target_of_nothing_is_missed_by_anything() -> None:
    claim = Claim("nothing is left", "ours", None, 0.0)
    assert judge(claim, [figures([0.0], [])]).verdict == "met"
    assert judge(claim, [figures([1.0], [])]).verdict == "MISSED"


def test_what_has_no_target_has_no_verdict() -> None:
    claim = Claim("ours beside bare", "ours", "bare")
    assert judge(claim, [figures([9.0], [1.0])]).verdict == "no target"


def test_a_wall_time_from_a_busy_machine_does_not_decide() -> None:
    sound = {"ours": [Sample(1.2, 1.0)], "bare": [Sample(1.0, 1.0)]}
    busy = {"ours": [Sample(1.0, 1.0)], "bare": [Sample(9.0, 1.0)]}
    outcome = judge(ON_THE_WALL, [busy, sound, busy])
    assert (outcome.value, outcome.pairs, outcome.discarded) == (1.2, 1, 2)
    assert outcome.verdict == "met"


def test_nothing_is_decided_if_the_machine_was_always_busy() -> None:
    busy = {"ours": [Sample(1.0, 1.0)], "bare": [Sample(9.0, 1.0)]}
    assert judge(ON_THE_WALL, [busy]).verdict == "undecided: busy machine"


def test_time_with_nothing_to_do_but_wait_is_no_sign_of_a_busy_machine() -> None:
    claim = Claim("ours beside bare", "ours", "bare", 1.5, "wall", idle=8.0)
    waiting = {"ours": [Sample(9.0, 1.0)], "bare": [Sample(9.0, 1.0)]}
    assert judge(claim, [waiting]).verdict == "met"


def test_a_difference_lost_in_noise_is_never_met() -> None:
    outcome = judge(RATIO, [figures([1.0], [-0.1])])
    assert math.isinf(outcome.value)
    assert outcome.verdict != "met"
    assert outcome.best is None


def test_the_tables_show_every_claim_and_every_contender() -> None:
    def nothing(_: Sizes) -> Figures:
        return {}

    row = Row("row", "a row", Unit.MILLISECONDS, (RATIO,), nothing)
    processes = [figures([0.0012], [0.001])]
    claims = claim_table([(row, [judge(RATIO, processes)])])
    assert "| row | ours beside bare | 1.20 x | <= 1.50 x | met |" in claims
    contenders = figure_table([(row, processes)])
    assert "| row | ours | 1.20 ms | 1.20 ms | 2.40 ms | 2.40 ms | 833 |" in contenders
    assert "| row | bare | 1.00 ms | 1.00 ms |  |  |  |" in contenders

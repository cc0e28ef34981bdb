"""The pure decision behind every join, against what its name says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.workflows.joins import (
    AllOf,
    Join,
    Tolerant,
    Verdict,
    all_of,
    best_effort,
    first_success,
    quorum,
)
from understudy_protocols.errors import ConfigError


def met(join: Join, ends: list[bool]) -> bool:
    """Say whether *join* is met once all branches have ended as in *ends*."""
    if join.kind == "all_of":
        return all(ends)
    return join.kind == "best_effort" or sum(ends) >= (join.needed or 1)


JOINS = st.sampled_from([all_of(), best_effort(), first_success()]) | st.builds(
    quorum, st.integers(1, 5)
)


@given(join=JOINS, ends=st.lists(st.booleans(), max_size=6))
def test_a_join_decides_once_and_as_if_it_had_seen_all_ends(
    join: Join, ends: list[bool]
) -> None:
    verdicts = [
        join.verdict(
            branches=len(ends),
            succeeded=sum(ends[:ended]),
            failed=ended - sum(ends[:ended]),
        )
        for ended in range(len(ends) + 1)
    ]
    decided = [verdict for verdict in verdicts if verdict is not Verdict.WAIT]
    assert decided, "it decides at the latest when all have ended"
    assert decided[0] is (Verdict.DONE if met(join, ends) else Verdict.FAILED)
    assert verdicts.index(decided[0]) + len(decided) == len(verdicts)


@given(join=JOINS, ends=st.lists(st.booleans(), max_size=6), more=st.data())
def test_a_join_never_decides_before_the_rest_is_without_effect(
    join: Join, ends: list[bool], more: st.DataObject
) -> None:
    rest = more.draw(st.integers(0, 3))
    verdict = join.verdict(
        branches=len(ends) + rest,
        succeeded=sum(ends),
        failed=len(ends) - sum(ends),
    )
    could = {met(join, ends + [good] * rest) for good in (True, False)}
    if verdict is Verdict.WAIT:
        assert rest
    elif join.kind == "all_of":
        assert met(join, ends + [True] * rest) is (verdict is Verdict.DONE)
    else:
        assert could == {verdict is Verdict.DONE}


def test_only_all_of_gives_bare_values() -> None:
    assert isinstance(all_of(), AllOf)
    for join in (best_effort(), quorum(2), first_success()):
        assert isinstance(join, Tolerant)


def test_a_quorum_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="a quorum of 0 is met by nothing"):
        quorum(0)

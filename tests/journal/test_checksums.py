"""The sums over what is stored: fixed by the format, and by the key as well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.journal.checksums import (
    request_checksum,
    run_checksum,
    sealed,
    unsealed,
)
from understudy_protocols.journal import StoredRun
from understudy_protocols.outcomes import RunStatus

words = st.integers(0, 2**32 - 1)
bits = st.integers(0, 31)


def test_sums_are_those_that_stand_in_files_of_this_format() -> None:
    assert sealed(1, 2, b"content") == b"content\x15\xeb\xf8)"
    assert sealed(2**33 + 1, 2, b"") == b"\x87\x0e\x0f\xaa"
    run = StoredRun(7, "run-7", "w", 3, RunStatus.RUNNING, 11, 12)
    assert run_checksum(run) == 2213729015
    assert request_checksum("run-7", "answer", b"yes") == 2339224068


@given(row=words, number=words, content=st.binary(max_size=20), bit=bits)
def test_a_record_whose_key_has_another_bit_is_damaged(
    row: int, number: int, content: bytes, bit: int
) -> None:
    stored = sealed(row, number, content)
    assert unsealed(row, number, stored) == content
    assert unsealed(row ^ 1 << bit, number, stored) is None
    assert unsealed(row, number ^ 1 << bit, stored) is None


@given(content=st.binary(max_size=20), data=st.data())
def test_a_record_with_another_bit_or_less_of_it_is_damaged(
    content: bytes, data: st.DataObject
) -> None:
    stored = sealed(3, 5, content)
    at = data.draw(st.integers(0, 8 * len(stored) - 1))
    flipped = (int.from_bytes(stored) ^ 1 << at).to_bytes(len(stored))
    assert unsealed(3, 5, flipped) is None
    assert unsealed(3, 5, stored[: at // 8]) is None


@pytest.mark.parametrize("short", [b"", b"\0", b"\0\0\0"])
def test_what_is_too_short_for_a_sum_is_damaged(short: bytes) -> None:
    assert unsealed(0, 0, short) is None


def test_what_may_change_of_a_run_is_not_in_its_sum() -> None:
    run = StoredRun(7, "run-7", "w", 3, RunStatus.RUNNING, 11, 12)
    later = StoredRun(7, "run-7", "w", 3, RunStatus.FAILED, 11, 99, 5)
    assert run_checksum(run) == run_checksum(later)

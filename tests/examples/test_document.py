"""The document example: aspects side by side, and one that fails spoils nothing."""

from __future__ import annotations

from datetime import date
from typing import cast

import document as example
import pytest
import trio

from understudy import RunResult, Runtime


def analyse(text: str) -> RunResult[example.Report]:
    async def main() -> RunResult[example.Report]:
        async with Runtime(example.analysis) as runtime:
            return await runtime.run(example.analysis, example.Document("T", text))

    # Not in virtual time: one aspect runs in a thread.
    return trio.run(main)


def test_main_prints_a_report_of_each_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example.main()
    printed = capsys.readouterr().out
    for title in ("Asynchronous Generators", "Context Variables", "Exception Groups"):
        assert title in printed
    assert "readability: Readability(words_a_sentence=" in printed


def test_each_document_has_every_aspect_and_they_are_true_of_it() -> None:
    results = trio.run(example.run_all)
    assert [result.value.failed for result in results] == [{}, {}, {}]
    first = results[0].value
    assert set(first.aspects) == {"summary", "entities", "readability", "dates"}
    found = first.aspects["dates"]
    assert isinstance(found, tuple)
    assert found[0] == date(2016, 7, 28)
    summary, entities = first.aspects["summary"], first.aspects["entities"]
    assert "sys.set_asyncgen_hooks" in cast("tuple[str, ...]", entities)
    assert len(cast("tuple[str, ...]", summary)) == 2


def test_an_aspect_that_fails_is_named_and_the_others_are_kept() -> None:
    result = analyse("12-May-2020")
    report = result.value
    assert list(report.failed) == ["readability"]
    assert "no sentence to measure" in report.failed["readability"]
    assert report.aspects["dates"] == (date(2020, 5, 12),)


def test_a_date_that_does_not_exist_costs_only_the_dates() -> None:
    report = analyse("It was written on 31-Feb-2020. It is short.").value
    assert list(report.failed) == ["dates"]
    assert "readability" in report.aspects


def test_the_aspects_overlap_in_time() -> None:
    steps = {step.path: step for step in trio.run(example.run_all)[0].steps}
    started = [s.started for path, s in steps.items() if path.startswith("aspects/")]
    ended = [s.ended for path, s in steps.items() if path.startswith("aspects/")]
    assert len(started) == 4
    assert max(started) < max(ended)

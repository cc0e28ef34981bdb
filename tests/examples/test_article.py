"""The article example: a step sees what it declared, and that is less."""

from __future__ import annotations

import article as example
import pytest

from understudy import (
    Context,
    OrchestrationState,
    RunResult,
    Runtime,
    Workflow,
    sequence,
    step,
)
from understudy.testing import run_seeded
from understudy_protocols.errors import MissingInputError


def run(
    workflow: Workflow[example.Assignment, object, object], topic: str
) -> RunResult[object]:
    async def main() -> RunResult[object]:
        async with Runtime(workflow) as runtime:
            return await runtime.run(workflow, example.Assignment(topic))

    return run_seeded(main, seed=4)


@pytest.mark.usefixtures("virtual_time")
def test_main_prints_an_article_and_what_selective_context_saved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["article.py", "event", "loop"])
    example.main()
    printed = capsys.readouterr().out
    assert printed.startswith("# Event loop\n")
    assert "## PEP 525: Asynchronous Generators" in printed
    assert "less than all there was." in printed


def test_every_chapter_is_about_the_topic_and_quotes_its_document() -> None:
    result = run(example.article, "asyncio")
    text = str(result.value)
    for pep in example.library():
        assert f"## PEP {pep.pep}: {pep.title}" in text
    quoted = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert quoted
    assert all("asyncio" in line.lower() for line in quoted)


def test_the_steps_are_given_less_than_half_of_what_there_is() -> None:
    async def main() -> RunResult[str]:
        return await example.run("asyncio")

    given, there = example.saved(run_seeded(main, seed=1))
    assert 0 < given < there / 2


def test_what_a_step_did_not_declare_it_does_not_see() -> None:
    @step(needs=(example.research,))
    async def peek(context: Context[example.Assignment]) -> str:
        return f"{context[example.collect]}"

    peeking = sequence(example.collect, example.research, peek)
    failure = run(peeking, "asyncio").failure
    assert failure is not None
    assert "collect is not among what this step needs (research)" in failure.message


def test_a_needed_output_that_is_missing_is_refused_before_anything_runs() -> None:
    with pytest.raises(MissingInputError, match=r"collect"):
        Runtime(sequence(example.research, example.collect))


def test_the_moment_of_acceptance_is_aware_and_survives_every_step() -> None:
    seen: list[OrchestrationState] = []

    class Note:
        def __init__(self, name: str) -> None:
            self.name = name

        async def execute(self, state: OrchestrationState) -> OrchestrationState:
            seen.append(state)
            return state.with_output(self.name, len(seen))

        def should_execute(self, state: OrchestrationState) -> bool:
            return True

    async def main() -> RunResult[object]:
        noted = sequence(Note("a"), Note("b"), Note("c"))
        async with Runtime(noted) as runtime:
            return await runtime.run(noted, {})

    result = run_seeded(main, seed=1)
    assert len(seen) == 3
    assert {state.created_at for state in seen} == {result.created_at}
    assert {state.task_id for state in seen} == {result.run_id}
    assert result.created_at.utcoffset() is not None


def test_a_topic_that_no_document_mentions_gives_an_article_without_chapters() -> None:
    assert run(example.article, "gardening").value == "# Gardening"

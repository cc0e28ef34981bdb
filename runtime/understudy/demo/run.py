"""``understudy demo``: the same messages twice, under the same faults.

Once as a single call, once as the orchestrated workflow.  All that is random
follows from one seed, which is printed; which message fails how does not depend
on the speed of the machine.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Literal

import attrs
import trio
from rich.console import Console

from understudy.demo.directory import BREAKS_AT, Desk
from understudy.demo.figures import Ran, figures, step_paths
from understudy.demo.messages import Message, shipped_messages
from understudy.demo.records import write_line
from understudy.demo.screen import Advance, closing, opening, progress
from understudy.demo.single_call import single_call
from understudy.demo.tier_models import TierModels
from understudy.demo.workflow import Feedback, feedback
from understudy.models.faults import FaultMix
from understudy.runtime import Runtime
from understudy.workflows.nodes import Workflow

SEED = 20260
"""Of the faults and of the runtimes; any other does as well."""

MIX = FaultMix(
    timeout=0.09,
    rate_limit=0.08,
    malformed=0.08,
    timeout_after=1.5,
    retry_after=0.2,
)
"""What goes wrong with model calls: a quarter of them."""

CONCURRENCY = 20
RESULTS = "results.jsonl"

Way = Literal["single_call", "orchestrated", "local_llm"]


@attrs.frozen
class Batch:
    """One way of doing it, run over all messages.

    Args:
      models: with the faults that they met.
      desk: with the connections that it had.
    """

    ran: tuple[Ran, ...]
    models: TierModels
    desk: Desk


def main(output_dir: Path | None = None) -> int:
    """Run the demo; return the exit code.

    Args:
      output_dir: where the results go; a fresh temporary folder if not given.
    """
    console = Console(width=None if sys.stdout.isatty() else 80)

    async def demo(file: IO[str], results: Path) -> None:
        await _demo(console, file, results)

    return results_file(console, output_dir, demo)


def results_file(
    console: Console,
    output_dir: Path | None,
    demo: Callable[[IO[str], Path], Awaitable[None]],
) -> int:
    """Run *demo* with the open file of its results; return the exit code.

    Args:
      output_dir: where the file is; a fresh temporary folder if not given.
      demo: is given the file and its path.
    """
    try:
        results = _folder(output_dir) / RESULTS
        with results.open("w", encoding="utf-8", buffering=1) as file:
            trio.run(demo, file, results)
    except OSError as error:
        console.print(
            f"The demo stopped: its results cannot be written ({error}). "
            "Give it another folder, or make room.",
            style="red",
            highlight=False,
        )
        return 1
    except KeyboardInterrupt:
        console.print("Stopped. What was finished is in the results.", style="red")
        return 130
    return 0


def _folder(given: Path | None) -> Path:
    if given is None:
        return Path(tempfile.mkdtemp(prefix="understudy-demo-"))
    given.mkdir(parents=True, exist_ok=True)
    return given


async def _demo(console: Console, file: IO[str], results: Path) -> None:
    messages = shipped_messages()
    opening(console, len(messages), MIX, SEED)
    with progress(console, "single call", len(messages)) as advance:
        single = await run_batch(single_call, "single_call", messages, file, advance)
    with progress(console, "orchestrated", len(messages)) as advance:
        both = await run_batch(feedback, "orchestrated", messages, file, advance)
    closing(
        console,
        figures(single.ran, step_paths(single_call)),
        figures(both.ran, step_paths(feedback)),
        both.models.met(),
        both.desk.restarts,
        results,
    )


async def run_batch(
    workflow: Workflow[Feedback, object, Desk],
    way: Way,
    messages: tuple[Message, ...],
    file: IO[str],
    advance: Advance,
    seed: int = SEED,
) -> Batch:
    """Run *workflow* over *messages* with fresh models, and write each result.

    Cancellation: runs under way are cancelled; results so far are written.
    Raises:
      OSError: a result cannot be written.
    """
    # Both ways get models of their own with the same seed: a tier's first call
    # about a message meets the same fault in both.
    models = TierModels(MIX, seed)
    desk = Desk(breaks_at=BREAKS_AT)
    ran: list[Ran] = []
    inputs = (Feedback(each.id, each.text) for each in messages)
    async with (
        Runtime(workflow, models=models.models, deps=desk, seed=seed) as runtime,
        runtime.run_many(workflow, inputs, concurrency=CONCURRENCY) as results,
    ):
        for message in messages:
            one = Ran(message, await anext(results))
            write_line(file, way, one)
            advance(one.result.ok)
            ran.append(one)
    return Batch(tuple(ran), models, desk)


if __name__ == "__main__":
    sys.exit(main())

"""Running a job before people: its progress, and how it ended."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Never

import trio

from understudy.cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_MISUSE, say
from understudy.cli.job import run_job
from understudy.cli.job_spec import Ended, JobSpec, Show
from understudy.cli.tally import Tally
from understudy.cli.writing import rescue
from understudy.runtime import Runtime
from understudy_protocols.supervision_records import TreeSnapshot


def execute(spec: JobSpec, runtime: Runtime[Never], *, with_tree: bool) -> int:
    """Run a job, say how it ended, and return the exit code.

    Args:
      with_tree: whether to show the supervision tree: all the time beside the
        progress bar, or once, as it was at the end, if there is no bar.
    """
    interrupted = False
    ended: Ended | None = None
    with _progress(spec, with_tree=with_tree) as show:
        try:
            ended = trio.run(run_job, spec, runtime, show)
        except* KeyboardInterrupt:
            interrupted = True
    if ended is None or interrupted:
        say(f"understudy: interrupted at once; {_left(spec)}")
        return EXIT_INTERRUPTED
    return _close(spec, ended)


def _close(spec: JobSpec, ended: Ended) -> int:
    """Say how the job ended, and return the exit code."""
    tally = ended.tally
    for words in ended.refused:
        say(f"understudy: {words}")
    if ended.misuse:
        spec.output.unmake()
        say(f"understudy: {ended.misuse}")
        return EXIT_MISUSE
    if not ended.stopped:
        say(tally.sentence(ended.elapsed, spec.output.name))
        if spec.continuing is not None and (
            tally.others["paused"] + tally.others["held"]
        ):
            say(_how_to_decide(spec.continuing.journal))
        return EXIT_FAILED if tally.others else 0
    said = tally.stopped_sentence(ended.stopped, _kept(spec, ended))
    if spec.continuing is not None:
        said += "; nothing is lost: make the same call again to go on"
    say(f"understudy: {said}")
    return 128 + ended.signal if ended.signal else EXIT_FAILED


def _left(spec: JobSpec) -> str:
    if spec.continuing is None:
        return "results not yet written are lost"
    return f"the same call goes on from {spec.continuing.journal}"


def _how_to_decide(journal: str) -> str:
    return (
        f"runs that are paused or held wait in {journal}: see `understudy runs list "
        f"--journal {shlex.quote(journal)}`; when you have decided, make this call again"
    )


def _kept(spec: JobSpec, ended: Ended) -> str:
    """Say where the finished results are."""
    if spec.continuing is not None:
        return f"kept in {spec.continuing.journal}"
    left = len(ended.unwritten)
    if not left:
        return f"kept in {spec.output.name}"
    written = ended.tally.finished - left
    elsewhere = rescue(ended.unwritten)
    if elsewhere is None:
        return f"{written:,} kept in {spec.output.name}, {left:,} lost"
    return f"{written:,} kept in {spec.output.name}, {left:,} in {elsewhere}"


# What draws is heavy, and loaded where there is something to draw.


def _progress(spec: JobSpec, *, with_tree: bool) -> AbstractContextManager[Show]:
    # What is drawn again and again would wipe out results on the same terminal.
    if sys.stderr.isatty() and not os.isatty(spec.output.fd):
        from understudy.cli.progress import progress_bar

        return progress_bar(with_tree=with_tree)
    return _tree_at_the_end() if with_tree else nullcontext(_show_nothing)


def _show_nothing(
    tally: Tally, part: float | None, tree: Callable[[], TreeSnapshot]
) -> None:
    del tally, part, tree


@contextmanager
def _tree_at_the_end() -> Generator[Show]:
    last: list[tuple[TreeSnapshot, float]] = []

    def show(
        tally: Tally, part: float | None, tree: Callable[[], TreeSnapshot]
    ) -> None:
        del tally, part
        last[:] = [(tree(), trio.current_time())]

    try:
        yield show
    finally:
        from understudy.cli.tree import AT_WORK, tree_text

        for snapshot, now in last:
            sys.stderr.write(tree_text(snapshot, now, AT_WORK, sys.stderr))

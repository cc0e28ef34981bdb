"""What a job is to do, and how it ended."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from understudy.cli.continuing import Continuing
from understudy.cli.inputs import Fit
from understudy.cli.reading import InputFile
from understudy.cli.tally import Tally
from understudy.cli.writing import OutputFile
from understudy.workflows.plan import Plan
from understudy_protocols.budget import Budget
from understudy_protocols.supervision_records import TreeSnapshot

Show = Callable[[Tally, float | None, Callable[[], TreeSnapshot]], None]
"""Shows the progress: the counts, the part of the input done, from 0 to 1, and
the supervision tree."""


@attrs.frozen
class JobSpec:
    """What to do.

    Args:
      plan: the workflow, checked.
      source: where inputs come from.
      output: where results go.
      fit: makes inputs of lines.
      concurrency: runs under way at once; a count.
      ordered: whether results are written in the order of the inputs.
      deadline: of each run; seconds.
      budget: caps on each run.
      continuing: where the runs are written down, if they are.
    """

    plan: Plan
    source: InputFile
    output: OutputFile
    fit: Fit
    concurrency: int
    ordered: bool
    deadline: float | None
    budget: Budget | None
    continuing: Continuing | None = None


@attrs.frozen
class Ended:
    """How a job ended.

    Args:
      tally: its counts.
      elapsed: how long it took; seconds.
      stopped: why it ended before its input did, as a clause; empty if it did not.
      misuse: what is wrong with the input as a whole; empty if nothing is.
      signal: the number of the signal that ended it; 0 if none did.
      unwritten: result lines that could not be written.
      refused: what was asked before by way of the journal, and was not done.
    """

    tally: Tally
    elapsed: float
    stopped: str
    misuse: str
    signal: int
    unwritten: list[bytes]
    refused: tuple[str, ...] = ()

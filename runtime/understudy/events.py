"""What a runtime tells those who watch it."""

from __future__ import annotations

from typing import Literal

import msgspec

from understudy_protocols.failures import Failure

EventKind = Literal[
    "accepted",
    "step_started",
    "step_finished",
    "step_skipped",
    "attempt_failed",
    "waiting",
    "waited",
    "decided",
    "paused",
    "answered",
    "emitted",
    "stuck",
    "down",
    "ended",
]


class RunEvent(msgspec.Struct, frozen=True):
    """One thing that happened to a run.

    Args:
      kind: what happened.
      run_id: to which run; empty for what concerns no single one.
      time: when; seconds on the runtime's clock.
      path: at which node; empty for the run as a whole.
      position: which branch, item or round of it, as ``3/left``.
      attempt: the number of the attempt concerned, from 1; 0 if none is.
      detail: the decision, the reason of a wait, the status at the end.
      failure: what went wrong, if something did.
      value: what a step emitted.
    """

    kind: EventKind
    run_id: str
    time: float
    path: str = ""
    position: str = ""
    attempt: int = 0
    detail: str = ""
    failure: Failure | None = None
    value: object = None

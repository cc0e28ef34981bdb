"""The demo's results on disk: a line of JSON for each run, as soon as it is over."""

from __future__ import annotations

from typing import IO

import msgspec

from understudy.demo.figures import Ran, found
from understudy.demo.workflow import Reply
from understudy.models.replies import as_text
from understudy.result import StepResult


def write_line(file: IO[str], way: str, ran: Ran) -> None:
    """Write one run of one *way* of doing it.

    Raises:
      OSError: it cannot be written; lines before it are kept.
    """
    file.write(line(way, ran) + "\n")


def line(way: str, ran: Ran) -> str:
    """Return the line: what was asked, what came of it, and how."""
    result, message = ran.result, ran.message
    said = found(result)
    fields: dict[str, object] = {
        "way": way,
        "run_id": result.run_id,
        "message": message.id,
        "text": message.text,
        "status": result.status.value,
        "right": ran.is_right,
        "found": said,
        "gold": message.gold,
        "value": result.value if result.ok and _is_reply(ran) else None,
        "failure": None
        if result.failure is None
        else {
            "mode": result.failure.mode.value,
            "cause": result.failure.cause.value,
            "message": result.failure.message,
            "where": result.failure.where,
        },
        "calls": result.usage.calls,
        "assumed_cost_usd": result.usage.cost_usd,
        "seconds": round(result.duration, 6),
        "steps": [_step(step) for step in result.steps],
    }
    return as_text(msgspec.to_builtins(fields))


def _is_reply(ran: Ran) -> bool:
    return isinstance(ran.result.value, Reply)


def _step(step: StepResult) -> dict[str, object]:
    return {
        "path": step.path,
        "position": step.position,
        "status": step.status,
        "attempts": step.number,
        "failed_by": [
            attempt.failure.cause.value
            for attempt in step.attempts
            if attempt.failure is not None
        ],
        "seconds": round(step.duration, 6),
    }

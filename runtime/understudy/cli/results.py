"""The result lines: one for each input line."""

from __future__ import annotations

from understudy.cli.plain import failure_facts, json_line, plain
from understudy.result import RunResult, StepResult
from understudy_protocols.errors import RunHeldError
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.usage import NO_USAGE, Usage


def result_line(line: int, result: RunResult[object]) -> bytes:
    """Return the line of a run that is over.

    Args:
      line: where its input begins, from 1.
    """
    return json_line(
        _facts(line, result, result.status.value, result.failure),
    )


def paused_line(line: int, result: RunResult[object], pauses: tuple[str, ...]) -> bytes:
    """Return the line of a run that waited for an answer and was given up.

    Args:
      pauses: the keys of those that were open.
    """
    facts = _facts(line, result, "paused", None)
    return json_line({**facts, "pauses": pauses})


def open_line(line: int, run_id: str, pauses: tuple[str, ...]) -> bytes:
    """Return the line of a run that waits for an answer, and goes on then.

    Args:
      pauses: the keys of those that are open.
    """
    return json_line({**_unfinished(line, run_id, "paused"), "pauses": pauses})


def held_line(line: int, error: RunHeldError) -> bytes:
    """Return the line of a run that does not go on until somebody decides."""
    facts = _unfinished(line, error.run_id, "held")
    return json_line({**facts, "reason": error.reason, "detail": error.detail})


def _unfinished(line: int, run_id: str, status: str) -> dict[str, object]:
    return {
        "run_id": run_id,
        "line": line,
        "status": status,
        "value": None,
        "outputs": {},
        "failure": None,
        # Not known before it is over.
        "usage": None,
        "duration": None,
        "steps": [],
    }


def refused_line(line: int, problem: str, where: str) -> bytes:
    """Return the line of an input that no run could be made of."""
    failure = Failure.of(Cause.SETUP, problem, where=where)
    return json_line(
        {
            "run_id": None,
            "line": line,
            "status": "failed",
            "value": None,
            "outputs": {},
            "failure": failure_facts(failure),
            "usage": usage_facts(NO_USAGE),
            "duration": 0.0,
            "steps": [],
        }
    )


def _facts(
    line: int, result: RunResult[object], status: str, failure: Failure | None
) -> dict[str, object]:
    facts: dict[str, object] = {
        "run_id": result.run_id,
        "line": line,
        "status": status,
        "value": plain(result.value) if result.ok else None,
        "outputs": plain(result.outputs),
        "failure": None if failure is None else failure_facts(failure),
        "usage": usage_facts(result.usage),
        "duration": seconds(result.duration),
        "steps": [_step(step) for step in result.steps],
    }
    if result.stuck:
        facts["stuck"] = result.stuck
    return facts


def usage_facts(usage: Usage) -> dict[str, object]:
    """Return what a result line says of what was used."""
    return {
        "calls": usage.calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_micros": usage.cost_micros,
        "estimated": usage.estimated,
    }


def _step(step: StepResult) -> dict[str, object]:
    facts: dict[str, object] = {
        "path": step.path,
        "position": step.position,
        "status": step.status,
        "started": seconds(step.started),
        "ended": seconds(step.ended),
        "attempts": step.number,
    }
    if step.failure is not None:
        facts["failure"] = failure_facts(step.failure)
    return facts


def seconds(length: float) -> float:
    """Return seconds with six decimals: no clock here means more."""
    return round(length, 6)

"""Runs of a journal as plain data, for other programs."""

from __future__ import annotations

from datetime import UTC, datetime

from understudy.cli.plain import failure_facts
from understudy.cli.results import seconds, usage_facts
from understudy.cli.runs.ages import MICROS
from understudy.cli.runs.story import Event, Story, Try
from understudy_protocols.journal import StoredRun


def run_facts(run: StoredRun) -> dict[str, object]:
    """Return what a journal knows of a run without its records."""
    return {
        "run_id": run.run_id,
        "workflow": run.workflow,
        "status": run.status.value,
        "created_at": _moment(run.created_at),
        "changed_at": _moment(run.changed_at),
        "recoveries": run.recoveries,
    }


def story_facts(run: StoredRun, story: Story) -> dict[str, object]:
    """Return what a journal knows of a run."""
    held = story.held
    return {
        **run_facts(run),
        "input": story.input,
        "failure": None if story.failure is None else failure_facts(story.failure),
        "held": None
        if held is None
        else {"reason": held.reason, "detail": held.detail},
        "active": seconds(story.last),
        "usage": usage_facts(story.usage),
        "records": story.records,
        "bytes": story.size,
        "events": [_event(event) for event in story.events],
    }


def _event(event: Event) -> dict[str, object]:
    facts: dict[str, object] = {
        "path": event.path,
        "position": event.position,
        "kind": event.kind,
        "status": event.status,
        "begin": seconds(event.begin),
        "end": None if event.end is None else seconds(event.end),
        "value": event.value,
    }
    if event.kind == "step":
        facts["attempts"] = event.number
        facts["tries"] = [_try(one) for one in event.tries]
        facts["usage"] = usage_facts(event.usage)
    if event.failure is not None:
        facts["failure"] = failure_facts(event.failure)
    if event.until is not None:
        facts["until"] = _moment(event.until)
    return facts


def _try(one: Try) -> dict[str, object]:
    facts: dict[str, object] = {"begin": seconds(one.begin), "end": seconds(one.end)}
    if one.failure is not None:
        facts["failure"] = failure_facts(one.failure)
    return facts


def _moment(micros: int) -> str:
    return datetime.fromtimestamp(micros / MICROS, UTC).isoformat()

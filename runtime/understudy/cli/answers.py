"""What came of a question: its outcome, its exit code, and its facts."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from understudy.cli.exits import EXIT_NO_ANSWER, EXIT_PART
from understudy.cli.plain import failure_facts, json_line, plain
from understudy.cli.question import Asked
from understudy.cli.results import seconds, usage_facts
from understudy_protocols.chat import Finish
from understudy_protocols.failures import AttemptRecord, Cause


class Outcome(Enum):
    """What there is of an answer."""

    COMPLETE = "complete"
    """All of it."""
    PARTIAL = "partial"
    """A part; the rest did not come."""
    TRUNCATED = "truncated"
    """A part: it was cut off at the largest number of tokens."""
    REFUSED = "refused"
    """The model declined, or a filter of the provider did."""
    FAILED = "failed"
    """Nothing."""

    @property
    def exit_code(self) -> int:
        """How the command ends."""
        if self is Outcome.COMPLETE:
            return 0
        return EXIT_NO_ANSWER if self is Outcome.FAILED else EXIT_PART


_OF_CAUSES = {
    Cause.TRUNCATED: Outcome.TRUNCATED,
    Cause.REFUSED: Outcome.REFUSED,
    Cause.FILTERED: Outcome.REFUSED,
}


def outcome_of(asked: Asked) -> Outcome:
    """Return what there is of the answer."""
    heard = asked.heard
    if asked.result.ok and heard.completion is not None:
        whole = heard.completion.reply.finish in (Finish.COMPLETE, Finish.OTHER)
        return Outcome.COMPLETE if whole else Outcome.PARTIAL
    there = Outcome.PARTIAL if text_of(asked) else Outcome.FAILED
    return there if heard.error is None else _OF_CAUSES.get(heard.error.cause, there)


def text_of(asked: Asked) -> str:
    """Return what there is of the answer's text."""
    heard = asked.heard
    if heard.completion is not None:
        return heard.completion.reply.text
    partial = "" if heard.error is None else heard.error.partial
    return partial or asked.shown


def facts_line(asked: Asked, *, priced: bool) -> bytes:
    """Return all that is known of the answer, as one line of JSON.

    Args:
      priced: whether all models that could be asked have a price.
    """
    result, completion = asked.result, asked.heard.completion
    facts: dict[str, object] = {
        "outcome": outcome_of(asked).value,
        "text": text_of(asked),
        "value": plain(result.value) if result.ok else None,
        "finish": None if completion is None else completion.reply.finish.value,
        "model": None if completion is None else completion.reply.model,
        "repairs": 0 if completion is None else completion.repairs,
        "failure": None if result.failure is None else failure_facts(result.failure),
        "usage": usage_facts(result.usage),
        "cost_usd": result.usage.cost_usd if priced else None,
        "duration": seconds(result.duration),
        "attempts": list(_attempts(asked)),
        "waits": [
            {
                "why": wait.why,
                "before_attempt": wait.before,
                "began": seconds(wait.began),
                "seconds": seconds(wait.length),
            }
            for wait in asked.waits
        ],
    }
    return json_line(facts)


def _attempts(asked: Asked) -> Iterator[dict[str, object]]:
    """Yield the facts of each attempt; the one that succeeded, last, has no cause."""
    for ended in asked.result.steps:
        for record in ended.attempts:
            yield _attempt(asked, record)
        if ended.failure is None:
            yield {"number": ended.number, "mode": None, "cause": None, "wait": 0.0}


def _attempt(asked: Asked, record: AttemptRecord) -> dict[str, object]:
    failure = record.failure
    after = [wait.length for wait in asked.waits if wait.before == record.number + 1]
    return {
        "number": record.number,
        **({} if failure is None else failure_facts(failure)),
        "began": seconds(record.started - asked.accepted),
        "ended": seconds(record.ended - asked.accepted),
        "wait": seconds(sum(after)),
        "usage": None if record.usage is None else usage_facts(record.usage),
    }

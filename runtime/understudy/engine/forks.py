"""Which records of a run another one begins with that forks off from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import msgspec

from understudy.workflows.inputs import admit
from understudy.workflows.plan import Plan
from understudy.workflows.step import Step
from understudy_protocols.errors import SetupError
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import (
    Accepted,
    Decided,
    Ended,
    Failed,
    Finished,
    Held,
    Placed,
    Record,
    Released,
    Reshaped,
)


def forked(
    records: Sequence[Record],
    path_of: Callable[[int], str],
    from_step: str | None,
    changes: Mapping[str, object],
    written: Callable[[str, object], object],
) -> list[Record]:
    """Return what a fork begins with, its acceptance included.

    Args:
      path_of: gives the path of a node by its number.
      from_step: the path of the step that is run again, or its name if there is one
        of it; None for what made the run fail.
      changes: other values of steps before, by path or name.
      written: gives what stands in a record for a value of the step at a path.

    Raises:
      SetupError: there is no such step, or a change is of one that is not before.
    """
    kept: list[Record] = []
    found = from_step is None
    failing = _failing(records) if found else None
    for record in _history(records):
        if record is failing:
            break
        if from_step is not None and not isinstance(record, Accepted):
            found = _is(path_of(record.node), from_step)
            if found:
                break
        kept.append(record)
    if not found:
        raise SetupError(
            f"the run has no record of a step {from_step!r}; it has: {_steps(kept, path_of)}"
        )
    return _changed(kept, path_of, changes, written)


def admitted(plan: Plan, path: str, value: object) -> object:
    """Return another value for the step at *path*, as the step declares it.

    Raises:
      InputError: it does not fit.
    """
    for one in plan.root.walk():
        if one.path == path and isinstance(one.node, Step):
            kind = cast("Step[object, object, object]", one.node).output_type
            return admit(value, kind, f"the value of {path}")
    return value


def _history(records: Sequence[Record]) -> Iterator[Accepted | Placed]:
    """Yield the records of what happened, without what was done to the run."""
    for record in records:
        if not isinstance(record, Ended | Held | Released | Reshaped):
            yield record


def _failing(records: Sequence[Record]) -> Record | None:
    """Return what a run failed by, or would have: other failures it went on after."""
    over = (n for n, record in enumerate(records, 1) if isinstance(record, Ended))
    # Behind the end there may be what was in hand when it came.
    records = records[: next(over, None)]
    end, history = records[-1], [*_history(records)]
    last = history[-1]
    failed = [record for record in history if isinstance(record, Failed)]
    has_failed = isinstance(end, Ended) and end.status == RunStatus.FAILED.value
    if has_failed and isinstance(last, Decided):
        return last  # the user's code has raised
    if not failed or not (has_failed or failed[-1] is last):
        return None
    found = failed[-1]
    asked = [
        record
        for record in history
        if isinstance(record, Decided)
        and (record.node, record.position) == (found.node, found.position)
    ]
    return asked[-1] if asked else found


def _changed(
    records: list[Record],
    path_of: Callable[[int], str],
    changes: Mapping[str, object],
    written: Callable[[str, object], object],
) -> list[Record]:
    for name, value in changes.items():
        places = [
            place
            for place, record in enumerate(records)
            if isinstance(record, Finished) and _is(path_of(record.node), name)
        ]
        if not places:
            raise SetupError(
                f"{name!r} is not among the steps that the fork takes over; these "
                f"are: {_steps(records, path_of)}"
            )
        for place in places:
            record = records[place]
            assert isinstance(record, Finished), "others were left out"
            records[place] = msgspec.structs.replace(
                record, value=written(path_of(record.node), value)
            )
    return records


def _is(path: str, name: str) -> bool:
    """Whether a node at *path* is meant, or one inside the one that is."""
    return path == name or path.startswith(f"{name}/") or path.endswith(f"/{name}")


def _steps(records: Sequence[Record], path_of: Callable[[int], str]) -> str:
    there = (path_of(one.node) for one in records if isinstance(one, Finished))
    return ", ".join(dict.fromkeys(there)) or "none"

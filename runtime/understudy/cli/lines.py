"""The lines of an input, one after another, as what runs are made of."""

from __future__ import annotations

import attrs

from understudy.cli.continuing import Earlier
from understudy.cli.inputs import Fit
from understudy.cli.reading import Records
from understudy.cli.records import Record
from understudy.cli.run_ids import RunIds
from understudy.workflows.inputs import InputError


@attrs.frozen
class Line:
    """One input.

    Args:
      index: the how many-th it is; from 0.
      record: where it stands.
      value: of the declared type; None if there is a problem.
      run_id: of its run; None to have one drawn.
      problem: why no run can be made of it; empty if one can.
      there: whether the output has its result already.
    """

    index: int
    record: Record
    value: object
    run_id: str | None
    problem: str
    there: bool

    @property
    def number(self) -> int:
        """Where it begins in the file, from 1."""
        return self.record.line


class Lines:
    """Gives the lines of an input, in order.

    Args:
      ids: names their runs; None if they have no names of their own.
      earlier: the results that the output has; None if it has none.
    """

    def __init__(
        self,
        records: Records,
        fit: Fit,
        ids: RunIds | None,
        earlier: Earlier | None,
    ) -> None:
        self._records = records
        self._fit = fit
        self._ids = ids
        self._earlier = earlier
        self._index = -1

    async def next(self) -> Line | None:
        """Return the next line, or None at the end; often no checkpoint.

        Cancellation: see `Records.next`.
        Raises:
          SetupError: the file cannot be used as a whole.
          MisfitError: the output has results of other lines.
          OSError: reading failed.
        """
        record = await self._records.next()
        if record is None:
            if self._earlier is not None:
                self._earlier.check_end()
            return None
        self._index += 1
        value, run_id, problem = None, None, ""
        try:
            value = self._fit.value(record)
            if self._ids is not None:
                run_id = self._ids.id_of(record)
        except InputError as error:
            problem = error.problem
        earlier = self._earlier
        there = earlier is not None and earlier.has(record.line, run_id)
        return Line(self._index, record, value, run_id, problem, there)

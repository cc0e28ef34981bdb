"""A job that goes on where an earlier call left it: what of its output stays."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Final

import attrs
import msgspec
import trio

from understudy.cli.tally import Tally
from understudy_protocols.errors import SetupError
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.usage import Usage

_CHUNK: Final = 1024 * 1024
REFUSED: Final = "refused: "
"""How the outcome of a request begins that was not done."""

_STANDARD_OUTPUT: Final = 1
_REQUESTS: Final = 2.0
_LOOK_AGAIN: Final = 0.05
_FINAL: Final = frozenset(status.value for status in RunStatus if status.terminal)
_REFUSED_RUN: Final = "run "
_BEGINNING: Final = b'{"run_id":'
"""How every result line begins."""


@attrs.frozen
class Continuing:
    """What a job with a journal has besides.

    Args:
      journal: the file.
      key: the field that tells lines apart; None if their content does.
      keep: whether results that stand in the output stay there.
    """

    journal: str
    key: str | None
    keep: bool


async def requests_done(journal: str) -> tuple[str, ...]:
    """Wait until what was asked while nobody executed the runs has been done.

    Not for ever: what cannot be done yet is not waited for.

    Returns:
      what was refused, in words: whoever asked is there no more.
    """
    # Loaded by those who have a journal.
    from understudy.journal.reader import SqliteReader

    with SqliteReader(journal) as reader:
        asked = tuple(reader.requests())
        with trio.move_on_after(_REQUESTS):
            while tuple(reader.requests()):
                await trio.sleep(_LOOK_AGAIN)
        outcomes = [(one, reader.outcome(one.id) or "") for one in asked]
    return tuple(
        f"what was asked of run {one.run_id} ({one.what}) was {outcome}"
        for one, outcome in outcomes
        if outcome.startswith(REFUSED)
    )


class MisfitError(SetupError):
    """What stands in the output is not of this input."""


class _Usage(msgspec.Struct):
    calls: int = 0
    cost_micros: int = 0
    estimated: bool = False


class _Failure(msgspec.Struct):
    cause: str
    where: str = ""


class _Line(msgspec.Struct):
    run_id: str | None
    line: int
    status: str
    failure: _Failure | None = None
    usage: _Usage | None = None


_read_line: Final = msgspec.json.Decoder(_Line).decode


class Earlier:
    """The results that stand in an output already.

    Args:
      output: how to call it in messages.
      ordered: whether it is in the order of the inputs.

    Attributes:
      end: where they end; bytes.  What follows is to be written again.
    """

    def __init__(self, output: str, *, ordered: bool) -> None:
        self._output = output
        self._ordered = ordered
        self._ids: dict[int, str] = {}
        self.end: int = 0

    def take(self, fd: int, workflow: str, tally: Tally) -> None:
        """Read what is there, up to the first line that is not final, or torn.

        Args:
          workflow: whose results they have to be.
          tally: counts them.

        Raises:
          MisfitError: it holds something else.
          OSError: it cannot be read.
        """
        for content in _lines(fd):
            line = _result(content)
            if line is None:
                self._check_torn(content)
                return
            if line.run_id is not None and not line.run_id.startswith(f"{workflow}-"):
                raise self._foreign()
            if line.status not in _FINAL or _was_turned_away(line):
                return
            if line.line in self._ids:
                raise self._foreign()
            self._ids[line.line] = _whose(line)
            self.end += len(content)
            _count(line, tally)

    def has(self, line: int, run_id: str | None) -> bool:
        """Whether the result of an input line is there; each is asked for once.

        Args:
          run_id: that of its run; None if there can be none.

        Raises:
          MisfitError: it is there, and that of another run.
        """
        if self._ordered and self._ids and next(iter(self._ids)) != line:
            raise MisfitError(
                f"{self._output} has its results in another order than the input; "
                "go on with --order done, or begin it anew with --overwrite"
            )
        if line not in self._ids:
            return False
        if self._ids.pop(line) != (run_id or misfit_place(line)):
            raise MisfitError(
                f"line {line} of the input is not what it was when {self._output} was "
                "written, or is taken otherwise; write to another file, or begin it "
                "anew with --overwrite: what has ended is not run again"
            )
        return True

    def check_end(self) -> None:
        """See that there is no result without an input.

        Raises:
          MisfitError: there is one.
        """
        for line in self._ids:
            raise MisfitError(
                f"{self._output} has a result of line {line}, which the input does not "
                "have; write to another file, or begin it anew with --overwrite"
            )

    def _check_torn(self, content: bytes) -> None:
        """See that what cannot be read is the end of something that was written here."""
        if not self.end and not content.startswith(_BEGINNING[: len(content)]):
            raise self._foreign()

    def _foreign(self) -> MisfitError:
        return MisfitError(
            f"{self._output} exists already, and what stands in it is not what a job "
            "with a journal writes; give --overwrite to replace it, or another name"
        )


def misfit_place(line: int) -> str:
    """Return where a line failed that no run can be made of, as its result tells."""
    return f"line {line}"


def refused_place(run_id: str) -> str:
    """Return where a line failed whose run was not taken, as its result tells."""
    return f"{_REFUSED_RUN}{run_id}"


def is_kept(fd: int) -> bool:
    """Whether what is written to *fd* is there when it is opened again.

    Standard output may be a file, and is still not ours to read or to cut.
    """
    return fd != _STANDARD_OUTPUT and stat.S_ISREG(os.fstat(fd).st_mode)


def cut(fd: int, end: int) -> None:
    """Drop what stands behind *end*, and go on writing there."""
    os.ftruncate(fd, end)
    os.lseek(fd, end, os.SEEK_SET)


def _lines(fd: int) -> Iterator[bytes]:
    rest = b""
    while chunk := os.read(fd, _CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _result(content: bytes) -> _Line | None:
    """Return what a line says; None if it is not whole, or none that is written here."""
    if not content.startswith(_BEGINNING) or not content.endswith(b"\n"):
        return None
    try:
        return _read_line(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _whose(line: _Line) -> str:
    """Return what tells the input of a result: its run, or where it does not fit."""
    if line.run_id is not None:
        return line.run_id
    return "" if line.failure is None else line.failure.where


def _was_turned_away(line: _Line) -> bool:
    """Whether its run was not taken, for a reason that may be gone.

    The key may not have been there, or the journal damaged, or of other inputs.
    """
    return line.run_id is None and _whose(line).startswith(_REFUSED_RUN)


def _count(line: _Line, tally: Tally) -> None:
    reason = None
    if line.status != RunStatus.COMPLETED.value:
        reason = line.status
        if line.run_id is None:
            reason = "bad input"
        elif line.failure is not None and line.status == RunStatus.FAILED.value:
            reason = line.failure.cause
    used = line.usage or _Usage()
    usage = Usage(
        calls=used.calls, cost_micros=used.cost_micros, estimated=used.estimated
    )
    tally.add(reason, usage)
    tally.before += 1

"""The output file: whole lines, soon on disk, and none lost if it fills up."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress

import attrs
import trio
import typer

from understudy.cli.exits import EXIT_UNREAD, harmless
from understudy_protocols.errors import SetupError

FLUSH_EVERY = 0.5
"""A finished result is in the file at most so long after; seconds."""

FLUSH_AT = 64 * 1024
"""Bytes waiting that are written at once."""

MOST_WAITING = 4 * 1024 * 1024
"""Bytes waiting above which results have to wait for the disk."""


@attrs.frozen
class OutputFile:
    """An output that can be written to.

    Args:
      name: how to call it in messages.
      fd: its descriptor.
      made: whether it was not there before.
    """

    name: str
    fd: int
    made: bool = False

    def unmake(self) -> None:
        """Remove what was made, if nothing was written: the call was wrong."""
        if self.made and os.fstat(self.fd).st_size == 0:
            with suppress(OSError):
                os.unlink(self.name)


def open_output(
    path: str, *, overwrite: bool, source: int, journaled: bool = False
) -> OutputFile:
    """Open *path* for writing, or standard output for ``-``.

    Args:
      overwrite: whether a file that is there may be emptied.
      source: the descriptor of the input, which is never emptied.
      journaled: whether the job has a journal, and looks by itself at what is there.

    Raises:
      SetupError: it is there already, or cannot be written.
    """
    if path == "-":
        return OutputFile("standard output", 1)
    flags = (os.O_RDWR if journaled else os.O_WRONLY) | os.O_CREAT | os.O_CLOEXEC
    try:
        there = os.stat(path)
    except FileNotFoundError:
        # Nobody may slip in between.
        flags |= os.O_EXCL
    except OSError as error:
        raise SetupError(f"cannot write {path}: {error.strerror}") from error
    else:
        _check_existing(path, there, os.fstat(source), overwrite=overwrite or journaled)
        regular = stat.S_ISREG(there.st_mode)
        if not regular:
            flags = os.O_WRONLY | os.O_CLOEXEC
        elif not journaled:
            flags |= os.O_TRUNC
    try:
        return OutputFile(path, os.open(path, flags, 0o666), bool(flags & os.O_EXCL))
    except OSError as error:
        raise SetupError(f"cannot write {path}: {error.strerror}") from error


def _check_existing(
    path: str, there: os.stat_result, source: os.stat_result, *, overwrite: bool
) -> None:
    if os.path.samestat(there, source) and stat.S_ISREG(there.st_mode):
        raise SetupError(
            f"{path} is the input itself; write the results to another file"
        )
    if stat.S_ISREG(there.st_mode) and not overwrite:
        raise SetupError(
            f"{path} exists already; give --overwrite to replace it, or another name"
        )


class ResultWriter:
    """Writes lines in batches, by a thread, while others go on.

    Attributes:
      error: why it gave up; None while all is well.
    """

    def __init__(self, output: OutputFile) -> None:
        self._fd = output.fd
        self._lines: list[bytes] = []
        self._size = 0
        self._wake = trio.Event()
        self._written = trio.Event()
        self.error: OSError | None = None

    def add(self, lines: list[bytes]) -> None:
        """Take lines, each with its newline, to be written soon."""
        self._lines.extend(lines)
        self._size += sum(map(len, lines))
        if self._size >= FLUSH_AT:
            self._wake.set()

    async def room(self) -> None:
        """Wait while there is too much to write; a checkpoint only then."""
        while self._size > MOST_WAITING and self.error is None:
            await self._written.wait()

    async def serve(self) -> None:
        """Write until cancelled, or until writing fails.

        Cancellation: a batch under way is finished.
        """
        while self.error is None:
            with trio.move_on_after(FLUSH_EVERY):
                await self._wake.wait()
            await self._flush()

    async def finish(self) -> None:
        """Write what is left; there will be no more."""
        while self._lines and self.error is None:
            await self._flush()

    def unwritten(self) -> list[bytes]:
        """Return the lines that are not in the file."""
        return list(self._lines)

    async def _flush(self) -> None:
        self._wake = trio.Event()
        lines = self._lines
        if not lines or self.error is not None:
            return
        self._lines = []
        # A thread is waited for in any case; cut short, it would not be known
        # what is in the file.
        with trio.CancelScope(shield=True):
            count, self.error = await trio.to_thread.run_sync(
                write_lines, self._fd, lines
            )
            self._lines[:0] = lines[count:]
        self._size = sum(map(len, self._lines))
        self._written.set()
        self._written = trio.Event()


def write_lines(fd: int, lines: list[bytes]) -> tuple[int, OSError | None]:
    """Write *lines*, and return how many are in the file, and why not all.

    When a line does not fit, its beginning is taken out again, so that a file
    always ends with a whole line.
    """
    data = memoryview(b"".join(lines))
    done = 0
    try:
        while done < len(data):
            done += os.write(fd, data[done:])
    except OSError as error:
        return _keep_whole(fd, lines, done), error
    return len(lines), None


def _keep_whole(fd: int, lines: list[bytes], done: int) -> int:
    count = 0
    whole = 0
    while count < len(lines) and whole + len(lines[count]) <= done:
        whole += len(lines[count])
        count += 1
    if stat.S_ISREG(os.fstat(fd).st_mode):
        end = os.lseek(fd, 0, os.SEEK_CUR) - (done - whole)
        os.ftruncate(fd, end)
        os.lseek(fd, end, os.SEEK_SET)
    return count


def write_out(text: str) -> None:
    """Write *text* to standard output; on a terminal, without what that would obey.

    Raises:
      SetupError: that fails.
    """
    error = _written_out(harmless(text) if sys.stdout.isatty() else text)
    if error is not None:
        raise SetupError(f"cannot write standard output: {error.strerror}")


def print_out(text: str) -> None:
    """Write *text* to standard output, as far as it is read: not all of it, by ``head``.

    Raises:
      typer.Exit: whoever read has left.
      SetupError: it cannot be written.
    """
    error = _written_out(text)
    if isinstance(error, BrokenPipeError):
        raise typer.Exit(EXIT_UNREAD)
    if error is not None:
        raise SetupError(f"cannot write standard output: {error.strerror}")


def _written_out(text: str) -> OSError | None:
    with suppress(OSError):  # said below
        sys.stdout.flush()
    # Past the buffer, which would try again at exit what has failed.
    _, error = write_lines(1, [text.encode(sys.stdout.encoding, "replace")])
    return error


def rescue(lines: list[bytes]) -> str | None:
    """Put *lines* into a new temporary file; return its path, None if that fails."""
    try:
        fd, path = tempfile.mkstemp(prefix="understudy-results-", suffix=".jsonl")
    except OSError:
        return None
    _, error = write_lines(fd, lines)
    os.close(fd)
    if error is None:
        return path
    os.unlink(path)
    return None

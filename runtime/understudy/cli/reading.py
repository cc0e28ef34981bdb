"""The input file as a stream of records, read in chunks by a thread."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

import attrs
import trio

from understudy.cli.records import CsvRows, JsonLines, Record, RecordParser
from understudy_protocols.errors import SetupError

CHUNK = 256 * 1024
"""Bytes taken by one read: one hop to a thread for a thousand lines or so."""


@attrs.frozen
class InputFile:
    """An input that can be read.

    Args:
      name: how to call it in messages.
      fd: its descriptor.
      size: how long it is; bytes, or None for a pipe.
      text: whether it is CSV, where all values are texts.
    """

    name: str
    fd: int
    size: int | None
    text: bool

    def parser(self) -> RecordParser:
        """Return a parser for its format."""
        return CsvRows() if self.text else JsonLines()


def words_given(given: str) -> str:
    """Return *given*, or what standard input says for ``-``.

    Raises:
      SetupError: that cannot be read, or is not in UTF-8.
    """
    if given != "-":
        return given
    try:
        with open(0, "rb", closefd=False) as standard_input:
            return standard_input.read().decode()
    except UnicodeDecodeError as error:
        raise SetupError("standard input is not in UTF-8") from error
    except OSError as error:
        raise SetupError(f"cannot read standard input: {error.strerror}") from error


def open_input(path: str, *, csv: bool | None) -> InputFile:
    """Open *path*, or standard input for ``-``.

    Args:
      csv: whether it is CSV; None to go by the name.

    Raises:
      SetupError: it is not there or cannot be read.
    """
    text = path.lower().endswith(".csv") if csv is None else csv
    if path == "-":
        name, fd = "standard input", 0
    else:
        name = path
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise SetupError(f"there is no input file {path}") from None
        except OSError as error:
            raise SetupError(f"cannot read {path}: {error.strerror}") from error
    try:
        state = os.fstat(fd)
    except OSError as error:
        raise SetupError(f"cannot read {name}: {error.strerror}") from error
    if stat.S_ISDIR(state.st_mode):
        os.close(fd)
        raise SetupError(f"{name} is a directory; give a JSONL or CSV file")
    size = state.st_size if stat.S_ISREG(state.st_mode) else None
    return InputFile(name, fd, size, text)


class Records:
    """The records of an input, one after another."""

    def __init__(self, source: InputFile) -> None:
        self._fd = source.fd
        # A read of a pipe may last for ever, and must not keep us from leaving.
        self._leave_behind = source.size is None
        self._parser = source.parser()
        self._ready: Iterator[Record] = iter(())
        self._ended = False

    @property
    def position(self) -> int:
        """Bytes whose records were given, but for what is short of a line."""
        return self._parser.taken

    async def next(self) -> Record | None:
        """Return the next record, or None at the end; often no checkpoint.

        Cancellation: nothing is lost of a file; of a pipe, what was just read.
        Raises:
          SetupError: the file cannot be used as a whole.
          OSError: reading failed.
        """
        while True:
            for record in self._ready:
                return record
            if self._ended:
                return None
            chunk = await trio.to_thread.run_sync(
                os.read, self._fd, CHUNK, abandon_on_cancel=self._leave_behind
            )
            self._ended = not chunk
            self._ready = self._parser.feed(chunk) if chunk else self._parser.end()

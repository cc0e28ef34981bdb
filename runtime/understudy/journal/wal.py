"""The write-ahead log of SQLite, read as a file: is what was written still in it?

SQLite takes the log up to the first frame whose checksum is wrong, and drops what
follows without a word.  After a crash that is right: what follows was not safe yet.
But nobody writes a transaction before the one in front of it is safe; so if a whole
one stands behind the break, and something behind that, the log was damaged later, and
what was safe would be lost.

Source: https://www.sqlite.org/walformat.html, "The WAL File".
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from understudy.journal.connection import PAGE_BYTES

_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")
_MAGIC: Final = 0x377F0682
"""The last bit is set if checksums are made of big-endian words."""

Sums = tuple[int, int]


class Log(NamedTuple):
    """What is in a log.

    Args:
      frames: whole ones, up to the first that is not; a count.
      behind: those of this log from there on; a count.
      broken: whether something that was safe stands behind the break.
    """

    frames: int
    behind: int
    broken: bool


class Frame(NamedTuple):
    """One frame of a log; the first one stands for the header.

    Args:
      whole: whether it is as it was written.
      commits: whether a transaction ends with it.
      ours: whether it belongs to this log, not to one that was overwritten.
    """

    whole: bool
    commits: bool
    ours: bool


def read_log(path: Path) -> Log:
    """Return what is in the log at *path*; nothing if there is none."""
    log = _read(path)
    while log.broken:
        # Others may have written to it meanwhile; what is damaged stays where it is.
        before, log = log, _read(path)
        if log.frames == before.frames:
            break
    return log


def _read(path: Path) -> Log:
    try:
        with path.open("rb") as file:
            frames = list(_frames(file))
    except FileNotFoundError:
        frames = []
    return judge(frames)


def judge(frames: Sequence[Frame]) -> Log:
    """Return what the frames of a log say."""
    good = next((i for i, frame in enumerate(frames) if not frame.whole), len(frames))
    behind = [frame for frame in frames[good:] if frame.ours or frame.whole]
    commits = next((i for i, frame in enumerate(behind) if frame.commits), len(behind))
    broken = any(frame.whole for frame in behind[commits + 1 :])
    return Log(max(good - 1, 0), len(behind), broken)


def _frames(file: BinaryIO) -> Iterator[Frame]:
    content = file.read(_HEADER.size)
    if len(content) < _HEADER.size:
        return
    magic, _, size, _, *salts, first, second = _HEADER.unpack(content)
    sums = (first, second)
    words = ">" if magic & 1 else "<"
    sound = magic & ~1 == _MAGIC and checksum(content[:24], (0, 0), words) == sums
    if not sound:
        # Then the frames are to tell whether it was once.
        size, words = PAGE_BYTES, "<" if sys.byteorder == "little" else ">"
    # It is safe before the first frame is written, like a transaction.
    yield Frame(sound, commits=True, ours=True)
    before = True
    while len(frame := file.read(_FRAME.size + size)) == _FRAME.size + size:
        if sound and not any(frame[: _FRAME.size]):
            # Room that was made for the log: quicker than by adding it up.
            yield Frame(whole=False, commits=False, ours=False)
            sums, before = (0, 0), False
            continue
        _, pages, *its_salts, first, second = _FRAME.unpack_from(frame)
        found = checksum(frame[_FRAME.size :], checksum(frame[:8], sums, words), words)
        sums = (first, second)
        # A frame is known by its salts; or if those are damaged, by what it follows.
        follows, salted = found == sums, its_salts == salts
        ours = salted or (follows and before)
        yield Frame(follows and (salted or not sound), pages != 0, ours)
        before = ours


def checksum(content: bytes, sums: Sums, words: str) -> Sums:
    """Return the sums after *content*, whose length is a multiple of 8 bytes."""
    first, second = sums
    numbers = struct.unpack(f"{words}{len(content) // 4}I", content)
    for one, two in zip(numbers[::2], numbers[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second

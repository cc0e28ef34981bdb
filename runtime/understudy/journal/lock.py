"""Who executes the runs of a journal: one process, by a lock of the operating system.

The lock is on a file beside the journal, and ends with its process, however that
ends.  What stands in the file is for those who are refused.
"""

from __future__ import annotations

import fcntl
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import Final
from weakref import WeakSet

import msgspec

from understudy_protocols.errors import JournalBusyError, JournalError


class Holder(msgspec.Struct, frozen=True):
    """Who has a journal.

    Args:
      pid: its process id.
      host: the machine it runs on.
      since: when it took the journal over.
    """

    pid: int
    host: str
    since: datetime

    def __str__(self) -> str:
        return (
            f"process {self.pid} on {self.host}, since "
            f"{self.since.isoformat(sep=' ', timespec='seconds')}"
        )


class OwnerLock:
    """The lock beside one journal.

    Args:
      journal: the journal's own file.
    """

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_name(f"{journal.name}.lock")
        self._file: int | None = None

    def take(self, now: datetime) -> None:
        """Take the lock.

        Raises:
          JournalBusyError: another process has it.
          JournalError: the file cannot be made.
        """
        assert self._file is None, "a lock is taken once"
        # No link is followed: what it leads to would be written over.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            file = os.open(self._path, flags, 0o666)
        except OSError as error:
            raise JournalError(
                f"its lock {self._path} cannot be made ({error.strerror}); "
                "see to the permissions of the folder"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _say(file, Holder(os.getpid(), socket.gethostname(), now))
        except BlockingIOError as error:
            os.close(file)
            holder = holder_of(self._path)
            raise JournalBusyError(
                f"its runs are executed by {holder or 'another process'}; "
                "end that one, or give this one a journal of its own"
            ) from error
        except OSError as error:
            os.close(file)
            raise JournalError(
                f"its lock {self._path} cannot be taken ({error.strerror})"
            ) from error
        self._file = file
        _taken.add(self)

    def free(self) -> None:
        """Let go of the lock; nothing if it is not held."""
        if self._file is not None:
            # The file stays: if it went, two could each lock one of that name.
            os.ftruncate(self._file, 0)
            self.leave()

    def leave(self) -> None:
        """Close the file, without a word to those who may share it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def holder_of(lock: Path) -> Holder | None:
    """Return who is named in a lock's file, if anybody is."""
    try:
        return msgspec.json.decode(lock.read_bytes(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None


def at_work(journal: str | os.PathLike[str]) -> Holder | None:
    """Return who executes the runs of a journal now; None if nobody does.

    A process of another machine is taken at its word.
    """
    place = Path(os.path.realpath(journal))
    holder = holder_of(place.with_name(f"{place.name}.lock"))
    if holder is None or holder.host != socket.gethostname():
        return holder
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass  # somebody else's, and alive
    return holder


def _say(file: int, holder: Holder) -> None:
    words = msgspec.json.encode(holder)
    os.pwrite(file, words, 0)
    os.ftruncate(file, len(words))


_taken: Final[WeakSet[OwnerLock]] = WeakSet()


def _leave_to_the_parent() -> None:
    # A child made by fork shares the lock, and would keep it when its parent dies.
    for lock in list(_taken):
        lock.leave()


os.register_at_fork(after_in_child=_leave_to_the_parent)

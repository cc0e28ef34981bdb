"""Where a journal may be: a file of its own, on a disk of this machine.

The locks and the shared memory that SQLite and the owner's lock are built on do not
reach across machines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from understudy_protocols.errors import JournalError

_NETWORK: Final = frozenset(
    [
        "9p",
        "acfs",
        "afpfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "pvfs2",
        "smb3",
        "smbfs",
        "webdav",
    ]
)
_NETWORK_FUSE: Final = frozenset(
    [
        "beegfs",
        "ceph",
        "ceph-fuse",
        "curlftpfs",
        "davfs",
        "davfs2",
        "gcsfuse",
        "glusterfs",
        "goofys",
        "juicefs",
        "mount-s3",
        "mountpoint-s3",
        "moosefs",
        "nfs",
        "rclone",
        "s3fs",
        "smbnetfs",
        "sshfs",
    ]
)


def journal_place(path: Path) -> Path:
    """Return the real path of a journal, which need not be there yet.

    Raises:
      JournalError: it cannot be there.
    """
    if path.name == ":memory:":
        raise JournalError(
            "that is SQLite's word for what is lost with the process; name a file, or "
            "let a program give a MemoryStore()"
        )
    try:
        with suppress(FileNotFoundError):
            os.stat(path)
    except OSError as error:
        # Links in a circle, too long a name, a folder that may not be entered.
        raise JournalError(
            f"it cannot be reached ({error.strerror}); name another place for it"
        ) from error
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise JournalError("it is a folder; name a file in it")
    if not place.parent.is_dir():
        raise JournalError(f"there is no folder {place.parent}; make it first")
    if place.exists() and not place.is_file():
        raise JournalError("it is no ordinary file; name another one")
    if place.exists() and place.stat().st_nlink > 1:
        raise JournalError(
            "it has another name as well (a hard link), and its log and its lock would "
            "not be those of that one; copy it instead, and remove one of the two"
        )
    mounts, form = _mounts()
    if is_mounted(place, mounts, form):
        raise JournalError(
            "it is mounted by itself, and its log and its lock would be elsewhere; "
            "mount the folder that it is in"
        )
    kind = file_system_of(place.parent, mounts, form)
    if is_network(kind):
        raise JournalError(
            f"it is on a network file system ({kind}), where locks cannot be relied "
            "on; put it on a disk of this machine"
        )
    return place


def is_network(kind: str) -> bool:
    """Whether files on such a file system may be on another machine."""
    fuse, _, inner = kind.partition(".")
    return kind in _NETWORK or (fuse == "fuse" and inner in _NETWORK_FUSE)


def file_system_of(folder: Path, mounts: str, form: re.Pattern[str]) -> str:
    """Return the kind of file system that *folder* is on, empty if unknown.

    Args:
      mounts: what is mounted, a line each; later ones lie over earlier ones.
      form: of a line, with the groups ``point`` and ``kind``.
    """
    best, kind = -1, ""
    for line in form.finditer(mounts):
        point = _point(line)
        if len(point.parts) >= best and folder.is_relative_to(point):
            best, kind = len(point.parts), line["kind"]
    return kind


def is_mounted(place: Path, mounts: str, form: re.Pattern[str]) -> bool:
    """Whether something is mounted at *place* itself; see `file_system_of`."""
    return any(_point(line) == place for line in form.finditer(mounts))


LINUX: Final = re.compile(
    r"^\d+ \d+ \S+ \S+ (?P<point>\S+) .*? - (?P<kind>\S+)", re.MULTILINE
)
"""A line of ``/proc/self/mountinfo``."""

MACOS: Final = re.compile(r"^.*? on (?P<point>/.*) \((?P<kind>\w+)", re.MULTILINE)
"""A line that ``mount`` prints."""


def _mounts() -> tuple[str, re.Pattern[str]]:
    try:
        if sys.platform == "darwin":
            printed = subprocess.run(["/sbin/mount"], capture_output=True, check=True)
            return printed.stdout.decode(errors="replace"), MACOS
        return Path("/proc/self/mountinfo").read_text(errors="replace"), LINUX
    except (OSError, subprocess.SubprocessError):
        return "", LINUX


def _point(line: re.Match[str]) -> Path:
    return Path(re.sub(r"\\([0-7]{3})", _octal, line["point"]))


def _octal(match: re.Match[str]) -> str:
    return chr(int(match[1], 8))

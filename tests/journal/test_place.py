"""A journal stands on a disk of this machine, or nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.journal import place
from understudy.journal.place import (
    LINUX,
    MACOS,
    file_system_of,
    is_mounted,
    is_network,
)
from understudy.journal.reader import SqliteReader
from understudy.journal.sqlite import SqliteStore
from understudy_protocols.errors import JournalError

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
23 22 0:21 / /proc rw,nosuid - proc proc rw
40 22 0:50 / /mnt/share rw,relatime shared:7 master:2 - nfs4 server:/export rw,vers=4.2
41 40 0:51 / /mnt/share/local rw - xfs /dev/vdb rw
42 22 0:52 / /mnt/two\040words rw - cifs //server/share rw
43 22 0:53 / /mnt/ssh rw - fuse.sshfs me@there: rw
44 22 0:54 / /mnt/over rw - ext4 /dev/vdc rw
45 22 0:55 / /mnt/over rw - fuse.s3fs bucket rw
46 22 0:56 / /mnt/ntfs rw - fuseblk /dev/vdd rw
47 22 0:57 /sub /mnt/b rw - btrfs /dev/vde rw,subvol=/sub
48 22 254:1 /home/me/runs.db /data/my\040runs.db rw - ext4 /dev/vda rw
"""

PRINTED = """
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//me@server/share on /Volumes/share one (smbfs, nodev, nosuid, mounted by me)
server:/export on /Volumes/n (nfs, nodev, nosuid)
"""


@pytest.mark.parametrize(
    ("folder", "kind", "network"),
    [
        ("/", "ext4", False),
        ("/home/me", "ext4", False),
        ("/mnt", "ext4", False),
        ("/mnt/share", "nfs4", True),
        ("/mnt/share/a/b", "nfs4", True),
        ("/mnt/shared", "ext4", False),
        ("/mnt/share/local", "xfs", False),
        ("/mnt/two words", "cifs", True),
        ("/mnt/ssh", "fuse.sshfs", True),
        ("/mnt/over/x", "fuse.s3fs", True),
        ("/mnt/ntfs", "fuseblk", False),
        ("/mnt/b", "btrfs", False),
    ],
)
def test_the_file_system_is_that_of_the_last_mount_around_a_folder(
    folder: str, kind: str, network: bool
) -> None:
    assert file_system_of(Path(folder), MOUNTINFO, LINUX) == kind
    assert is_network(kind) is network


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/Users/me", "apfs"),
        ("/Volumes/share one/a", "smbfs"),
        ("/Volumes/n", "nfs"),
        ("/Volumes/other", "apfs"),
    ],
)
def test_what_macos_prints_is_read_as_well(folder: str, kind: str) -> None:
    assert file_system_of(Path(folder), PRINTED, MACOS) == kind


def test_macos_is_asked_by_its_own_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, 0, PRINTED.encode())

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", run)
    assert file_system_of(Path("/Volumes/n"), *place._mounts()) == "nfs"

    def missing(command: list[str], **_: object) -> None:
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(subprocess, "run", missing)
    assert file_system_of(Path("/Volumes/n"), *place._mounts()) == ""


def test_where_nothing_is_known_nothing_is_refused() -> None:
    assert file_system_of(Path("/x"), "", LINUX) == ""
    assert not is_network("")


@pytest.mark.parametrize("link", [False, True])
def test_a_network_file_system_is_refused_by_name(
    link: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    path = share / "runs.db"
    if link:
        path = tmp_path / "runs.db"
        path.symlink_to(share / "runs.db")
    mounts = f"{MOUNTINFO}50 22 0:60 / {share} rw - nfs server:/x rw\n"

    def mounted() -> tuple[str, re.Pattern[str]]:
        return mounts, LINUX

    monkeypatch.setattr(place, "_mounts", mounted)
    with pytest.raises(JournalError) as caught:
        SqliteStore(path).open()
    assert str(caught.value) == (
        f"the journal {path}: it is on a network file system (nfs), where locks cannot "
        "be relied on; put it on a disk of this machine"
    )
    assert list(share.iterdir()) == []


def test_what_is_lost_with_the_process_is_no_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JournalError, match="the journal :memory:: that is SQLite's"):
        SqliteStore(":memory:").open()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("circle", "Too many levels of symbolic links"),
        ("circle/runs.db", "Too many levels of symbolic links"),
        ("file/runs.db", "Not a directory"),
        ("n" * 300, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_reached_is_refused_with_the_reason(
    name: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "circle")
    (tmp_path / "file").touch()
    path, before = tmp_path / name, sorted(tmp_path.iterdir())
    for use in (SqliteStore(path).open, lambda: SqliteReader(path)):
        with pytest.raises(JournalError) as caught:
            use()
        assert str(caught.value) == (
            f"the journal {path}: it cannot be reached ({why}); name another place for "
            "it"
        )
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_with_two_names_is_refused_by_all_as_its_log_would_be_torn_in_two(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "runs.db", tmp_path / "linked.db"
    store = SqliteStore(first)
    store.open()
    store.close()
    os.link(first, second)
    for name in (first, second):
        with pytest.raises(JournalError, match="another name as well") as caught:
            SqliteStore(name).open()
        assert name.name in str(caught.value)
        with pytest.raises(JournalError, match="another name as well"):
            SqliteReader(name)
    second.unlink()
    store = SqliteStore(first)
    store.open()
    store.close()


@pytest.mark.parametrize(
    ("file", "mounted"),
    [
        ("/data/my runs.db", True),
        ("/data/other.db", False),
        ("/mnt/b/runs.db", False),
    ],
)
def test_a_file_that_is_mounted_without_its_folder_is_told_from_others(
    file: str, mounted: bool
) -> None:
    assert is_mounted(Path(file), MOUNTINFO, LINUX) is mounted


def test_a_file_that_is_mounted_without_its_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "runs.db"
    file.touch()
    line = f"48 22 254:1 /runs.db {file} rw - ext4 /dev/vda rw\n"
    monkeypatch.setattr(place, "_mounts", lambda: (line, LINUX))
    with pytest.raises(JournalError, match="mounted by itself") as caught:
        SqliteStore(file).open()
    assert str(file) in str(caught.value)

"""A server in a process of its own: started, found, and stopped by its pid."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

START_SECONDS = 60.0
STOP_SECONDS = 20.0

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@attrs.frozen
class Server:
    """A running server.

    Args:
      address: where it says that it listens, without a path.
      pid: its process.
    """

    address: str
    pid: int


@contextmanager
def running(command: Sequence[str]) -> Generator[Server]:
    """Start a server that prints its address, and stop it with the block.

    It may also end of itself when its input is closed.

    Raises:
      RuntimeError: it did not say in time where it listens; says what it did say.
    """
    with (
        tempfile.NamedTemporaryFile("r", errors="replace") as output,
        Path(output.name).open("w") as sink,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=sink, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            yield Server(_address(process, Path(output.name)), process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(process: subprocess.Popen[bytes], output: Path) -> str:
    latest = time.monotonic() + START_SECONDS
    while time.monotonic() < latest and process.poll() is None:
        if found := _ADDRESS.search(output.read_text(errors="replace")):
            return found[0]
        time.sleep(0.05)
    raise RuntimeError(f"no server: {output.read_text(errors='replace')[-2000:]}")


def listening(pid: int) -> set[str]:
    """Return the addresses where a process of Linux listens, as `Server.address`."""
    files = Path(f"/proc/{pid}/fd").iterdir()
    inodes = {
        link.removeprefix("socket:[").removesuffix("]")
        for link in map(_target, files)
        if link.startswith("socket:[")
    }
    found = set[str]()
    for table in ("tcp", "tcp6"):
        lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN and fields[9] in inodes:
                found.add(f"http://{_readable(fields[1])}")
    return found


_LISTEN = "0A"


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""


def _readable(address: str) -> str:
    """Return an address of the kernel's tables as people write it, if it is of IPv4."""
    number, port = address.split(":")
    host = number
    if len(number) == 8:
        host = ".".join(map(str, reversed(bytes.fromhex(number))))
    return f"{host}:{int(port, 16)}"

"""Starts servers of others once, and lets these tests import their neighbours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import aimock
import real_engine
from server_process import Server, running


def _skip(why: str | None) -> None:
    if why and os.environ.get("CI") == "true":
        pytest.fail(why)
    if why:
        pytest.skip(why)


@pytest.fixture(scope="session")
def engine() -> Iterator[Server]:
    """A real model behind a real server."""
    _skip(real_engine.missing())
    with running(real_engine.command()) as server:
        yield server


@pytest.fixture(scope="session")
def mock() -> Iterator[Server]:
    """A server that answers as `aimock.ANSWERS` says."""
    _skip(aimock.missing())
    with running(aimock.command()) as server:
        yield server

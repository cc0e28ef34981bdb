"""The pytest fixture `schedule`; needs pytest, and no plug-in.

Import it in a ``conftest.py``: ``from understudy.testing.fixtures import schedule``.
"""

from __future__ import annotations

import os
import random
import secrets
import zlib
from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import attrs
import pytest

from understudy.testing.schedule import LARGEST_SEED, run_seeded
from understudy_protocols.errors import ConfigError

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

SEED_VARIABLE = "UNDERSTUDY_SEED"


@attrs.frozen
class Schedule:
    """One test's seed, and ways to run async code under it.

    Args:
      seed: stands for the schedule; 0 or more.
      test: the test's id, as pytest takes it on its command line.
    """

    seed: int
    test: str

    @property
    def random(self) -> random.Random:
        """A fresh generator from the seed: hand it to what asks for one."""
        return random.Random(self.seed)

    def run(
        self,
        async_fn: Callable[[*_Ts], Awaitable[_T]],
        *args: *_Ts,
        autojump: bool = True,
    ) -> _T:
        """Run once, as `run_seeded` does, under this seed."""
        return self._run(self.seed, autojump, async_fn, *args)

    def explore(
        self,
        async_fn: Callable[[*_Ts], Awaitable[_T]],
        *args: *_Ts,
        runs: int = 100,
    ) -> tuple[_T, ...]:
        """Run under *runs* seeds, this one first, and return every result.

        Raises:
          Whatever the first failing run raises, noting that run's own seed.
        """
        return tuple(
            self._run((self.seed + turn) % (LARGEST_SEED + 1), True, async_fn, *args)
            for turn in range(runs)
        )

    def _run(
        self,
        seed: int,
        autojump: bool,
        async_fn: Callable[[*_Ts], Awaitable[_T]],
        *args: *_Ts,
    ) -> _T:
        try:
            return run_seeded(async_fn, *args, seed=seed, autojump=autojump)
        except BaseException as error:
            error.add_note(f"or: {SEED_VARIABLE}={seed} pytest {self.test!r}")
            raise


@pytest.fixture
def schedule(request: pytest.FixtureRequest) -> Schedule:
    """A schedule for this test.

    The seed follows from the test's id, so a test suite gives the same result
    twice.  The environment variable ``UNDERSTUDY_SEED`` sets another: a number, or
    ``random`` to draw one.
    """
    node: pytest.Item = request.node  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- pytest gives no type
    test = node.nodeid
    return Schedule(seed=seed_for(test, os.environ.get(SEED_VARIABLE)), test=test)


def seed_for(test: str, wanted: str | None) -> int:
    """Return the seed of *test*, given the value of the environment variable.

    Raises:
      ConfigError: *wanted* is neither a number from 0 up nor ``random``.
    """
    if not wanted:
        return zlib.crc32(test.encode())
    if wanted == "random":
        return secrets.randbelow(LARGEST_SEED + 1)
    if wanted.isdecimal():
        return int(wanted)
    raise ConfigError(
        f"{SEED_VARIABLE} is {wanted!r}; give a number, 0 or more, or 'random'"
    )

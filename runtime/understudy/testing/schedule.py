"""Run async code under virtual time and a schedule that a seed decides.

One seed is one schedule, replayed exactly; different seeds give different ones.
Hypothesis alone explores a single schedule, since it seeds trio alike for each
example: draw a seed with `seeds` and pass it to `run_seeded`.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

import trio
import trio.testing

from understudy.testing.hang import HangWatch
from understudy.testing.scheduler import SeededOrder, seeded_order

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

ONE_DAY = 86_400.0
LARGEST_SEED = 2**32 - 1
# At some microseconds a round this is a minute or so: far beyond what a test
# does, and early enough that a loop that never waits is seen.
MAX_ROUNDS = 10_000_000


def run_seeded(
    async_fn: Callable[[*_Ts], Awaitable[_T]],
    *args: *_Ts,
    seed: int,
    autojump: bool = True,
    horizon: float = ONE_DAY,
    defer: float = 0.0,
    max_rounds: int = MAX_ROUNDS,
) -> _T:
    """Run ``async_fn(*args)`` by trio under the schedule that *seed* stands for.

    Time is virtual (`trio.testing.MockClock`).  The global generator of `random`
    is seeded too.  Trio's scheduler and that generator are as before afterwards.

    Args:
      async_fn: an async function.
      args: its arguments.
      seed: any integer, not negative.
      autojump: whether the clock jumps to the next deadline when every task
        waits.  Worker threads and sockets count as waiting: for code that uses
        them give False; then time stands still, unless the test moves it.
      horizon: a run not done after this much virtual time hangs; seconds.
      defer: chance that a runnable task is put off for one round, as if it had
        met one checkpoint more; 0 to below 1.
      max_rounds: a run that needs more rounds of the scheduler hangs; a count.

    Returns:
      What the function returns.

    Raises:
      HangError: the run hangs; it says where each task waits.
      SetupError: this version of trio has moved its scheduler, or another seeded
        run is under way in this process.
      Whatever the function raises, with a note how to replay it.
    """
    watch, order = _prepare(seed, horizon, defer, max_rounds)
    try:
        return _run(watch, order, autojump, seed, async_fn, *args)
    except BaseException as error:
        extra = "" if autojump else ", autojump=False"
        extra += f", defer={defer:g}" if defer else ""
        error.add_note(f"to replay: run_seeded({_name(async_fn)}, seed={seed}{extra})")
        raise


def schedule_signature(
    async_fn: Callable[[*_Ts], Awaitable[object]],
    *args: *_Ts,
    seed: int,
    defer: float = 0.0,
) -> str:
    """Run as `run_seeded` does, and return a digest of who ran in which order.

    Equal digests are equal schedules: count the distinct ones over many seeds to
    see how much is explored.
    """
    watch, order = _prepare(seed, ONE_DAY, defer, MAX_ROUNDS)
    order.record()
    _run(watch, order, True, seed, async_fn, *args)
    return order.signature()


def seeds() -> SearchStrategy[int]:
    """Return a Hypothesis strategy of seeds for `run_seeded`.

    Raises:
      ImportError: Hypothesis is not installed; ``understudy[testing]`` brings it.
    """
    from hypothesis import strategies  # optional, and slow to import

    return strategies.integers(0, LARGEST_SEED)


def _prepare(
    seed: int, horizon: float, defer: float, max_rounds: int
) -> tuple[HangWatch, SeededOrder]:
    if seed < 0:
        # Python's generator drops the sign: two seeds would be one schedule.
        raise ValueError(f"a seed is not negative, and this is {seed}")
    if not 0 <= defer < 1:
        raise ValueError(f"defer is a chance from 0 to below 1, and this is {defer}")
    watch = HangWatch(horizon)
    return watch, SeededOrder(seed, defer, max_rounds, watch.too_many_rounds)


def _run(
    watch: HangWatch,
    order: SeededOrder,
    autojump: bool,
    seed: int,
    async_fn: Callable[[*_Ts], Awaitable[_T]],
    *args: *_Ts,
) -> _T:
    clock = trio.testing.MockClock(autojump_threshold=0 if autojump else float("inf"))
    before = random.getstate()
    random.seed(seed)

    async def main() -> _T:
        return await watch.run(order, async_fn, *args)

    try:
        with seeded_order(order):
            return trio.run(main, clock=clock)
    except trio.TrioInternalError as error:
        if watch.hang is not None and error.__cause__ is watch.hang:
            raise watch.hang from None
        raise
    finally:
        random.setstate(before)


def _name(async_fn: object) -> str:
    return getattr(async_fn, "__qualname__", None) or repr(async_fn)

"""A cut at the first, second, ... last checkpoint of one task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from understudy.testing import run_seeded

SEEDS = range(3)


class CutAtStep(trio.abc.Instrument):
    """Calls *cut* when one task has come to its nth checkpoint from now on.

    Attributes:
      done: whether it has.
      later: the task's checkpoints since.
    """

    def __init__(
        self, task: trio.lowlevel.Task, step: int, cut: Callable[[], None]
    ) -> None:
        self.done = False
        self.later = 0
        self._task = task
        self._step = step
        self._cut = cut
        trio.lowlevel.add_instrument(self)

    def close(self) -> None:
        """Count no further."""
        trio.lowlevel.remove_instrument(self)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is not self._task:
            return
        self._step -= 1
        if self._step == 0:
            self.done = True
            self._cut()
        elif self.done:
            self.later += 1


def cut_at_every_step(
    scenario: Callable[[int], Awaitable[bool]], *, at_least: int
) -> None:
    """Run *scenario* with a cut at step 1, 2, ... until it comes too late."""
    for seed in SEEDS:
        step = 1
        while run_seeded(scenario, step, seed=seed):
            step += 1
        assert step > at_least, "the scenario has fewer checkpoints than it should"

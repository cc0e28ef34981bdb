"""Public waits: each lets others run, and none keeps a cancellation to itself."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from understudy.testing import run_seeded
from understudy_actors.mailbox import Mailbox, Overflow


@pytest.mark.parametrize("overflow", list(Overflow))
def test_s160_put_in_a_cancelled_scope_raises_and_sends_nothing(
    overflow: Overflow,
) -> None:
    async def main() -> None:
        mailbox = Mailbox[int]("a", 1, overflow)
        with trio.CancelScope() as scope:
            scope.cancel()
            await mailbox.put(1)
        assert scope.cancelled_caught
        assert len(mailbox) == 0

    run_seeded(main, seed=0)


@pytest.mark.parametrize("overflow", list(Overflow))
def test_s161_put_is_a_checkpoint_and_put_nowait_is_none(overflow: Overflow) -> None:
    async def main() -> None:
        mailbox = Mailbox[int]("a", 3, overflow)
        with trio.testing.assert_checkpoints():
            await mailbox.put(1)
        with trio.testing.assert_no_checkpoints():
            mailbox.put_nowait(2)
            mailbox.put_front(3)
            mailbox.take_nowait()
            mailbox.close("done")

    run_seeded(main, seed=0)

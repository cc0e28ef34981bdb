"""The mailbox against a list, under any order of calls and any schedule."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from understudy.testing import run_seeded, seeds
from understudy_actors.mailbox import Mailbox, Overflow
from understudy_protocols.errors import ActorStoppedError, MailboxFullError


class MailboxMachine(RuleBasedStateMachine):
    """One mailbox and the list that it should be."""

    @initialize(capacity=st.integers(1, 3), overflow=st.sampled_from(list(Overflow)))
    def open(self, capacity: int, overflow: Overflow) -> None:
        self.dropped: list[int] = []
        self.mailbox = Mailbox[int](
            "a", capacity, overflow, lambda item, _: self.dropped.append(item)
        )
        self.front: list[int] = []
        self.line: list[int] = []
        self.lost: list[int] = []
        self.ordinal = 0
        self.closed = False

    @rule()
    def put(self) -> None:
        self.ordinal += 1
        full = len(self.line) >= self.mailbox.capacity
        if self.closed:
            with pytest.raises(ActorStoppedError):
                self.mailbox.put_nowait(self.ordinal)
        elif full and self.mailbox.overflow in (Overflow.REJECT, Overflow.BLOCK):
            with pytest.raises(MailboxFullError):
                self.mailbox.put_nowait(self.ordinal)
        else:
            self.mailbox.put_nowait(self.ordinal)
            self.line.append(self.ordinal)
            if full:
                newest = self.mailbox.overflow is Overflow.DROP_NEW
                self.lost.append(self.line.pop(-1 if newest else 0))

    @rule()
    def put_front(self) -> None:
        if not self.closed:
            self.ordinal += 1
            self.mailbox.put_front(self.ordinal)
            self.front.insert(0, self.ordinal)

    @rule()
    def take(self) -> None:
        expected = self.front or self.line
        if expected:
            assert self.mailbox.take_nowait() == expected.pop(0)
        else:
            with pytest.raises(trio.WouldBlock):
                self.mailbox.take_nowait()

    @rule()
    def close(self) -> None:
        assert self.mailbox.close("done") == self.front + self.line
        self.front, self.line, self.closed = [], [], True

    @invariant()
    def the_counts_agree(self) -> None:
        if self.ordinal:
            assert len(self.mailbox) == len(self.front) + len(self.line)
            assert self.mailbox.closed == self.closed
            assert self.dropped == self.lost


TestMailboxMachine = MailboxMachine.TestCase
TestMailboxMachine.settings = settings(max_examples=200, deadline=None)


@settings(max_examples=100, deadline=None)
@given(
    seed=seeds(),
    capacity=st.integers(1, 3),
    patience=st.lists(st.floats(0, 10), min_size=1, max_size=6),
    closes=st.booleans(),
)
def test_blocked_and_impatient_senders_lose_and_repeat_nothing(
    seed: int, capacity: int, patience: list[float], closes: bool
) -> None:
    """Sent is taken, left at the close, refused, or never sent: once each."""

    async def main() -> None:
        mailbox = Mailbox[tuple[int, int]]("a", capacity, Overflow.BLOCK)
        sent: list[tuple[int, int]] = []
        received: list[tuple[int, int]] = []

        async def sender(number: int, patience_s: float) -> None:
            for ordinal in range(8):
                with trio.move_on_after(patience_s):
                    try:
                        await mailbox.put((number, ordinal))
                    except ActorStoppedError:
                        return
                    sent.append((number, ordinal))

        async def receiver() -> None:
            for _ in range(30):
                await trio.sleep(1)
                try:
                    received.append(mailbox.take_nowait())
                except trio.WouldBlock:
                    assert len(mailbox) == 0

        async with trio.open_nursery() as nursery:
            for number, seconds in enumerate(patience):
                nursery.start_soon(sender, number, seconds)
            await receiver()
            if closes:
                received += mailbox.close("done")
            else:
                nursery.cancel_scope.cancel()
        if not closes:
            received += mailbox.close("done")
        assert sorted(received) == sorted(sent)
        for number in range(len(patience)):
            ordinals = [ordinal for who, ordinal in received if who == number]
            assert ordinals == sorted(ordinals)

    run_seeded(main, seed=seed)

"""The mailbox: its bound, its policies, its order, and its end."""

from __future__ import annotations

import math

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.mailbox import Mailbox, Overflow
from understudy_protocols.errors import (
    ActorStoppedError,
    ConfigError,
    MailboxFullError,
)

SEEDS = range(10)


def taken(mailbox: Mailbox[int]) -> list[int]:
    items: list[int] = []
    try:
        while True:
            items.append(mailbox.take_nowait())
    except trio.WouldBlock:
        return items


def test_messages_are_taken_in_the_order_they_were_put() -> None:
    mailbox = Mailbox[int]("a", math.inf)
    for item in range(5):
        mailbox.put_nowait(item)
    assert len(mailbox) == 5
    assert taken(mailbox) == [0, 1, 2, 3, 4]
    assert len(mailbox) == 0


@pytest.mark.parametrize("capacity", [0, -1, 1.5, math.nan, -math.inf])
def test_a_capacity_that_could_pass_nothing_on_is_refused(capacity: float) -> None:
    with pytest.raises(ConfigError, match="whole number from 1"):
        Mailbox[int]("a", capacity)


@pytest.mark.parametrize("overflow", [Overflow.REJECT, Overflow.BLOCK])
def test_putting_into_a_full_mailbox_without_waiting_raises(overflow: Overflow) -> None:
    mailbox = Mailbox[int]("root/a", 2, overflow)
    mailbox.put_nowait(1)
    assert mailbox.has_room
    mailbox.put_nowait(2)
    assert not mailbox.has_room
    with pytest.raises(MailboxFullError, match="root/a is full"):
        mailbox.put_nowait(3)
    assert (mailbox.overflows, taken(mailbox)) == (1, [1, 2])


@pytest.mark.parametrize(
    ("overflow", "kept", "given_up"),
    [(Overflow.DROP_NEW, [1, 2], [3, 4]), (Overflow.DROP_OLD, [3, 4], [1, 2])],
)
def test_a_dropping_mailbox_hands_over_what_it_drops(
    overflow: Overflow, kept: list[int], given_up: list[int]
) -> None:
    dropped: list[tuple[int, str]] = []
    woken: list[int] = []
    mailbox = Mailbox[int](
        "a", 2, overflow, lambda item, why: dropped.append((item, why))
    )
    mailbox.on_ready = lambda: woken.append(len(mailbox))
    for item in (1, 2, 3, 4):
        mailbox.put_nowait(item)
    assert dropped == [(item, "overflow") for item in given_up]
    assert mailbox.overflows == 2
    assert len(woken) == (2 if overflow is Overflow.DROP_NEW else 4)
    assert taken(mailbox) == kept


def test_what_nobody_asked_to_hear_of_may_be_dropped() -> None:
    mailbox = Mailbox[int]("a", 1, Overflow.DROP_NEW)
    mailbox.put_nowait(1)
    mailbox.put_nowait(2)
    assert taken(mailbox) == [1]


def test_a_message_in_front_goes_ahead_of_all_and_needs_no_room() -> None:
    woken: list[None] = []
    mailbox = Mailbox[int]("a", 2)
    mailbox.on_ready = lambda: woken.append(None)
    for item in (1, 2):
        mailbox.put_nowait(item)
    mailbox.put_front(3)
    mailbox.put_front(4)
    assert (len(mailbox), len(woken)) == (4, 4)
    assert taken(mailbox) == [4, 3, 1, 2]


def test_blocked_senders_are_let_in_first_come_first_served() -> None:
    async def main() -> list[int]:
        mailbox = Mailbox[int]("a", 1, Overflow.BLOCK)
        received: list[int] = []
        async with trio.open_nursery() as nursery:
            for item in range(5):
                nursery.start_soon(mailbox.put, item)
                await trio.testing.wait_all_tasks_blocked()
            assert (mailbox.blocked, mailbox.overflows, len(mailbox)) == (4, 4, 1)
            while len(received) < 5:
                received.append(mailbox.take_nowait())
                # One of those in line has moved in, before it runs again.
                assert len(mailbox) == min(1, 5 - len(received))
        assert len(mailbox) == 0
        return received

    for seed in SEEDS:
        assert run_seeded(main, seed=seed) == [0, 1, 2, 3, 4]


def test_a_sender_cancelled_in_line_has_not_sent() -> None:
    async def main() -> None:
        mailbox = Mailbox[int]("a", 1, Overflow.BLOCK)
        await mailbox.put(1)
        with trio.move_on_after(1) as scope:
            await mailbox.put(2)
        assert scope.cancelled_caught
        assert taken(mailbox) == [1]

    run_seeded(main, seed=0)


def test_put_says_that_a_rejecting_mailbox_is_full() -> None:
    async def main() -> None:
        mailbox = Mailbox[int]("a", 1)
        await mailbox.put(1)
        with pytest.raises(MailboxFullError):
            await mailbox.put(2)

    run_seeded(main, seed=0)


def test_closing_returns_what_waited_in_order() -> None:
    mailbox = Mailbox[int]("root/a", 3)
    for item in (2, 3, 4):
        mailbox.put_nowait(item)
    mailbox.put_front(1)
    assert not mailbox.closed
    assert mailbox.close("its work is done") == [1, 2, 3, 4]
    assert mailbox.closed
    assert len(mailbox) == 0
    assert mailbox.close("again") == []
    for put in (mailbox.put_nowait, mailbox.put_front):
        with pytest.raises(ActorStoppedError, match=r"root/a .* its work is done"):
            put(5)
    with pytest.raises(trio.WouldBlock):
        mailbox.take_nowait()


def test_closing_tells_blocked_senders_and_takes_nothing_from_them() -> None:
    async def main() -> None:
        mailbox = Mailbox[int]("a", 1, Overflow.BLOCK)
        refused: list[int] = []

        async def send(item: int) -> None:
            with pytest.raises(ActorStoppedError):
                await mailbox.put(item)
            refused.append(item)

        mailbox.put_nowait(0)
        async with trio.open_nursery() as nursery:
            for item in (1, 2):
                nursery.start_soon(send, item)
            await trio.testing.wait_all_tasks_blocked()
            assert mailbox.close("gone") == [0]
        assert sorted(refused) == [1, 2]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@pytest.mark.parametrize("overflow", list(Overflow))
def test_a_sender_cancelled_once_the_message_is_in_is_not_told_otherwise(
    overflow: Overflow,
) -> None:
    async def main() -> None:
        mailbox = Mailbox[int]("a", 1, overflow)
        with trio.CancelScope() as scope:
            # Cancelled in the same breath as the message goes in.
            mailbox.on_ready = scope.cancel
            await mailbox.put(1)
            assert scope.cancel_called
        assert not scope.cancelled_caught
        assert taken(mailbox) == [1]

    run_seeded(main, seed=0)

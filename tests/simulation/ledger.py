"""The books of all messages: each is in one place, and over in exactly one way.

Mostly what a user of a ref can see is used: what calls return and raise, what
handlers are given, and dead letters.  Hooks say besides when a message is in a
mailbox (`admitted`, `put_back`), since its sender learns that too late.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import trio
from book import TOLERANCE, Book
from parcels import Done, Line, Parcel, Player, Where, Work
from watches import Watches

from understudy_actors.alarms import Alarm
from understudy_actors.behaviour import Actor, Answer
from understudy_actors.dead_letters import DeadLetter
from understudy_actors.exits import leaf
from understudy_actors.notices import NOTICES
from understudy_actors.reply import Reply
from understudy_protocols.errors import (
    ActorStoppedError,
    MailboxFullError,
)
from understudy_protocols.supervision import Life, Shutdown

_LETTERS_OF_MESSAGES = frozenset(
    {
        *("overflow", "stopped", "expired", "unhandled", "failed", "stuck"),
        *("crash", "timeout", "killed", "start_failed", "gave_up"),
        *("no routee", "given up"),
    }
)
_LETTERS_OF_REPLIES = frozenset({"late_reply", "second_reply"})


class Ledger:
    """The books of all messages: S107, S110, S111, S123, S124, S127.

    Args:
      book: where violations go.
      watches: the books of notices, which wait in the same inboxes.

    Attributes:
      letters: dead letters so far; a count.
    """

    def __init__(self, book: Book, watches: Watches) -> None:
        self.letters = 0
        self._book = book
        self._watches = watches
        self._lines: dict[Player, Line] = {}
        self._by_path: dict[str, Line] = {}
        self._parcels: list[Parcel] = []
        self._limbo: list[Parcel] = []
        self._last_begun: dict[tuple[str, Player], int] = {}
        self._stashed = 0
        self._useless = 0  # answers nobody waits for, less those dead letters

    def open(self, ref: Player, redeliver: float) -> None:
        """Keep books of *ref*, whose actor may be given a message so often again."""
        line = Line(ref, redeliver + 1)
        self._lines[ref] = self._by_path[ref.path] = line

    # Sending: see `Posting`

    def new(self, sender: str, ref: Player) -> Parcel:
        """Return a new message that *sender* is about to send."""
        number = len(self._parcels)
        parcel = Parcel(number, self._lines[ref], sender)
        self._parcels.append(parcel)
        self._book.note("sending", number, sender, ref.path)
        return parcel

    def not_sent(self, parcel: Parcel, error: BaseException) -> None:
        """Note that sending raised *error*: then the message is not sent."""
        outside = parcel.where is Where.SENDING
        self._require(outside, "S111 raised, and sent", parcel, repr(error))
        refused = isinstance(error, MailboxFullError | ActorStoppedError)
        self._book.count("not sent", "refused" if refused else "cancelled")
        if outside:
            parcel.move(Where.OVER)

    def order(
        self, actor: Actor[Work, Done], owner: object, delay: float, interval: float
    ) -> tuple[Alarm, Parcel]:
        """Let an actor order a message for later, again and again perhaps."""
        parcel = self.new(f"{actor.ref.path} later", actor.ref)
        parcel.ordered = False
        parcel.owner, parcel.life, parcel.interval = owner, actor.life, interval
        parcel.due = trio.current_time() + delay
        parcel.move(Where.ORDERED)
        work = Work(parcel.number)
        if interval < math.inf:
            parcel.due = trio.current_time() + interval
            return actor.send_every(interval, work), parcel
        return actor.send_after(delay, work), parcel

    def call_off(self, alarm: Alarm, parcel: Parcel) -> None:
        """Let a message that was ordered for later not come any more."""
        alarm.cancel()
        parcel.interval = math.inf
        if parcel.where is Where.ORDERED:
            parcel.move(Where.OVER)

    # Handling

    def begun(
        self, work: Work, ref: Player, reply: Reply[Done] | None, holder: object
    ) -> None:
        """Note that the actor behind *ref* was given *work*."""
        parcel = self._parcel(work)
        line = self._lines[ref]
        self._book.note("begun", parcel.number, ref.path)
        self._book.count("handler begun")
        if parcel.owner is not None:
            self._check_alarm(parcel, holder)
        elif parcel.where is Where.HAND and parcel.passing is line:
            parcel.starts = 1  # moved in, and its sender has not run since
        else:
            waits = parcel.where in (Where.QUEUED, Where.SENDING)
            self._require(waits, f"S111 handled while {parcel.where.name}", parcel)
            self._require(parcel.line is line, "S111 handled by another", parcel)
            parcel.starts += 1
            first = not line.front or line.front[-1] is parcel
            self._require(first, "S109 S123 not the one put back last", parcel)
        often = parcel.starts > line.most
        self._require(not often, "S110 handled more often than declared", parcel)
        self._require(parcel.asked == (reply is not None), "a reply lost", parcel)
        if parcel.ordered:
            self._check_order(parcel)
        parcel.move(Where.HAND, line)
        parcel.holder = holder
        alone = line.count[Where.HAND] == 1
        self._require(alone, "S108 another is still in hand", parcel)
        line.unstashed = math.inf
        self.check()

    def returned(
        self,
        work: Work,
        reply: Reply[Done] | None,
        holder: object,
        answer: Done | Answer,
    ) -> None:
        """Note that the handler came to its end with *answer*."""
        unhandled = answer is Answer.UNHANDLED
        answered = not isinstance(answer, Answer)
        parcel = self._parcel(work)
        self._book.note("returned", parcel.number)
        if parcel.holder is not holder:
            return  # passed on, put aside, or taken from a life that was stuck
        if unhandled:
            self._into_limbo(parcel, None)
        else:
            self._over(parcel)
            if answered:
                self.replies(reply)

    def raised(
        self,
        work: Work,
        reply: Reply[Done] | None,
        holder: object,
        error: BaseException,
    ) -> None:
        """Note that the handler was cut, or raised *error*."""
        parcel = self._parcel(work)
        self._book.note("raised", parcel.number, type(error).__name__)
        if parcel.holder is holder:
            self._into_limbo(parcel, reply)
            # An actor that ends in good order has dealt with what it was told.
            ends = isinstance(leaf(error), Shutdown)
            parcel.excused = ends and parcel.reply is None

    def replies(self, reply: Reply[Done] | None) -> None:
        """Note that an answer is about to be sent to *reply*."""
        if reply is not None and not reply.wanted:
            self._useless += 1

    def passes(self, message: object, to: Player) -> None:
        """Note that the one who has *message* in hand is passing it on."""
        parcel = self._parcel(message)
        if parcel.where is Where.HAND:
            parcel.ordered = False
            parcel.pass_to(self._lines[to])
            self._book.count("passed on")

    def put_aside(self, message: object) -> None:
        """Note that the one who has *message* in hand has put it in its stash."""
        parcel = self._parcel(message)
        parcel.ordered = False
        parcel.starts -= 1
        self._stashed += 1
        parcel.aside = self._stashed
        parcel.line.unstashed = math.inf
        parcel.move(Where.ASIDE)
        self._book.count("put aside")

    # What the hooks and the sink see

    def is_passed(self, message: object, ref: Player) -> bool:
        """Return whether the one who has *message* in hand is passing it to *ref*."""
        parcel = self._parcel(message)
        return parcel.where is Where.HAND and parcel.passing is self._lines[ref]

    def admitted(self, message: object, ref: Player, *, passed: bool) -> None:
        """Note that *message* was put in the mailbox, or dropped by its policy.

        Args:
          passed: by the one who had it in hand, and not by its sender.
        """
        parcel = self._parcel(message)
        if not passed and parcel.where is Where.SENDING:
            parcel.move(Where.QUEUED)
        elif passed and self.is_passed(message, ref):
            parcel.starts = 0
            parcel.move(Where.QUEUED, self._lines[ref])

    def put_back(self, message: object, ref: Player) -> None:
        """Note that *message* is in a mailbox again: its own, or its router's."""
        parcel = self._parcel(message)
        line = self._lines[ref]
        if parcel.passing is not None and parcel.passing.ref.closed:
            fine = True  # moved in there, and left by that one at once
            parcel.starts = 0
        elif parcel.line is line:
            fine = parcel.where in (Where.HAND, Where.LIMBO, Where.ASIDE)
        else:  # left by a routee that is gone
            # Or just moved in, which its sender has not seen yet.
            fine = parcel.where in (Where.QUEUED, Where.SENDING)
            parcel.ordered, parcel.starts = False, 0
            self._book.count("rerouted")
        self._require(fine, f"put back while {parcel.where.name}", parcel)
        if parcel.where is Where.ASIDE:
            # One after the other in front of all: the last one first.
            in_order = parcel.aside < line.unstashed
            self._require(in_order, "S123 out of order", parcel)
            line.unstashed = parcel.aside
        self._forget_limbo(parcel)
        parcel.move(Where.QUEUED, line)
        line.front.append(parcel)
        self._book.count("put back")

    def buried(self, letter: DeadLetter) -> None:
        """Note a dead letter."""
        self.letters += 1
        self._book.count("letter", letter.reason)
        message = letter.message
        if isinstance(message, Done):
            known = letter.reason in _LETTERS_OF_REPLIES
            self._require(known, "unknown reason", letter)
            self._useless -= 1
        elif isinstance(message, Work):
            self._bury(self._parcel(message), letter)
        elif type(message) in NOTICES:
            line = self._by_path[letter.address]
            self._watches.buried(letter, message, line.ref)  # type: ignore[arg-type] # just looked
        else:
            self._require(False, "a dead letter of nothing known", letter)

    def _bury(self, parcel: Parcel, letter: DeadLetter) -> None:
        self._book.note("buried", parcel.number, letter.reason)
        lines = parcel.line, parcel.passing
        right = any(line and line.ref.path == letter.address for line in lines)
        known = letter.reason in _LETTERS_OF_MESSAGES
        self._require(known and right, "S116 a wrong dead letter", letter)
        over = parcel.where is Where.OVER
        self._require(not over, "S111 over twice", parcel, letter.reason)
        self._forget_limbo(parcel)
        if letter.reason in ("failed", "unhandled", "given up"):
            self._over(parcel)  # the actor goes on
        else:
            parcel.move(Where.OVER)

    # Checks

    def check(self) -> None:
        """See that no message is lost or there twice, as far as it shows."""
        if self._limbo:
            self._check_limbo()
        self._watches.check()
        for line in self._lines.values():
            ref, count = line.ref, line.count
            least = count[Where.QUEUED] + self._watches.waiting(ref)
            most = least + count[Where.SENDING] + line.incoming
            queued = ref.queued
            if not least <= queued <= most:
                about = f"{queued} queued, by the books {least} to {most}"
                self._require(False, "S111 lost or doubled", ref.path, about)
            free = not (ref.closed and count[Where.HAND])
            self._require(free, "S85 S90 in hand, and its actor gone", ref.path)

    def check_idle(self, ref: Player) -> None:
        """See that nothing waits for an actor that has nothing to do."""
        self._require(ref.queued == 0, "S167 nobody looks at it", ref.path, ref.queued)

    def check_alarms(self, runs: Callable[[Life], bool]) -> None:
        """See that those that come again and again still do, while all is quiet.

        Args:
          runs: whether a life goes on.
        """
        now = trio.current_time()
        for parcel in self._parcels:
            if parcel.where is Where.ORDERED and parcel.interval < math.inf:
                assert parcel.life is not None, "a life has ordered it"
                late = now - parcel.due > 1 and runs(parcel.life)
                self._require(not late, "S124 it comes no more", parcel)

    def check_at_rest(self) -> None:
        """See that every message is over, or waits for an actor that never was."""
        self.check()
        lost = self._useless
        self._require(lost == 0, "S127 S128 a useless answer left no trace", lost)
        for parcel in self._parcels:
            if parcel.where in (Where.OVER, Where.ORDERED):
                continue
            waits = parcel.where is Where.QUEUED and not parcel.line.ref.closed
            self._require(waits, f"S111 never over: {parcel.where.name}", parcel)

    # Within

    def _parcel(self, message: object) -> Parcel:
        assert isinstance(message, Work), "only work is sent"
        return self._parcels[message.number]

    def _over(self, parcel: Parcel) -> None:
        """One handling is over; what was ordered may come again."""
        if parcel.interval < math.inf:
            parcel.due = trio.current_time() + parcel.interval
            parcel.move(Where.ORDERED)
        else:
            parcel.move(Where.OVER)

    def _check_alarm(self, parcel: Parcel, holder: object) -> None:
        due = parcel.where is Where.ORDERED
        self._require(due, "S124 called off, and came", parcel)
        self._require(parcel.owner is holder, "S124 in a later life", parcel)
        early = parcel.due - trio.current_time() > TOLERANCE
        self._require(not early, "S124 too early", parcel)
        self._book.count("alarm")

    def _check_order(self, parcel: Parcel) -> None:
        pair = parcel.sender, parcel.line.ref
        before = self._last_begun.get(pair, -1)
        self._require(before <= parcel.number, "S107 out of order", parcel, before)
        self._last_begun[pair] = parcel.number

    def _into_limbo(self, parcel: Parcel, reply: Reply[Done] | None) -> None:
        parcel.move(Where.LIMBO)
        parcel.reply = reply if reply is not None and reply.wanted else None
        parcel.excused = False
        self._limbo.append(parcel)

    def _forget_limbo(self, parcel: Parcel) -> None:
        if parcel.where is Where.LIMBO:
            self._limbo.remove(parcel)

    def _check_limbo(self) -> None:
        for parcel in self._limbo:
            told = parcel.reply is not None and not parcel.reply.wanted
            traced = told or parcel.excused
            self._require(traced, "S111 its failure left no trace", parcel)
            parcel.move(Where.OVER)
        self._limbo.clear()

    def _require(self, holds: bool, what: str, *about: object) -> None:
        if not holds:
            self._book.require(False, what, *map(str, about))

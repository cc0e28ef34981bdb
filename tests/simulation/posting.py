"""Telling and asking, with books kept: S111, S128, S131, S134."""

from __future__ import annotations

import trio
from book import TOLERANCE, Book
from ledger import Ledger
from parcels import Done, Parcel, Player, Where, Work

from understudy_protocols.errors import AskRefusedError


class Posting:
    """How clients and actors send.

    Args:
      book: where violations go.
      ledger: the books of the messages.
    """

    def __init__(self, book: Book, ledger: Ledger) -> None:
        self._book = book
        self._ledger = ledger
        self._asks: dict[int, Parcel] = {}

    async def tell(
        self,
        sender: str,
        ref: Player,
        *,
        timeout: float,
        deadline: float,
        strict: bool,
        poisoned: bool = False,
    ) -> None:
        """Tell; the errors of a strict one are raised."""
        parcel = self._ledger.new(sender, ref)
        work = Work(parcel.number, poisoned=poisoned)
        try:
            await ref.tell(work, timeout=timeout, deadline=deadline, strict=strict)
        except BaseException as error:
            self._ledger.not_sent(parcel, error)
            raise
        gone = parcel.where is Where.SENDING
        self._require(not gone, "S111 neither sent nor a dead letter", parcel)
        self._ledger.check()

    def tell_nowait(self, sender: str, ref: Player, *, strict: bool = False) -> None:
        """Tell without waiting; the errors of a strict one are raised."""
        parcel = self._ledger.new(sender, ref)
        try:
            ref.tell_nowait(Work(parcel.number), strict=strict)
        except BaseException as error:
            self._ledger.not_sent(parcel, error)
            raise
        if parcel.where is Where.SENDING:
            parcel.move(Where.QUEUED)

    async def ask(
        self, sender: str, ref: Player, timeout: float, *, plain: bool = False
    ) -> None:
        """Ask, and see that the answer is to this ask and comes in time."""
        began = trio.current_time()
        parcel = self._ledger.new(sender, ref)
        parcel.deadline = began + timeout
        parcel.asked = True
        self._asks[parcel.number] = parcel
        how = "answered"
        try:
            answer = await ref.ask(Work(parcel.number, plain), timeout)
        except BaseException as error:
            how = type(error).__name__
            if parcel.where is Where.SENDING:
                parcel.move(Where.OVER)
            else:
                refused = isinstance(error, AskRefusedError) and not parcel.starts
                self._require(not refused, "S131 a refused ask was sent", parcel)
            raise
        else:
            mine = answer == Done(parcel.number)
            self._require(mine, "S128 the answer to another ask", parcel, answer)
        finally:
            del self._asks[parcel.number]
            late = trio.current_time() - parcel.deadline > TOLERANCE
            jumped = self._book.jumped_at >= began
            self._require(jumped or not late, "S134 an ask ended late", parcel)
            self._book.note("ask over", parcel.number, how)
            self._book.count("ask", how)
        self._ledger.check()

    def open_asks_of_the_gone(self) -> list[str]:
        """Return the asks that wait for actors that are gone for good."""
        return [str(ask) for ask in self._asks.values() if ask.line.ref.closed]

    def check_at_rest(self) -> None:
        """See that every ask has ended."""
        for ask in self._asks.values():
            self._require(False, "S134 an ask has not ended", ask)

    def _require(self, holds: bool, what: str, *about: object) -> None:
        if not holds:
            self._book.require(False, what, *map(str, about))

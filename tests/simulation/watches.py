"""Who watches whom, and the notices that follow: S124, S136, S137, S138, S139."""

from __future__ import annotations

from collections.abc import Callable

from book import Book
from parcels import Player

from understudy_actors.dead_letters import DeadLetter
from understudy_actors.envelope import Address
from understudy_actors.exits import leaf
from understudy_actors.notices import Notice, ReceiveTimeout, Terminated
from understudy_protocols.supervision import Shutdown


class Watches:
    """The books of all notices.

    Args:
      book: where violations go.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._active: dict[tuple[Address, Address], bool] = {}
        self._waiting: dict[Address, int] = {}
        self._hands: dict[str, Notice] = {}
        self._limbo: dict[str, Notice] = {}

    def waiting(self, ref: Address) -> int:
        """Return how many notices wait in the inbox of *ref*; a count."""
        return self._waiting.get(ref, 0)

    # What actors do

    def watch(
        self, ref: Player, other: Player, watch: Callable[[], None], restarts: bool
    ) -> None:
        """Let *ref* watch *other*, by calling *watch*."""
        pair = ref, other
        if other is ref:  # nobody would be there to be told
            watch()
            return
        gone = other.closed
        if gone or not ref.closed:
            self._active[pair] = restarts and not gone
        watch()
        told = pair not in self._active
        self._require(told or not gone, "S136 nothing said of the gone", *pair)

    def unwatch(self, ref: Player, other: Player) -> None:
        """Note that *ref* watches *other* no more."""
        self._active.pop((ref, other), None)

    def begun(self, ref: Player, notice: Notice) -> None:
        """Note that the actor behind *ref* is given *notice*."""
        self._book.note("notice", ref.path, type(notice).__name__)
        self._book.count("notice", type(notice).__name__)
        self._hands[ref.path] = notice
        if not isinstance(notice, ReceiveTimeout):
            self._waiting[ref] = self.waiting(ref) - 1

    def returned(self, ref: Player, notice: Notice) -> None:
        """Note that the actor has dealt with it."""
        if self._hands.get(ref.path) is notice:
            del self._hands[ref.path]

    def raised(self, ref: Player, notice: Notice, error: BaseException) -> None:
        """Note that it failed: the notice must not be lost."""
        if self._hands.get(ref.path) is not notice:
            return
        if isinstance(leaf(error), Shutdown):
            del self._hands[ref.path]
        else:
            self._limbo[ref.path] = notice

    # What the hooks see

    def notify(self, ref: Player, notice: Notice) -> None:
        """Note that *ref* is about to be sent *notice*."""
        self._waiting[ref] = self.waiting(ref) + 1
        if isinstance(notice, ReceiveTimeout):
            return
        pair = ref, notice.actor
        wanted = self._active.get(pair)
        if isinstance(notice, Terminated):
            self._require(wanted is not None, "S136 a notice too many", *pair)
            self._active.pop(pair, None)
        else:
            self._require(wanted is True, "S137 not asked for", *pair)
            self._require(notice.incarnation > 1, "S137 a first life", *pair)

    def closed(self, ref: Player) -> None:
        """Note that *ref* is closed: all who watch it have been told."""
        for watcher, watched in list(self._active):
            if watcher is ref:
                del self._active[watcher, watched]
            elif watched is ref:
                self._require(False, "S136 not told of the end", watcher, watched)
                del self._active[watcher, watched]

    def put_back(self, ref: Player, notice: Notice) -> None:
        """Note that a notice in hand is in the inbox again."""
        self._settle(ref.path, notice)
        self._waiting[ref] = self.waiting(ref) + 1

    def buried(self, letter: DeadLetter, notice: Notice, ref: Player) -> None:
        """Note that a notice is a dead letter."""
        if not self._settle(letter.address, notice):
            self._waiting[ref] = self.waiting(ref) - 1

    # Checks

    def check(self) -> None:
        """See that no notice was lost with the handler that failed at it."""
        if self._limbo:
            for path, notice in self._limbo.items():
                self._require(False, "S138 a notice lost", path, notice)
            self._limbo.clear()

    def check_at_rest(self) -> None:
        """See that no notice waits where nobody will come for it."""
        for ref, waiting in self._waiting.items():
            self._require(waiting == 0, "S138 a notice waits", ref, waiting)

    def _settle(self, path: str, notice: Notice) -> bool:
        if self._hands.get(path) is not notice:
            return False
        del self._hands[path]
        self._limbo.pop(path, None)
        return True

    def _require(self, holds: bool, what: str, *about: object) -> None:
        if not holds:
            self._book.require(False, what, *map(str, about))

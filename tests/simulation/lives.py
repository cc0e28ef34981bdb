"""Which lives there are: what their code does, beside what is said of them.

The code of each child reports here by itself, so that what supervisors say
(`SupervisionEvent`) can be held against what is so.
"""

from __future__ import annotations

import math

import trio
from book import TOLERANCE, Book

from understudy_protocols.supervision import ChildSpec, ExitKind, Kill, Life
from understudy_protocols.supervision_records import (
    LIFE_AUTOMATON,
    LifeState,
    SupervisionEvent,
)

_ENDED = (LifeState.STOPPED, LifeState.CRASHED)


class OneLife:
    """One life of a child, from the first step of its code to the last.

    Attributes:
      life: what its code was given.
      spec: the child's; None for a supervisor.
      stuck: it was left behind.
      over: its code has ended.
      told: how often its end was told; a count.
    """

    __slots__ = ("life", "over", "path", "spec", "stuck", "told")

    def __init__(self, life: Life, spec: ChildSpec | None) -> None:
        self.life = life
        self.spec = spec
        self.path = life.path
        self.stuck = False
        self.over = False
        self.told = 0

    def __str__(self) -> str:
        return f"{self.path} {self.life.number}"


class Lives:
    """The census: S27, S37, S80, S108, S155.

    Args:
      book: where violations go.
      kill_timeout: the system's; seconds.
    """

    def __init__(self, book: Book, kill_timeout: float) -> None:
        self._book = book
        self._kill_timeout = kill_timeout
        self._unborn = set[tuple[str, int]]()
        self._all: list[OneLife] = []
        self._by_key: dict[tuple[str, int], OneLife] = {}
        self._running: dict[str, list[OneLife]] = {}
        self._states: dict[tuple[str, int], tuple[LifeState, float]] = {}
        self._cuts: dict[Life, float] = {}
        self._cut_at: dict[str, Life] = {}
        self._cut_keys = set[tuple[str, int]]()
        self._busy: dict[str, OneLife] = {}
        self._just_ended: OneLife | None = None

    def expect(self, path: str, number: int) -> None:
        """Know that a supervisor has called for this life."""
        self._unborn.add((path, number))
        self._cut_keys.discard((path, number))
        # One with the same number belongs to a child that was forgotten.
        self._by_key.pop((path, number), None)

    # What the children's code tells

    def began(self, life: Life, spec: ChildSpec | None) -> None:
        """Note that the code of *life* takes its first step."""
        key = life.path, life.number
        self._require(key in self._unborn, "S37 nobody called for it", *key)
        self._unborn.discard(key)
        one = OneLife(life, spec)
        running = self._running.setdefault(life.path, [])
        alone = all(other.stuck for other in running)
        self._require(alone, "S37 S108 two lives at a time", life.path, life.number)
        running.append(one)
        self._all.append(one)
        self._by_key[key] = one
        self._book.note("began", life.path, life.number)
        self._book.count("life begun")

    def ended(self, life: Life) -> None:
        """Note that the code of *life* takes no further step."""
        one = self.of(life)
        self._require(not one.over, "S27 it ended twice", one)
        one.over = True
        self._running[life.path].remove(one)
        self._just_ended = one
        self._book.note("ended", life.path, life.number)

    def cut(self, life: Life) -> None:
        """Note that the scope of *life* is cancelled."""
        self._cuts.setdefault(life, trio.current_time())
        self._cut_at[life.path] = life
        self._cut_keys.add((life.path, life.number))

    def was_cut(self, one: OneLife) -> bool:
        """Whether the scope of a life was cancelled."""
        return one.life in self._cuts

    def was_cut_at(self, path: str) -> bool:
        """Whether that of the latest life at *path* was; the root's code, too."""
        running = self._running.get(path)
        cut = self._cut_at.get(path)
        return cut is not None and (not running or running[-1].life is cut)

    def handles(self, life: Life) -> None:
        """Note that a handler of *life* begins."""
        one, busy = self.of(life), self._busy.get(life.path)
        free = busy is None or busy.stuck or busy.over
        self._require(free, "S108 two handlers at a time", one, busy)
        whole = life not in self._cuts
        self._require(whole, "S109 it was cut, and takes a message", one)
        self._busy[life.path] = one

    def handled(self, life: Life) -> None:
        """Note that the handler of *life* is over."""
        if self._busy.get(life.path) is self.of(life):
            del self._busy[life.path]

    def of(self, life: Life) -> OneLife:
        """Return the record of *life*."""
        one = self._by_key.get((life.path, life.number))
        if one is None or one.life is not life:  # its number was given again
            one = next(other for other in self._all if other.life is life)
        return one

    def runs(self, life: Life) -> bool:
        """Whether *life* goes on, and nobody wants its end."""
        one = self.of(life)
        return not (one.over or one.stuck or life.stopping or self.was_cut(one))

    def latest(self, path: str, number: int) -> OneLife | None:
        """Return the latest life with this number, if its code has begun."""
        return self._by_key.get((path, number))

    def running(self, path: str) -> list[OneLife]:
        """Return the lives at *path* that have not ended, and are not left behind."""
        return [one for one in self._running.get(path, ()) if not one.stuck]

    # What is said of them

    def event(self, event: SupervisionEvent) -> bool:
        """Check one event against those before it, and against what is so.

        Returns:
          whether it is the end of a life that had been left behind.
        """
        one = late = self._late_end(event)
        if one is None:
            self._step(event)
            one = self._by_key.get((event.path, event.incarnation))
        if event.state is LifeState.STUCK:
            self._left_behind(event)
        elif _tells_an_end(event) and one is not None:
            one.told += 1
        elif _tells_an_end(event):
            self._unborn.discard((event.path, event.incarnation))
        return late is not None

    def core_told(self, path: str, number: int, *, stuck: bool, stopped: bool) -> None:
        """Check that the core is told the truth about an end.

        Args:
          stuck: it was told that the life is left behind.
          stopped: it had the life stopped: then its code may not begin at all.
        """
        one = self._by_key.get((path, number))
        if one is None:
            called_off = stopped or (path, number) in self._cut_keys
            self._require(called_off, "S27 its code never began", path, number)
            self._unborn.discard((path, number))
            return
        self._require(stuck or one.over, "S27 an end that was none", one)
        one.told += not stuck

    def check_at_rest(self) -> None:
        """See that all have ended, and that each end was told once."""
        for path, number in sorted(self._unborn):
            self._require(False, "S27 its code never began", path, number)
        for one in self._all:
            self._require(one.over, "S90 its code is not over", one)
            self._require(one.told == 1, f"S27 end told {one.told} times", one)

    def _late_end(self, event: SupervisionEvent) -> OneLife | None:
        """Return the life left behind whose end this is, if it is one's.

        The child may be started anew by then, and if it was forgotten in
        between, even with the same number.
        """
        one, self._just_ended = self._just_ended, None
        if one is None or not one.stuck or event.state not in _ENDED:
            return None
        if (one.path, one.life.number) != (event.path, event.incarnation):
            return None
        self._book.count("late end")
        return one

    def _step(self, event: SupervisionEvent) -> None:
        key = event.path, event.incarnation
        if event.state is LifeState.STARTING and event.incarnation == 1:
            # The child was forgotten, or `Cores` says that it was not.
            for known in [one for one in self._states if one[0] == event.path]:
                del self._states[known]
        state, since = self._states.get(key, (None, 0.0))
        allowed = event.state in LIFE_AUTOMATON[state]
        before = None if state is None else state.value
        self._require(allowed, f"S155 {event.state.value} after {before}", event)
        now = trio.current_time()
        if state is event.state:
            now = since
        self._check_time(event, state, since)
        self._states[key] = event.state, now

    def _left_behind(self, event: SupervisionEvent) -> None:
        one = self._by_key[event.path, event.incarnation]
        self._require(not one.over, "S85 stuck, and not running", one)
        since = trio.current_time() - self._cuts.get(one.life, math.inf) + TOLERANCE
        timely = since >= self._kill_timeout
        self._require(timely, "S85 left behind before its time", one, since)
        one.stuck = True

    def _check_time(
        self, event: SupervisionEvent, state: LifeState | None, since: float
    ) -> None:
        one = self._by_key.get((event.path, event.incarnation))
        spec = None if one is None else one.spec
        if spec is None or self._book.jumped_at >= since:
            return
        took = trio.current_time() - since - TOLERANCE
        most = math.inf
        if state is LifeState.STARTING:
            ready = event.state in (LifeState.READY, LifeState.RESTARTED)
            most = spec.start_timeout + (0 if ready else self._kill_timeout)
        elif state is LifeState.STOPPING:
            grace = 0.0 if isinstance(spec.shutdown, Kill) else spec.shutdown
            most = grace + self._kill_timeout
        if self.was_cut_at(event.path.rpartition("/")[0]):
            most += self._kill_timeout  # which began anew then
        self._require(took <= most, "S19 S80 over its time", event.path, took, most)

    def _require(self, holds: bool, what: str, *about: object) -> None:
        if not holds:
            self._book.require(False, what, *map(str, about))


def _tells_an_end(event: SupervisionEvent) -> bool:
    """Whether this is news of an end that went past the core that decides."""
    if event.state is LifeState.STOPPED and event.kind is ExitKind.CRASH:
        return False  # of an owner that raised when it was told
    return event.state in _ENDED and event.decision is None

"""A run as rows of bars over time; nothing here draws."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import attrs

from understudy.cli.runs.story import Event, Try
from understudy_protocols.usage import NO_USAGE, Usage

FOLD_ABOVE = 8
"""So many executions of one node are shown one by one; more stand in one row."""

SHOWN_OF_FOLDED = 3
"""Of those that did not go well so many are shown all the same."""

RUNS, FAILED, WAITS, OPEN, CHOSE = "█", "░", "·", "▒", "◆"
"""What a bar is made of: work, an attempt that failed, a wait, what is open, and a
question to the user's code."""


@attrs.frozen
class Row:
    """One line of the waterfall.

    Args:
      name: of the node, with branch, item or round.
      events: what it stands for; several if they are folded.
      note: what else there is to say.
      bad: whether it did not go well.
    """

    name: str
    events: tuple[Event, ...]
    note: str = ""
    bad: bool = False

    @property
    def begin(self) -> float:
        """When the first of it began; seconds since acceptance."""
        return min(event.begin for event in self.events)

    @property
    def took(self) -> float | None:
        """From its beginning to its end; seconds, None if it is open."""
        ends = [event.end for event in self.events]
        if None in ends:
            return None
        return max(end for end in ends if end is not None) - self.begin

    @property
    def instant(self) -> bool:
        """Whether it is of questions to the user's code, which take no time."""
        return all(event.kind == "decision" for event in self.events)

    @property
    def number(self) -> int:
        """Attempts made; a count."""
        return sum(event.number for event in self.events)

    @property
    def usage(self) -> Usage:
        """What it used."""
        return sum((event.usage for event in self.events), NO_USAGE)


def rows_of(events: Iterable[Event], *, folded: bool = True) -> tuple[Row, ...]:
    """Return the rows of a run, in the order in which they began.

    Args:
      folded: whether a node that was at work often stands in one row.
    """
    by_path: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        by_path[event.path, event.kind].append(event)
    rows: list[Row] = []
    for (path, _), group in by_path.items():
        if folded and len(group) > FOLD_ABOVE:
            bad = [event for event in group if _bad(event) or event.status == "waiting"]
            note = _counted(group)
            if len(bad) > SHOWN_OF_FOLDED:
                note += f"; {SHOWN_OF_FOLDED} of {len(bad):,} are shown (--all)"
            rows.append(Row(path, tuple(group), note, any(map(_bad, group))))
            rows += [_row(event) for event in bad[:SHOWN_OF_FOLDED]]
        else:
            rows += [_row(event) for event in group]
    return tuple(sorted(rows, key=lambda row: row.begin))


def bar(row: Row, span: float, width: int) -> str:
    """Return a row's bar.

    Args:
      span: how long the whole run has taken; seconds.
      width: characters.
    """
    cells = [" "] * width
    # Later ones hide earlier ones: what was well hides nothing else.
    marks = {WAITS: 0, OPEN: 1, RUNS: 2, CHOSE: 3, FAILED: 4}
    for event in row.events:
        for mark, begin, end in _pieces(event, span):
            first, last = _cells(begin, end, span, width)
            for place in range(first, last):
                if cells[place] == " " or marks[cells[place]] < marks[mark]:
                    cells[place] = mark
    return "".join(cells).rstrip()


def _row(event: Event) -> Row:
    return Row(event.name, (event,), _said(event), _bad(event))


def _bad(event: Event) -> bool:
    return event.status == "failed"


def _said(event: Event) -> str:
    if event.failure is not None:
        return str(event.failure)
    if event.status in {"skipped", "in hand", "retrying"}:
        return event.status
    return ""


def _counted(group: Sequence[Event]) -> str:
    counts = Counter(event.status for event in group)
    return ", ".join(f"{count:,} {status}" for status, count in counts.most_common())


def _pieces(event: Event, span: float) -> Iterable[tuple[str, float, float]]:
    """Yield the parts of a bar: what each is, and from when to when it lasts."""
    end = span if event.end is None else event.end
    if event.kind == "pause":
        yield (OPEN if event.end is None else WAITS), event.begin, end
        return
    if event.kind == "decision":
        yield CHOSE, event.begin, end
        return
    yield WAITS, event.begin, end
    for one in event.tries:
        yield _mark(one), one.begin, one.end
    if not event.tries:
        yield (OPEN if event.end is None else RUNS), event.begin, end
    elif event.end is None:
        yield OPEN, event.tries[-1].end, end


def _mark(one: Try) -> str:
    return RUNS if one.failure is None else FAILED


def _cells(begin: float, end: float, span: float, width: int) -> tuple[int, int]:
    if span <= 0:
        return 0, 1
    first = min(width - 1, int(begin / span * width))
    last = min(width, max(first + 1, round(end / span * width)))
    return first, last

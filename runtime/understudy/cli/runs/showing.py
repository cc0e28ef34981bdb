"""A run on a terminal: what it is, its bars over time, and what stands in its way."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from textwrap import wrap
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from understudy.cli.runs.ages import MICROS, length
from understudy.cli.runs.bars import CHOSE, FAILED, OPEN, RUNS, WAITS, Row, bar, rows_of
from understudy.cli.runs.screen import STYLES, console_for, cut_front
from understudy.cli.runs.story import Story
from understudy.cli.runs.values import printable
from understudy.cli.tally import usd
from understudy.journal.lock import Holder
from understudy_protocols.journal import StoredRun
from understudy_protocols.outcomes import RunStatus

_LEAST_NAME, _MOST_NAME = 12, 36
# A terminal that is narrower breaks the lines itself.
_LEAST_WIDTH, _LEAST_BAR = 20, 10
_GAP = "  "
_COMMAND = "cyan"
_NOTE_LINES, _FOOT_LINES = 3, 20
_LEGEND = (
    (RUNS, "at work"),
    (FAILED, "an attempt that failed"),
    (CHOSE, "decided"),
    (WAITS, "waits"),
    (OPEN, "not over"),
)


def run_text(
    run: StoredRun,
    story: Story,
    file: TextIO,
    *,
    journal: str | None,
    holder: Holder | None,
    folded: bool,
    values: bool,
) -> str:
    """Return a run as it is to be written to *file*.

    Args:
      journal: what the commands that are shown have to name; None if nothing.
      holder: who executes the journal now.
      folded: whether a node that was at work often stands in one row.
      values: whether to show what each step gave.
    """
    console = console_for(file)
    width = max(_LEAST_WIDTH, console.width)
    lines = [
        *_head(run, story, width),
        *_rows(story, width, folded=folded, values=values),
        *_foot(run, story, journal, holder, width),
    ]
    with console.capture() as captured:
        for line in lines:
            line.plain = printable(line.plain)
            line.rstrip()
            console.print(line, soft_wrap=True)
    return captured.get()


def moment(micros: int) -> str:
    """Return a moment on the calendar, for people."""
    return f"{datetime.fromtimestamp(micros // MICROS, UTC):%Y-%m-%d %H:%M:%S}"


def value_text(value: object, room: int) -> str:
    """Return a value in one line of at most so many cells; many signs take two."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return (
        text if cell_len(text) <= room else set_cell_size(text[:room], room - 1) + "…"
    )


# --- what it is -------------------------------------------------------------------


def _head(run: StoredRun, story: Story, width: int) -> Iterable[Text]:
    title = Text.assemble((run.run_id, "bold"), _GAP, run.workflow, _GAP)
    title.append(run.status.value, STYLES.get(run.status, ""))
    yield title
    facts = [f"accepted {moment(run.created_at)} UTC", f"active {length(story.last)}"]
    usage = story.usage
    if usage.calls:
        cost = f" for {usd(usage.cost_micros)}" if usage.cost_micros else ""
        calls = "1 model call" if usage.calls == 1 else f"{usage.calls:,} model calls"
        facts.append(f"{calls}{cost}")
    if run.recoveries:
        times = "once" if run.recoveries == 1 else f"{run.recoveries} times"
        facts.append(f"brought back {times} after a crash")
    yield Text("; ".join(facts), "dim")
    yield Text(f"{story.records:,} records of {story.size:,} bytes", "dim")
    yield Text.assemble(("input  ", "dim"), value_text(story.input, width - 7))
    yield Text()


# --- its bars ---------------------------------------------------------------------


def _rows(story: Story, width: int, *, folded: bool, values: bool) -> Iterable[Text]:
    rows = rows_of(story.events, folded=folded)
    if not rows:
        yield Text("nothing has been done yet", "dim")
        return
    widest = max(cell_len(row.name) for row in rows)
    names = max(_LEAST_NAME, min(_MOST_NAME, width // 3, widest))
    figures = _figures(rows)
    room = max(_LEAST_BAR, width - names - len(_GAP) * 2 - cell_len(figures[0]))
    span = max(story.last, *(row.begin for row in rows))
    scale = set_cell_size("0 s", max(3, room - cell_len(length(span)))) + length(span)
    yield Text.assemble(
        " " * names,
        _GAP,
        (set_cell_size(scale, room), "dim"),
        _GAP,
        (figures[0], "dim"),
    )
    used: set[str] = set()
    for row, figure in zip(rows, figures[1:], strict=True):
        drawn = bar(row, span, room)
        used |= set(drawn)
        yield Text.assemble(
            (cut_front(row.name, names), "red" if row.bad else ""),
            _GAP,
            (set_cell_size(drawn, room), _bar_style(row)),
            _GAP,
            figure,
        )
        if row.note:
            style = "red" if row.bad else "dim"
            notes = wrap(
                row.note,
                width,
                initial_indent=_GAP,
                subsequent_indent=_GAP,
                max_lines=_NOTE_LINES,
                placeholder=" …",
            )
            yield from (Text(line, style) for line in notes)
        if values and len(row.events) == 1 and row.events[0].value is not None:
            told = value_text(row.events[0].value, width - 4)
            yield Text.assemble((f"{_GAP}= ", "dim"), told)
    legend = [f"{mark} {words}" for mark, words in _LEGEND if mark in used]
    if legend and used - {RUNS, " "}:
        yield Text()
        yield Text(_GAP.join(legend), "dim")


def _figures(rows: Iterable[Row]) -> list[str]:
    """Return the head of the figures beside the bars, and those of each row."""
    cells = [("took", "tries", "cost")]
    for row in rows:
        took = row.took
        cells.append(
            (
                "" if took is None or row.instant else length(took),
                str(row.number) if row.number else "",
                usd(row.usage.cost_micros) if row.usage.cost_micros else "",
            )
        )
    columns = [list(column) for column in zip(*cells, strict=True)]
    # Who has no costs need not look at a column of nothing.
    columns = [column for column in columns if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    return [
        _GAP.join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in zip(*columns, strict=True)
    ] or [""] * len(cells)


def _bar_style(row: Row) -> str:
    if row.bad:
        return "red"
    return "yellow" if row.took is None else "green"


# --- what stands in its way ---------------------------------------------------------


def _foot(
    run: StoredRun,
    story: Story,
    journal: str | None,
    holder: Holder | None,
    width: int,
) -> Iterable[Text]:
    said = list(_ways_on(run, story, journal, holder))
    if said:
        yield Text()
    for words, style in said:
        # What is to be copied stays in one line.
        whole = style == _COMMAND
        most = _FOOT_LINES + 1  # the last of them only shows that there are more
        lines = [words] if whole else wrap(words, width, max_lines=most)
        if len(lines) > _FOOT_LINES:
            lines[_FOOT_LINES:] = ["… (--json shows all of it)"]
        for line in lines:
            yield Text(line, style)


def _ways_on(
    run: StoredRun, story: Story, journal: str | None, holder: Holder | None
) -> Iterable[tuple[str, str]]:
    """Yield what is to be said of where a run stands, and in which style."""
    if story.failure is not None:
        yield f"{run.status.value}: {story.failure}", "red"
    if run.status.terminal:
        return
    named = "" if journal is None else f"--journal {shlex.quote(journal)} "
    whose = f"{named}{shlex.quote(run.run_id)}"
    if story.held is not None and run.status is RunStatus.HELD:
        yield f"held ({story.held.reason}): {story.held.detail}", "yellow"
        yield f"  understudy runs retry {whose}", _COMMAND
        return
    for pause in story.open_pauses:
        until = "" if pause.until is None else f", until {moment(pause.until)} UTC"
        yield f"{pause.name} waits for an answer{until}", "yellow"
        key = pause.path if not pause.position else f"{pause.path}#{pause.position}"
        yield (
            f"  understudy runs answer {whose} {shlex.quote(key)} VALUE",
            _COMMAND,
        )
    if holder is None:
        yield (
            "nobody executes this journal now; the run goes on when somebody does",
            "dim",
        )
    else:
        yield f"executed by {holder}", "dim"

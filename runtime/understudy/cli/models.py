"""The commands ``understudy models ...``: whether those of a file answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import attrs
import trio
import typer

from understudy.cli.exits import EXIT_FAILED, say
from understudy.cli.options import ModelsFileOption, models_file
from understudy.cli.question import Question, put
from understudy.cli.signals import watched
from understudy.cli.writing import print_out
from understudy.config.files import Described, described
from understudy.events import RunEvent
from understudy_protocols.errors import UnderstudyError
from understudy_protocols.failures import Cause
from understudy_protocols.retry import RetryConfig

PING = "Answer with the one word OK."
MOST_WRITTEN = 32
"""Tokens that a model may answer a ping with; some providers take no bound under 16."""

TIMEOUT = 30.0
"""How long one may take to answer; seconds."""

AT_ONCE = 8
"""Models that are asked at once; a count."""

models_commands: typer.Typer = typer.Typer(
    no_args_is_help=True, help="What understudy.toml describes."
)


@models_commands.callback()
def _models() -> None:  # pyright: ignore[reportUnusedFunction]  # typer calls it
    """What understudy.toml describes."""


@models_commands.command()
def check(models: ModelsFileOption = None) -> None:
    """See which models of a file answer.

    Each is asked for one word; nothing is tried again, and no model stands in for
    another.

    Exit code: 0 if all answer, 1 if some do not, 2 if the file is wrong.
    """
    found = described(models_file(models))
    checked = watched(partial(_all_checked, found))
    if isinstance(checked, int):
        say("understudy: interrupted")
        raise typer.Exit(checked)
    print_out(_table(found, checked))
    raise typer.Exit(0 if all(one.ok for one in checked.values()) else EXIT_FAILED)


@attrs.frozen
class _Checked:
    """What came of one ping.

    Args:
      said: ``ok``, or why there is no answer.
      took: seconds.
      usd: what it cost.
    """

    ok: bool
    said: str
    took: float | None = None
    usd: float = 0.0


async def _all_checked(models: Mapping[str, Described]) -> Mapping[str, _Checked]:
    checked: dict[str, _Checked] = {}
    limit = trio.CapacityLimiter(AT_ONCE)

    async def one(name: str, model: Described) -> None:
        async with limit:
            checked[name] = await _checked(model)

    async with trio.open_nursery() as nursery:
        for name, model in models.items():
            nursery.start_soon(one, name, model)
    return checked


async def _checked(model: Described) -> _Checked:
    # What speaks HTTP is heavy, and of no use to the other commands.
    from understudy.config.models import made

    name = model.spec.name
    alone = attrs.evolve(model, spec=attrs.evolve(model.spec, fallbacks=()))
    question = Question(
        prompt=PING,
        model=name,
        max_tokens=MOST_WRITTEN,
        retry=RetryConfig(max_attempts=1, timeout_seconds=TIMEOUT),
    )
    try:
        asked = await put(question, made([alone]), _unheard)
    except UnderstudyError as error:
        return _Checked(ok=False, said=f"setup: {error}")
    result = asked.result
    failure = result.failure
    # Whoever was cut off at so few tokens has answered.
    if failure is None or failure.cause is Cause.TRUNCATED:
        return _Checked(True, "ok", result.duration, result.usage.cost_usd)
    said = f"{failure.cause.value}: {failure.message}"
    return _Checked(False, said, result.duration, result.usage.cost_usd)


async def _unheard(event: RunEvent) -> None:
    del event


def _table(models: Mapping[str, Described], checked: Mapping[str, _Checked]) -> str:
    rows = [("model", "protocol", "latency", "cost", "answer")]
    for name, model in models.items():
        one = checked[name]
        took = "" if one.took is None else f"{one.took:.2f} s"
        priced = model.spec.price is not None
        cost = f"{one.usd:.6f} USD" if priced else "no price"
        rows.append((name, model.spec.speech.value, took, cost, one.said))
    return "".join(_lines(rows))


def _lines(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip() + "\n"

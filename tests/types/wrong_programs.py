"""Programs that must not pass: both checkers see the mistake."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from understudy import (
    Context,
    child,
    each,
    parallel,
    repeat,
    route,
    sequence,
    step,
)


@step
async def count(context: Context[str]) -> int:
    return len(context.input)


@step
async def half(context: Context[int]) -> float:
    return context.input / 2


def is_text(value: str) -> bool:
    return bool(value)


def plain(context: Context[str]) -> str:
    return context.input


def length(context: Context[str]) -> int:
    return len(context.input)


@step(needs=(half,))
async def bad_value(context: Context[str]) -> str:
    return context[half]  # type: ignore[return-value]


step(plain)  # type: ignore[arg-type]
step(needs=3)  # type: ignore[call-overload]
each(count, over=count)  # type: ignore[arg-type]
each(count, over=length)  # type: ignore[arg-type]
repeat(count, until=is_text, max_rounds=2)  # type: ignore[arg-type]
route(3, a=count)  # type: ignore[call-overload]
child(half, input=count)
child(count, input=half)  # type: ignore[misc]
sequence(count, 3)  # type: ignore[call-overload]
parallel(count, join=3)  # type: ignore[call-overload]

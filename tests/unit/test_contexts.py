"""Contexts are the same when they hold the very same values."""

from __future__ import annotations

import contextvars

from understudy_actors.contexts import same_variables

COLLECTOR = contextvars.ContextVar[object]("collector")
OTHER = contextvars.ContextVar[object]("other")


def context_with(**values: object) -> contextvars.Context:
    context = contextvars.Context()
    for name, value in values.items():
        context.run({"collector": COLLECTOR, "other": OTHER}[name].set, value)
    return context


class Uncomparable:
    def __eq__(self, other: object) -> bool:
        raise AssertionError("nobody may compare this")

    __hash__ = None  # type: ignore[assignment]


def test_two_equal_lists_are_two_values() -> None:
    mine: list[object] = []
    assert same_variables(context_with(collector=mine), context_with(collector=mine))
    assert not same_variables(context_with(collector=mine), context_with(collector=[]))


def test_another_variable_or_one_more_is_another_context() -> None:
    value = object()
    one = context_with(collector=value)
    assert not same_variables(one, contextvars.Context())
    assert not same_variables(one, context_with(other=value))
    assert not same_variables(one, context_with(collector=value, other=value))
    assert same_variables(contextvars.Context(), contextvars.Context())


def test_the_values_own_equality_is_not_asked() -> None:
    value = Uncomparable()
    assert same_variables(context_with(collector=value), context_with(collector=value))
    assert not same_variables(
        context_with(collector=value), context_with(collector=Uncomparable())
    )

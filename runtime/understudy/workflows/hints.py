"""What functions declare about their arguments and values."""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping


class Undeclared:
    """Stands where no type is declared: checked when it runs, not before."""

    def __repr__(self) -> str:
        return "UNDECLARED"


UNDECLARED = Undeclared()


def hints_of(function: Callable[..., object]) -> Mapping[str, object]:
    """Return the annotations of *function*, less those that nobody can resolve.

    A type that only the function's own surroundings know is like none.
    """
    return _resolved(plain_function(function), extras=False)


def written_of(function: Callable[..., object]) -> Mapping[str, object]:
    """Return the annotations of *function* with all that `Annotated` adds to them.

    Of one that nobody can resolve the text.
    """
    target = plain_function(function)
    return {**_written(target), **_resolved(target, extras=True)}


def parameters_of(function: Callable[..., object]) -> tuple[object, ...]:
    """Return the declared type of each parameter, in order."""
    hints = hints_of(function)
    try:
        names = tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        # Written in C, and silent about what it takes.
        return ()
    return tuple(hints.get(name, UNDECLARED) for name in names)


def parameter_of(function: Callable[..., object]) -> object:
    """Return the declared type of the first parameter."""
    declared = parameters_of(function)
    return declared[0] if declared else UNDECLARED


def result_of(function: Callable[..., object]) -> object:
    """Return the declared type of what the function returns."""
    return hints_of(function).get("return", UNDECLARED)


def argument_of(hint: object) -> object:
    """Return what a generic type such as ``Context[Feedback]`` is about."""
    arguments = typing.get_args(hint)
    if not arguments or isinstance(arguments[0], typing.TypeVar):
        return UNDECLARED
    # None in brackets stands for its type, as it does everywhere in annotations.
    return type(None) if arguments[0] is None else arguments[0]


def is_async(function: Callable[..., object]) -> bool:
    """Whether calling *function* gives something to await."""
    return inspect.iscoroutinefunction(plain_function(function))


def plain_function(function: Callable[..., object]) -> Callable[..., object]:
    """Return the function that is behind wrappers, partials, methods and objects."""
    target = inspect.unwrap(function)
    while isinstance(target, functools.partial):
        target = inspect.unwrap(target.func)
    if inspect.ismethod(target):
        return target.__func__
    if inspect.isroutine(target) or isinstance(target, type):
        return target
    return typing.cast("Callable[..., object]", type(target).__call__)


def _closure_of(target: Callable[..., object]) -> dict[str, object]:
    """Return the names of the surroundings that *target* refers to, where set."""
    if not inspect.isfunction(target):
        return {}
    names: dict[str, object] = {}
    for name, cell in zip(
        target.__code__.co_freevars, target.__closure__ or (), strict=True
    ):
        # Decorated before its surroundings are complete, it may refer to more.
        with contextlib.suppress(ValueError):
            names[name] = cell.cell_contents
    return names


def _resolved(target: Callable[..., object], *, extras: bool) -> Mapping[str, object]:
    names = _closure_of(target)
    try:
        return typing.get_type_hints(target, localns=names, include_extras=extras)
    except (NameError, AttributeError, TypeError):
        return _one_by_one(target, names, extras=extras)


def _one_by_one(
    target: Callable[..., object], names: dict[str, object], *, extras: bool
) -> Mapping[str, object]:
    known: dict[str, object] = getattr(target, "__globals__", {})
    found: dict[str, object] = {}
    for name, hint in _written(target).items():
        single = types.SimpleNamespace(__annotations__={name: hint})
        try:
            found.update(
                typing.get_type_hints(single, known, names, include_extras=extras)
            )
        except (NameError, AttributeError, TypeError):
            continue
    return found


def _written(target: Callable[..., object]) -> Mapping[str, object]:
    try:
        written: Mapping[str, object] = getattr(target, "__annotations__", {})
    except NameError:
        return {}
    return written

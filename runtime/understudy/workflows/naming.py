"""Names of the user's functions that mean the same in the next process."""

from __future__ import annotations

import functools
import inspect
import operator
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from understudy_protocols.errors import ConfigError

F = TypeVar("F", bound=Callable[..., object])

FILE_MODULE = "understudy_file_"
"""Begins the names of modules whose own name was taken when they were loaded."""

_NAME = "__understudy_name__"

# Two of them have the same class, and do different things.
_MADE = (
    functools.partial,
    functools.partialmethod,
    operator.itemgetter,
    operator.attrgetter,
    operator.methodcaller,
)


def named_function(name: str, function: F) -> F:
    """Return *function* under a name that stays the same in every process.

    A journal needs it for a lambda, a partial, or a function inside a function::

        cascade(quick, thorough, accept=named_function("short", lambda it: len(it) < 80))

    Args:
      name: of your choice; another name is another function.

    Raises:
      ConfigError: the name is empty, or *function* cannot be called.
    """
    if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without a checker
        raise ConfigError(f"a function cannot be named {name!r}; give it a text")
    if not callable(function):
        raise ConfigError(f"{name!r} is to be a function, not {function!r}")

    @functools.wraps(function)
    def named(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    named.__name__ = named.__qualname__ = name
    setattr(named, _NAME, name)
    return cast("F", named)


def name_of(thing: object) -> str | None:
    """Return the name of a function, or of the class of an object.

    What it does, and what the object holds, is not in the name.

    Returns:
      ``module:name`` as it can be imported, or what `named_function` gave it; None
      if the next process could not tell it from others.
    """
    given: object = getattr(thing, _NAME, None)
    if isinstance(given, str):
        return given
    if isinstance(thing, _MADE):
        return None
    if inspect.ismethod(thing):
        owner: object = thing.__self__
        kind = owner if isinstance(owner, type) else type(owner)
        return _importable(kind, f".{thing.__name__}")
    if inspect.isroutine(thing) or isinstance(thing, type):
        return _importable(thing)
    return _importable(type(thing))


def _importable(thing: object, rest: str = "") -> str | None:
    name = f"{getattr(thing, '__qualname__', '<nameless>')}{rest}"
    if "<" in name:
        return None
    module = cast("str | None", getattr(thing, "__module__", None))
    return f"{_module_name(module or 'builtins')}:{name}"


def _module_name(name: str) -> str:
    """Return what a module is called, however it was started."""
    if name != "__main__":
        return name.removeprefix(FILE_MODULE)
    main = sys.modules[name]
    if main.__spec__ is not None:
        return main.__spec__.name
    file = getattr(main, "__file__", None)
    return name if file is None else Path(file).stem

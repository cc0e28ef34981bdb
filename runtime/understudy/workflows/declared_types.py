"""Which types a workflow declares, and the classes in them.

Pure: annotations are looked at, nothing is made or registered.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator
from enum import Enum

from understudy.workflows.hints import UNDECLARED, result_of
from understudy.workflows.nodes import Child, Each, Pause
from understudy.workflows.plan import Plan, PlanNode
from understudy.workflows.step import Step
from understudy_protocols.frozen_classes import fields_of, is_a, is_record
from understudy_protocols.frozen_types import registered


def declared_types(plan: Plan) -> Iterator[object]:
    """Yield the type of every value that a run of *plan* can hold, where declared."""
    yield plan.input_type
    for node in plan.root.walk():
        yield from (declared for _, declared in types_at(node))


def types_at(plan: PlanNode) -> Iterator[tuple[str, object]]:
    """Yield what one node declares of the values that it takes and gives, by name."""
    match plan.node:
        case Step() as step:
            yield "output", step.output_type
        case Pause() as pause:
            yield "output", pause.output
        case Each(over=source) | Child(source=source):
            yield "inner input", plan.input_type
            # What such a function gives is recorded: it is not asked again.
            yield "given", result_of(source) if callable(source) else UNDECLARED
        case _:
            pass


def classes_in(declared: Iterable[object]) -> tuple[type, ...]:
    """Return the classes that values of these types can have, each once.

    Those that are written under a tag: records, enums, and the classes admitted
    with `register_type`; in fields, unions, tuples, mappings and the like as well.

    Args:
      declared: annotations, already resolved.
    """
    return tuple(
        named
        for named in names_in(declared)
        if isinstance(named, type) and is_tagged(named)
    )


def names_in(declared: Iterable[object]) -> Iterator[object]:
    """Yield the classes and aliases in these types that stand for more, each once."""
    todo, seen = list(declared)[::-1], set[object]()
    while todo:
        hint = todo.pop()
        inside = list(parts_of(hint))
        named = named_in(hint)
        if named is not None and named not in seen:
            # Once: such a type may hold itself.
            seen.add(named)
            yield named
            inside += [part for _, part in definition_of(named)]
        todo += inside[::-1]


def is_tagged(cls: type) -> bool:
    """Whether values of *cls* are written under a tag of their own."""
    return cls in registered or is_a(cls, Enum) or is_record(cls)


def named_in(hint: object) -> object | None:
    """Return the class or alias that *hint* names, if it stands for something else."""
    origin = typing.get_origin(hint) or hint
    if _is_alias(origin):
        return origin
    if isinstance(origin, type) and (is_tagged(origin) or typing.is_typeddict(origin)):
        return origin
    return None


def definition_of(named: object) -> Iterator[tuple[str, object]]:
    """Yield what a class or alias is made of: the fields, with their types.

    A name that is no field's is empty: of what an alias stands for, and of what
    the bases of a generic class are about.
    """
    if _is_alias(named):
        yield "", getattr(named, "__value__", UNDECLARED)
        return
    assert isinstance(named, type), "only classes and aliases have names"
    if typing.is_typeddict(named):
        yield from _hints_of_mapping(named)
    elif named not in registered and is_record(named):
        yield from fields_of(named)
        for base in named.__mro__:
            bases: tuple[object, ...] = vars(base).get("__orig_bases__", ())
            for generic in bases:
                yield from (("", argument) for argument in typing.get_args(generic))


def parts_of(hint: object) -> tuple[object, ...]:
    """Return the types that an annotation is put together from, one level down."""
    arguments: tuple[object, ...] = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return tuple(type(choice) for choice in arguments)
    if origin is typing.Annotated:
        return arguments[:1]
    if isinstance(hint, typing.NewType):
        return (hint.__supertype__,)
    if isinstance(hint, typing.TypeVar):
        return hint.__constraints__ or (hint.__bound__,)
    return arguments


def _is_alias(thing: object) -> bool:
    return type(thing).__name__ == "TypeAliasType"


def _hints_of_mapping(cls: type) -> Iterator[tuple[str, object]]:
    try:
        yield from typing.get_type_hints(cls).items()
    except (NameError, TypeError, AttributeError):
        # A name that exists only for the type checker.
        yield from ((name, object) for name in cls.__annotations__)

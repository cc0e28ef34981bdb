"""All that is wrong with a value from outside, not only the first thing.

A person who mends a line of input wants the whole list.  msgspec, which makes
the values, stops at the first mistake; cattrs goes on, and so it is asked once
something is known to be wrong.
"""

from __future__ import annotations

from typing import cast


def misfits(plain: object, declared: object) -> tuple[str, ...]:
    """Return what keeps *plain* from being a *declared*, each with its place.

    Empty where that cannot be told, as for types that only msgspec can make.
    """
    # Loaded when there is a mistake to explain, which most programs never have.
    import cattrs

    converter = cattrs.Converter(detailed_validation=True)
    for kind in (str, int, float, bool):
        converter.register_structure_hook(kind, _exactly)
    try:
        converter.structure(plain, cast("type[object]", declared))
    except cattrs.BaseValidationError as error:
        return tuple(
            cattrs.transform_error(error, path="$", format_exception=_sentence)
        )
    except (cattrs.errors.CattrsError, TypeError, ValueError, KeyError):
        return ()
    return ()


def _exactly(value: object, kind: type[object]) -> object:
    """Take a value of that very type: text is no number, and a number no text."""
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")


def _sentence(error: BaseException, _: type[object] | None) -> str:
    if isinstance(error, KeyError):
        return "a required field is missing"
    return str(error)

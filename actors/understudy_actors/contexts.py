"""Whether two contexts hold the same variables."""

from __future__ import annotations

import contextvars

_ABSENT = object()


def same_variables(one: contextvars.Context, other: contextvars.Context) -> bool:
    """Whether both hold the very same values under the same variables.

    By identity: two empty lists are equal, and yet each belongs to another
    request; and the values' own ``==`` is not ours to call.
    """
    if len(one) != len(other):
        return False
    # A plain loop: this is asked after every step, and mostly of empty contexts.
    for variable in one:  # noqa: SIM110
        if other.get(variable, _ABSENT) is not one[variable]:
            return False
    return True

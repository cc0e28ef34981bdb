"""From the plain data of one line to the input that a workflow declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from understudy.cli.plain import as_mapping
from understudy.cli.records import Record
from understudy.workflows.hints import UNDECLARED
from understudy.workflows.inputs import InputError
from understudy.workflows.types import type_name
from understudy_protocols.errors import SetupError
from understudy_protocols.frozen import freeze
from understudy_protocols.frozen_types import registered
from understudy_protocols.sensitive import unquoted

_SCALARS = (
    msgspec.inspect.StrType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.BoolType,
)
_RECORDS = (msgspec.inspect.DataclassType, msgspec.inspect.StructType)


class Fit:
    """Makes inputs of one declared type.

    A record with one field takes its value alone (``"text"`` for
    ``{"text": "text"}``), and a plain text or number may come as an object
    with one field, so that the simplest files need no wrapping.

    Args:
      declared: the input type of the workflow.
      text: whether all values are texts, as in CSV.  Then ``"3"`` serves as a
        number, and an empty cell as nothing, where the field has a default.

    Raises:
      SetupError: no line of a file can become a *declared*.
    """

    def __init__(self, declared: object, *, text: bool) -> None:
        self._declared = declared
        self._strict = not text
        self._fields: tuple[msgspec.inspect.Field, ...] = ()
        self._scalar = False
        if _open(declared) or cast("type[object]", declared) in registered:
            return
        try:
            info = msgspec.inspect.type_info(declared)
        except TypeError as error:
            raise SetupError(
                f"the workflow takes {type_name(declared)}, which no line of a file "
                f"can become: {error}"
            ) from error
        self._scalar = isinstance(info, _SCALARS)
        if isinstance(info, _RECORDS):
            self._fields = info.fields

    def value(self, record: Record) -> object:
        """Return the input that *record* stands for.

        Raises:
          InputError: it cannot be read, or does not fit; names the line.
        """
        where = f"line {record.line}"
        if record.problem:
            raise InputError(where, record.problem)
        if _open(self._declared):
            return record.value
        if cast("type[object]", self._declared) in registered:
            return self._from_registered(record.value, where)
        plain = self._fitting(record.value, where)
        try:
            return msgspec.convert(
                plain, type=cast("type[object]", self._declared), strict=self._strict
            )
        except msgspec.ValidationError as error:
            problem = unquoted(str(error), self._declared)
        raise InputError(where, f"does not fit {self._name}: {problem}")

    @property
    def _name(self) -> str:
        return type_name(self._declared)

    def _fitting(self, plain: object, where: str) -> object:
        fields = as_mapping(plain)
        if fields is None:
            only = self._fields[0].encode_name if len(self._fields) == 1 else None
            return plain if only is None else {only: plain}
        if self._scalar:
            if len(fields) != 1:
                raise InputError(
                    where,
                    f"has the fields {', '.join(fields) or '(none)'}, and the workflow "
                    f"takes one {self._name}; leave one field",
                )
            return next(iter(fields.values()))
        return fields if self._strict else self._without_empty(fields)

    def _without_empty(self, cells: Mapping[str, object]) -> dict[str, object]:
        optional = {f.encode_name for f in self._fields if not f.required}
        return {
            name: cell
            for name, cell in cells.items()
            if cell != "" or name not in optional
        }

    def _from_registered(self, plain: object, where: str) -> object:
        make = registered[cast("type[object]", self._declared)].from_
        try:
            return make(freeze(plain, where))
        except (ValueError, TypeError, LookupError) as error:
            problem = unquoted(str(error), self._declared)
        raise InputError(where, f"does not fit {self._name}: {problem}")


def _open(declared: object) -> bool:
    """Whether anything at all will do."""
    return declared is UNDECLARED or declared is object

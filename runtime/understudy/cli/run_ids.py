"""The id of the run of each line: the same one each time that a job is run."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import msgspec

from understudy.cli.plain import as_mapping
from understudy.cli.records import Record
from understudy.workflows.inputs import InputError

_DIGEST_BYTES = 8


class RunIds:
    """Gives the lines of one input their ids, in order.

    By a key an id is the key's value, and of lines that say different things only the
    first can have it.  Else it is a digest of what the line says, and
    which of the lines it is that say the same.

    Args:
      workflow: the name of the workflow; ids of others are different.
      key: the field that tells lines apart; None if their content does.
    """

    def __init__(self, workflow: str, key: str | None) -> None:
        self._workflow = workflow
        self._key = key
        self._keyed: dict[str, bytes] = {}
        self._seen: set[bytes] = set()
        self._again: Counter[bytes] = Counter()

    def id_of(self, record: Record) -> str:
        """Return the id of the next line's run.

        Raises:
          InputError: it has no such key, or that of another line.
        """
        content = _canonical(record.value)
        digest = hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()
        if self._key is not None:
            key = _key(record, self._key)
            if self._keyed.setdefault(key, digest) != digest:
                raise InputError(
                    f"line {record.line}",
                    f"has the {self._key} of an earlier line, and other content",
                )
            return f"{self._workflow}-{key}"
        name = f"{self._workflow}-{digest.hex()}"
        if digest not in self._seen:
            self._seen.add(digest)
            return name
        self._again[digest] += 1
        return f"{name}-{self._again[digest] + 1}"


def _key(record: Record, key: str) -> str:
    fields = as_mapping(record.value)
    found = None if fields is None else fields.get(key)
    if isinstance(found, str | int) and not isinstance(found, bool) and found != "":
        return str(found)
    raise InputError(
        f"line {record.line}",
        f"has no text or whole number {key!r}, which --key tells lines apart by",
    )


def _canonical(value: object) -> bytes:
    try:
        return msgspec.json.encode(value, order="deterministic")
    except (OverflowError, UnicodeEncodeError):
        # Numbers beyond 64 bits, and halves of characters.
        return json.dumps(value, sort_keys=True).encode()

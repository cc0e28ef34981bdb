"""Runs as lines of JSON, for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache

import msgspec

from understudy.journal.reader import SqliteReader
from understudy.journal.references import put_in
from understudy_protocols.errors import CodecError, JournalCorruptError
from understudy_protocols.journal import StoredRun
from understudy_protocols.records import Placed, decode_record


def export_lines(
    reader: SqliteReader,
    runs: Iterable[StoredRun],
    damaged: Callable[[str], None] | None = None,
) -> Iterator[bytes]:
    """Yield a line for each run: what the journal knows of it, and its records.

    A record is an object with its kind as ``record`` and its fields by their names;
    nodes by their paths, and large values stand in it.

    Args:
      runs: of this journal; as `SqliteReader.runs` gives them.
      damaged: told of each that cannot be read, in words, and the others come all the
        same.  Without it the first such run is raised.

    Raises:
      JournalCorruptError: something of a run is damaged, or missing.
      CodecError: a record of a kind that is not known here.
    """

    @cache
    def path_of(number: int) -> str:
        return reader.fingerprint(number).decode()

    for run in runs:
        try:
            records = [
                _named(reader, content, path_of) for content in reader.records(run.row)
            ]
        except (JournalCorruptError, CodecError) as error:
            if reader.find(run.run_id) is None:
                continue  # It was deleted meanwhile.
            if damaged is None:
                raise
            damaged(f"run {run.run_id}: {error}")
            continue
        line = {**msgspec.structs.asdict(run), "records": records}
        yield msgspec.json.encode(line) + b"\n"


def _named(
    reader: SqliteReader, content: bytes, path_of: Callable[[int], str]
) -> dict[str, object]:
    record = decode_record(content)
    fields = {
        name: put_in(value, reader.blob)
        for name, value in msgspec.structs.asdict(record).items()
    }
    if isinstance(record, Placed):
        # What its number stands for, only this journal knows.
        fields["node"] = path_of(record.node)
    return {"record": type(record).__name__, **fields}

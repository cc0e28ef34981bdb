"""What a journal holds: one small record for each thing that a run cannot know by itself.

A run is a function of its records: whatever it did not decide by itself (what a
step gave, what a person answered, what the user's code decided, how it ended) is a
record, and all else follows from them in their order.  So a run is brought back
by following its records again, through the same code that it went through.

Written as MessagePack: an array of the tag and the fields, in the order below.  Tags
are numbers that stay; a field that is added later gets a default and stands at
the end.  Values are plain data, as ``codec.to_plain`` makes them.

Times are whole microseconds.  Those named ``at`` and ``since`` count from when the run
was accepted, and only while a process held it; those that stand on a calendar count
from 1970 in UTC.
"""

from __future__ import annotations

from functools import cache
from typing import Final, TypeAlias

import msgspec

from understudy_protocols.errors import CodecError

FORMAT: Final = 1
"""The version of what stands here; raised when old records would be misread."""


class _Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record; made by the classes below alone."""


class Accepted(_Record, frozen=True, array_like=True, tag=1):
    """A run was accepted.

    Args:
      inputs: what it is about; plain data.
      created_at: when, on the calendar; microseconds.
      metadata: plain data.
      deadline: how long it may be active; microseconds, None without one.
      expires_at: when it is over in any case, on the calendar; microseconds.
      usd: the cap on its money; micro-USD.
      tokens: the cap on its tokens; a count.
      calls: the cap on its calls; a count.
      priority: see `Runtime.run`.
      tenant: see `Runtime.run`.
    """

    inputs: object
    created_at: int
    metadata: object = None
    deadline: int | None = None
    expires_at: int | None = None
    usd: int | None = None
    tokens: int | None = None
    calls: int | None = None
    priority: int = 0
    tenant: str = ""


class _Placed(_Record, frozen=True, array_like=True):
    """What happened at one node.

    Args:
      node: which: its place in the list of nodes of the run's fingerprint.
      position: in which branch, item or round; as ``3/left``, empty outside.
      at: when; microseconds.
    """

    node: int
    position: str
    at: int


class Finished(_Placed, frozen=True, array_like=True, tag=2):
    """A step gave its value.

    Args:
      took: how long its last attempt took; microseconds.
      value: plain data, or where it is kept.
      number: attempts made; a count.
      attempts: those that failed; plain data, None if none did.
      usage: what its model calls used; plain data, None if it made none.
    """

    took: int
    value: object = None
    number: int = 1
    attempts: object = None
    usage: object = None


class Failed(_Placed, frozen=True, array_like=True, tag=3):
    """A step, or the pause or fan-out that stands there, has failed for good.

    Args:
      took, number, attempts, usage: see `Finished`.
      failure: plain data.
    """

    took: int
    failure: object
    number: int = 0
    attempts: object = None
    usage: object = None


class Skipped(_Placed, frozen=True, array_like=True, tag=4):
    """A step was not to run."""


class Retrying(_Placed, frozen=True, array_like=True, tag=5):
    """An attempt has failed, and another one follows.

    Args:
      number: of the one that follows.
      attempts: those that failed since the last such record; plain data.  Those of
        before may be among them: an attempt is known by its number.
      due: when it begins, on the calendar; microseconds, None for at once.
    """

    number: int
    attempts: object
    due: int | None = None


class Begun(_Placed, frozen=True, array_like=True, tag=6):
    """An attempt began of a step that must not be repeated.

    Args:
      number: of the attempt.
    """

    number: int


class Decided(_Placed, frozen=True, array_like=True, tag=7):
    """The user's code was asked at a node, and said so.

    Args:
      turn: which time it was asked there; a count from 0.
      answer: plain data, a failure in place of an answer included.
    """

    turn: int
    answer: object


class Paused(_Placed, frozen=True, array_like=True, tag=8):
    """A strand waits for an answer.

    Args:
      until: when it waits no longer, on the calendar; microseconds, None for ever.
    """

    until: int | None = None


class Answered(_Placed, frozen=True, array_like=True, tag=9):
    """A pause has its value.

    Args:
      value: plain data, or where it is kept.
    """

    value: object = None


class Passed(_Placed, frozen=True, array_like=True, tag=10):
    """A node was done as soon as it was entered."""


class Reserved(_Placed, frozen=True, array_like=True, tag=11):
    """Money or tokens were put aside for a call that was then made.

    What an attempt really used stands where it ended.  If it did not end, this
    counts as spent.

    Args:
      number: of the attempt.
      worst: what the call can use at most; plain data.
    """

    number: int
    worst: object


class Held(_Record, frozen=True, array_like=True, tag=12):
    """A run is kept from going on until somebody decides.

    Args:
      reason: ``unknown_outcome``, ``poisoned`` or ``changed_code``.
      detail: what stands in the way, in a sentence.
    """

    reason: str
    detail: str


class Released(_Record, frozen=True, array_like=True, tag=13):
    """Somebody let a held run go on."""


class Ended(_Record, frozen=True, array_like=True, tag=14):
    """A run is over.

    Its value is not repeated here: it follows from the records before.

    Args:
      status: one of the four terminal ones.
      at: when; microseconds.
      failure: why it did not complete; plain data.
    """

    status: str
    at: int
    failure: object = None


class Called(_Placed, frozen=True, array_like=True, tag=15):
    """A function that a step's model asked for, and that must not run twice, has run.

    Args:
      took: how long; microseconds.
      name: of the function.
      key: its idempotency key.
      turn: where in its conversation, as round and place: ``1/2``.
      text: what the model is told; plain data, or where it is kept.
      failed: whether *text* says what went wrong.
    """

    took: int
    name: str
    key: str
    turn: str
    text: object
    failed: bool = False


class Reshaped(_Record, frozen=True, array_like=True, tag=16):
    """The run goes on under another shape of its workflow.

    What was recorded before counts as made under it too: it is the same there, or
    somebody has accepted that it is not.

    Args:
      shape: the id of its fingerprint.
    """

    shape: int


Placed: TypeAlias = (
    Finished
    | Failed
    | Skipped
    | Retrying
    | Begun
    | Decided
    | Paused
    | Answered
    | Passed
    | Reserved
    | Called
)
"""A record of what happened at one node."""

Record: TypeAlias = Accepted | Placed | Held | Released | Ended | Reshaped

_encoder: Final = msgspec.msgpack.Encoder()
_head: Final = msgspec.msgpack.Decoder(list[object])

encode_record: Final = _encoder.encode
"""Return a record as bytes."""


def decode_record(content: bytes) -> Record:
    """Return the record that ``encode_record`` wrote.

    Raises:
      CodecError: it is none, or one of a tag that is not known.
    """
    try:
        record: Record = _decoder().decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(_problem(content, error)) from error
    return record


@cache  # made when a record is first read: it takes longer than all of the classes
def _decoder() -> msgspec.msgpack.Decoder[Record]:
    return msgspec.msgpack.Decoder(Record)


def _problem(content: bytes, error: Exception) -> str:
    try:
        tag = _head.decode(content)[0]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, IndexError):
        return f"this is no record that can be read: {error}"
    if isinstance(tag, int) and tag not in _TAGS:
        return (
            f"this is a record with the tag {tag}, which is not known here; "
            "a later release may have written it"
        )
    return f"this is no record that can be read: {error}"


_TAGS: Final = frozenset(range(1, 17))

"""States and frozen values as JSON or MessagePack, and back.

A document is ``[version, value]``.  A value is written as itself where JSON has
it; a tuple as an array; a ``FrozenMap`` as an object.  All else is an object of one
key, its tag: ``$...`` for what this file knows (``$map`` for maps whose keys are
no plain words, ``$set``, ``$state``, and the leaves of ``codec_leaves.py``), and
``@...`` for classes registered with ``register_tag``.  Around a sensitive field of
such a class stands ``$sensitive``, for those who keep the data to encrypt it.

The codec is closed: what is read decides neither what is imported nor which class
is made beyond those registered, and a tag or version that is not known is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple, TypeVar, cast

import msgspec

from understudy_protocols.articles import with_article
from understudy_protocols.chat import (
    FilePart,
    Finish,
    ImagePart,
    Message,
    ModelReply,
    ModelRequest,
    Price,
    ReasoningPart,
    TextPart,
    Tool,
    ToolRequestPart,
    ToolResultPart,
)
from understudy_protocols.codec_classes import CONCEAL, concealment, ways_of
from understudy_protocols.codec_leaves import (
    LEAF_TAGS,
    READERS,
    fits_float,
    fits_int,
    fits_text,
)
from understudy_protocols.errors import CodecError, ConfigError, SetupError
from understudy_protocols.failures import AttemptRecord, Cause, Failure
from understudy_protocols.frozen import MAX_DEPTH, FrozenMap, freeze, sealed_map
from understudy_protocols.frozen_types import registered
from understudy_protocols.outcomes import Outcome, RunStatus, StepReport, StepStatus
from understudy_protocols.own_tags import waiting
from understudy_protocols.state import OrchestrationState
from understudy_protocols.usage import Usage

T = TypeVar("T")

VERSION: Final = 1

# A state adds three levels of its own around a value that ``freeze`` accepts.
_DEPTH: Final = MAX_DEPTH + 5

SEALED: Final = "$sealed"
"""The tag of what was sensitive and is encrypted; this file cannot read it."""

_NAME: Final = re.compile(r"[^\W\d][\w.-]*")


class SealedError(CodecError):
    """What was to be read is encrypted."""


class _Tag(NamedTuple):
    cls: type
    name: str
    write: Callable[[Any], object]
    read: Callable[[Any], object]
    conceal: Callable[[object], object] | None


concealing: Final = set[type]()
"""The classes registered so far that have something sensitive."""

_by_class: dict[type, _Tag] = {}
_by_name: dict[str, _Tag] = {}


def register_tag(
    cls: type[T],
    name: str,
    *,
    to: Callable[[T], object] | None = None,
    from_: Callable[[Any], T] | None = None,
) -> None:
    """Let values of exactly *cls* be written, under *name*, and read again.

    Records (frozen attrs, dataclass, msgspec and named tuple classes) are written
    field by field, and made by calling the class, so their validators run; enums
    by the names of their members; classes admitted with ``register_type`` by the
    functions given there.

    A class that is defined anew (its module is loaded again, or the function around
    it is called again) takes the place of its predecessor.

    Args:
      name: letters, digits, ``_``, ``.`` and ``-``.  It stays when the class is
        renamed or moved: what was written once must stay readable.
      to: gives plain data, if none of the above fits.
      from_: makes a value from this data, frozen.

    Raises:
      ConfigError: the name is taken or cannot be used, or there is no way to
        write values of *cls*.
    """
    _take_own()
    _register(cls, name, to, from_)


def _take_own() -> None:
    """Give their tags to those of our own classes that were loaded meanwhile."""
    for cls, name in tuple(waiting.items()):
        _register(cls, name)
        # Not before: another thread may look for it.
        waiting.pop(cls, None)


def _register(
    cls: type[T],
    name: str,
    to: Callable[[T], object] | None = None,
    from_: Callable[[Any], T] | None = None,
) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"the tag {name!r} is no name; use letters, digits, '_', '.' and '-'"
        )
    holder = _by_name.get(f"@{name}")
    if holder is not None and _full_name(holder.cls) != _full_name(cls):
        raise ConfigError(
            f"the tag {name!r} is taken by {_full_name(holder.cls)}; give "
            f"{_full_name(cls)} another with register_tag({cls.__qualname__}, ...)"
        )
    tag = _by_class.get(cls)
    if tag is not None and tag.name != f"@{name}":
        raise ConfigError(f"{cls.__qualname__} has the tag {tag.name[1:]!r}")
    if to and from_:
        tag = _Tag(cls, f"@{name}", to, from_, concealment(cls, by_field=False))
    elif tag is None:
        by_field = cls not in registered
        tag = _Tag(cls, f"@{name}", *ways_of(cls), concealment(cls, by_field=by_field))
    _by_class[cls] = _by_name[tag.name] = tag
    if tag.conceal is not None:
        concealing.add(cls)


def tag_of(cls: type) -> str | None:
    """Return the tag that values of exactly *cls* are written under, if it has one."""
    _take_own()
    tag = _by_class.get(cls)
    return None if tag is None else tag.name[1:]


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def encode_json(value: object) -> bytes:
    """Return *value* as JSON.

    The same value gives the same bytes, but for the order of maps, which is kept.

    Args:
      value: a state, or a value as ``freeze`` returns it.

    Raises:
      CodecError: a class in it has no tag, or it is nested too deep.
    """
    return msgspec.json.encode([VERSION, to_plain(value)])


def decode_json(content: bytes | str) -> object:
    """Return the value that ``encode_json`` wrote.

    Raises:
      CodecError: *content* is no JSON, or has a tag or version that is not known.
    """
    return _decoded(msgspec.json.decode, content, "JSON")


def encode_msgpack(value: object) -> bytes:
    """Return *value* as MessagePack; see ``encode_json``."""
    return msgspec.msgpack.encode([VERSION, to_plain(value)])


def decode_msgpack(content: bytes) -> object:
    """Return the value that ``encode_msgpack`` wrote; see ``decode_json``."""
    return _decoded(msgspec.msgpack.decode, content, "MessagePack")


# --------------------------------------------------------------------- writing


def to_plain(value: object) -> object:
    """Return *value* as data that JSON and MessagePack have themselves."""
    if waiting:
        _take_own()
    return _plain(value, 0)


def _plain(value: object, depth: int) -> object:
    if value is None or value is True or value is False or _fits(value):
        return value
    cls = type(value)
    leaf = LEAF_TAGS.get(cls)
    if leaf is not None:
        return {leaf.tag: leaf.write(value)}
    _check_depth(depth)
    tag = _by_class.get(cls)
    if tag is not None:
        plain = _plain(freeze(tag.write(value)), depth + 1)
        if tag.conceal is None:
            return {tag.name: plain}
        _check_depth(depth + 2)  # where the tags stand around its fields
        return {tag.name: tag.conceal(plain)}
    if cls is tuple:
        return [_plain(item, depth + 1) for item in cast("tuple[object, ...]", value)]
    if cls is frozenset:
        members = cast("frozenset[object]", value)
        plain = [_plain(member, depth + 1) for member in members]
        # The order of a set differs between processes; that of its text does not.
        return {"$set": sorted(plain, key=msgspec.json.encode)}
    if cls is FrozenMap:
        return _plain_map(cast("FrozenMap[object, object]", value), depth + 1)
    if cls is OrchestrationState:
        state = _state_facts(cast("OrchestrationState[object]", value))
        return {"$state": _plain(state, depth + 1)}
    for base in (str, int, float, bytes):
        if isinstance(value, base) and not isinstance(value, Enum):
            return _plain(base(cast("Any", value)), depth)
    raise CodecError(
        f"{cls.__qualname__} has no tag to be written under; give it one with "
        f"register_tag({cls.__qualname__}, ...)"
    )


def _check_depth(depth: int) -> None:
    if depth > _DEPTH:
        raise CodecError(f"a value is nested more than {_DEPTH} deep; flatten it")


def _fits(value: object) -> bool:
    cls = type(value)
    if cls is str:
        return fits_text(cast("str", value))
    if cls is int:
        return fits_int(cast("int", value))
    return cls is float and fits_float(cast("float", value))


def _plain_map(items: Mapping[object, object], depth: int) -> object:
    if all(type(key) is str and _is_word(key) for key in items):
        return {key: _plain(item, depth) for key, item in items.items()}
    pairs = items.items()
    return {"$map": [[_plain(key, depth), _plain(item, depth)] for key, item in pairs]}


def _is_word(key: str) -> bool:
    return key[:1] not in {"$", "@"} and fits_text(key)


def _state_facts(state: OrchestrationState[object]) -> FrozenMap[str, object]:
    return sealed_map(
        {
            "task_id": state.task_id,
            "inputs": state.inputs,
            "outputs": sealed_map(dict(state.outputs)),
            "metadata": state.metadata,
            "created_at": state.created_at,
        }
    )


# --------------------------------------------------------------------- reading

# What making a value of unsuitable data raises, be it our code or a class's own.
_UNSUITABLE: Final = (
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    msgspec.MsgspecError,
    SetupError,
)


def from_plain(plain: object) -> object:
    """Return the value that ``to_plain`` wrote as *plain*."""
    if waiting:
        _take_own()
    return _value(plain, 0)


def _decoded(
    decode: Callable[[Any], object], content: bytes | str, kind: str
) -> object:
    try:
        document = decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"this is no {kind} that can be read: {error}") from error
    parts = cast("list[object]", document) if isinstance(document, list) else []
    if len(parts) != 2 or type(parts[0]) is not int:
        raise CodecError(f"this {kind} is no document of Understudy: no version")
    if parts[0] != VERSION:
        raise CodecError(
            f"this was written in version {parts[0]}; this release reads version "
            f"{VERSION}: use the release that wrote it"
        )
    return from_plain(parts[1])


def _value(plain: object, depth: int) -> object:
    if plain is None or isinstance(plain, (str, int, float)):
        return plain
    if depth > _DEPTH:
        raise CodecError(f"a value is nested more than {_DEPTH} deep")
    if isinstance(plain, list):
        items = cast("list[object]", plain)
        return tuple([_value(item, depth + 1) for item in items])
    if not isinstance(plain, dict):
        raise CodecError(
            f"{with_article(type(plain).__name__)} stands where no value can"
        )
    pairs = cast("dict[object, object]", plain)
    for key in pairs:
        if type(key) is not str:
            raise CodecError(f"{key!r} is the key of an object, and no text")
        if not _is_word(key):
            return _tagged(key, pairs, depth + 1)
    return sealed_map({key: _value(item, depth + 1) for key, item in pairs.items()})


def _tagged(name: str, pairs: Mapping[object, object], depth: int) -> object:
    read = READERS.get(name)
    try:
        if len(pairs) != 1:
            raise ValueError("a tag stands alone in its object")
        (data,) = pairs.values()
        if read is not None:
            return read(data)
        if name in _CONTAINERS:
            return _CONTAINERS[name](data, depth)
        tag = _by_name.get(name)
        if tag is None:
            raise CodecError(f"the tag {name} is not known here; {_advice(name)}")
        return freeze(tag.read(_value(data, depth)))
    except _UNSUITABLE as error:
        reason = error
    tag = _by_name.get(name)
    if tag is None or tag.conceal is None:
        raise CodecError(f"the tag {name} has unsuitable data: {reason}") from reason
    # The reason may repeat what is sensitive.
    raise CodecError(f"the tag {name} has unsuitable data: {type(reason).__name__}")


def _advice(name: str) -> str:
    if name.startswith("@"):
        return f"register_tag the class that it stands for as {name[1:]!r}"
    return "a later release may have written this"


def _read_set(data: Any, depth: int) -> object:
    return frozenset([_value(member, depth) for member in data])


def _read_map(data: Any, depth: int) -> object:
    return sealed_map({_value(k, depth): _value(item, depth) for k, item in data})


def _read_state(data: Any, depth: int) -> object:
    facts = cast("FrozenMap[str, Any]", _value(data, depth))
    if type(facts["created_at"]) is not datetime:
        raise TypeError("created_at is no datetime")
    return OrchestrationState[object](**facts)


def _read_concealed(data: Any, depth: int) -> object:
    try:
        # It adds no level: what could be written can be read.
        return _value(data, depth - 1)
    except SealedError:
        raise
    except CodecError:
        pass
    # The error may repeat what is sensitive.
    raise CodecError("something sensitive cannot be read")


def _read_sealed(_: Any, __: int) -> object:
    raise SealedError("what stands here is encrypted, and there is no key to read it")


_CONTAINERS: Final[Mapping[str, Callable[[Any, int], object]]] = {
    CONCEAL: _read_concealed,
    SEALED: _read_sealed,
    "$set": _read_set,
    "$map": _read_map,
    "$state": _read_state,
}


# --------------------------------------------------------------------- classes


def _outcome_facts(outcome: Outcome[object]) -> object:
    if outcome.failure is not None:
        return {"failure": outcome.failure}
    return {"value": outcome.value}


def _outcome(facts: Mapping[str, Any]) -> Outcome[object]:
    # Asked here, since an Outcome only asserts it.
    known = "value" in facts or isinstance(facts["failure"], Failure)
    if len(facts) != 1 or not known:
        raise ValueError("an outcome has a value or a failure, and not both")
    return Outcome(**facts)


register_tag(Outcome, "understudy.outcome", to=_outcome_facts, from_=_outcome)
register_tag(Failure, "understudy.failure")
register_tag(Cause, "understudy.cause")
register_tag(Usage, "understudy.usage")
register_tag(AttemptRecord, "understudy.attempt")
register_tag(RunStatus, "understudy.run_status")
register_tag(StepStatus, "understudy.step_status")
register_tag(StepReport, "understudy.step_report")
# Of the port for models, what a step may give; the stream's events are gone before it ends.
register_tag(TextPart, "understudy.text_part")
register_tag(ImagePart, "understudy.image_part")
register_tag(FilePart, "understudy.file_part")
register_tag(ToolRequestPart, "understudy.tool_request_part")
register_tag(ToolResultPart, "understudy.tool_result_part")
register_tag(ReasoningPart, "understudy.reasoning_part")
register_tag(Message, "understudy.message")
register_tag(Tool, "understudy.tool")
register_tag(ModelRequest, "understudy.model_request")
register_tag(Finish, "understudy.finish")
register_tag(ModelReply, "understudy.model_reply")
register_tag(Price, "understudy.price")

"""Arbitrary states, written and read again, are what they were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import attrs
from hypothesis import given
from hypothesis import strategies as st

from understudy_protocols.codec import (
    decode_json,
    decode_msgpack,
    encode_json,
    encode_msgpack,
    register_tag,
)
from understudy_protocols.errors import CodecError
from understudy_protocols.frozen import FrozenMap, freeze
from understudy_protocols.state import OrchestrationState


@attrs.frozen
class Holder:
    value: object
    names: Mapping[str, object]


register_tag(Holder, "property.holder")

zones = st.timezones() | st.just(UTC) | st.none()
characters = st.characters()  # half characters too
words = st.text(characters, max_size=6) | st.sampled_from(["$map", "@x", "$", "a"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | words
    | st.binary(max_size=6)
    | st.decimals(allow_nan=True)
    | st.complex_numbers()
    | st.datetimes(timezones=zones)
    | st.times(timezones=zones)
    | st.dates()
    | st.timedeltas()
    | st.uuids()
)
keys = words | st.integers() | st.booleans() | st.tuples(st.integers(), words)
values = st.recursive(
    leaves | st.frozensets(st.integers() | words, max_size=3),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(keys, inside, max_size=4)
        | st.builds(Holder, inside, st.dictionaries(words, inside, max_size=2))
    ),
    max_leaves=15,
)
names = words.filter(lambda name: name not in {"", "original_input"})


def _same(one: object, other: object) -> bool:
    """Whether two frozen values are equal, of the same types, NaN being itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (float, Decimal)):
        return repr(one) == repr(other)  # -0.0 and NaN have no equal of their kind
    if isinstance(one, FrozenMap):
        pairs = cast("FrozenMap[object, object]", one).items()
        others = cast("FrozenMap[object, object]", other).items()
        return len(pairs) == len(others) and all(
            _same(a, c) and _same(b, d)
            for (a, b), (c, d) in zip(pairs, others, strict=True)
        )
    if isinstance(one, tuple):
        items = cast("tuple[object, ...]", one)
        rest = cast("tuple[object, ...]", other)
        return len(items) == len(rest) and all(map(_same, items, rest))
    if isinstance(one, Holder):
        held = cast("Holder", other)
        return _same(one.value, held.value) and _same(one.names, held.names)
    if one == other:
        return True
    return repr(one) == repr(other) and ("nan" in repr(one).lower())


@given(values)
def test_every_frozen_value_comes_back_as_it_was(value: object) -> None:
    frozen = freeze(value)
    assert _same(decode_json(encode_json(frozen)), frozen)
    assert _same(decode_msgpack(encode_msgpack(frozen)), frozen)


@given(
    st.text(min_size=1, max_size=5),
    values,
    st.dictionaries(names, values, max_size=5),
    st.dictionaries(words, values, max_size=2),
    st.datetimes(timezones=st.just(UTC)),
)
def test_every_state_comes_back_as_it_was(
    task_id: str,
    inputs: object,
    outputs: dict[str, object],
    metadata: dict[str, object],
    created_at: datetime,
) -> None:
    state = OrchestrationState(task_id, inputs, outputs, metadata, created_at)
    for copied in (
        decode_json(encode_json(state)),
        decode_msgpack(encode_msgpack(state)),
    ):
        assert isinstance(copied, OrchestrationState)
        again = cast("OrchestrationState[object]", copied)
        assert again.task_id == task_id
        assert again.created_at == created_at
        assert _same(again.inputs, state.inputs)
        assert _same(again.metadata, state.metadata)
        assert _same(freeze(dict(again.outputs)), freeze(dict(state.outputs)))


@given(values)
def test_what_is_written_is_stable(value: object) -> None:
    frozen = freeze(value)
    first = encode_json(frozen)
    assert encode_json(decode_json(first)) == first


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "$int",
                    "$set",
                    "$map",
                    "$state",
                    "$datetime",
                    "$path",
                    "a",
                    "@property.holder",
                    "@understudy.outcome",
                    "@understudy.cause",
                ]
            ),
            inside,
            max_size=2,
        )
    ),
    max_leaves=8,
)


@given(json_like)
def test_whatever_is_read_gives_a_frozen_value_or_a_codec_error(plain: object) -> None:
    document = json.dumps([1, plain]).encode()
    try:
        value = decode_json(document)
    except CodecError:
        return
    assert freeze(value) is value

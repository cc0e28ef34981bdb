"""Server-sent events against a parser that reads everything at once."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st
from wire_streams import cut, events_in

from understudy.providers.sse import ServerEvent

pieces = st.sampled_from(
    [
        *(b"data", b"data:", b"data: ", b"event: ", b"event:a", b": note", b"id: 1"),
        *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b":", b" "),
        *(b"\xef\xbb\xbf", b"\xe2", b"\xe2\x82\xac", "\u2028".encode(), b"\x85", b"{}"),
    ]
)
streams = st.lists(pieces | st.binary(max_size=4), max_size=40).map(b"".join)
places = st.lists(st.integers(0, 10_000), max_size=20)


def read_at_once(data: bytes) -> list[ServerEvent]:
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _ = re.split("\r\n|\r|\n", text)
    events, fields = list[ServerEvent](), list[tuple[str, str]]()
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields.append((name, value.removeprefix(" ")))
            continue
        data_lines = [value for name, value in fields if name == "data"]
        names = [value for name, value in fields if name == "event"]
        if data_lines:
            name = (names[-1] if names else "") or "message"
            events.append(ServerEvent(name, "\n".join(data_lines)))
        fields = []
    return events


@given(streams, places)
@example(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", [1, 2, 4])
@example(b"data: a\r\n\r\ndata: b\r\r", [8, 9, 10, 11])
def test_however_the_bytes_come_the_events_are_those_of_the_whole(
    data: bytes, at: list[int]
) -> None:
    assert events_in(cut(data, at)) == read_at_once(data)


@given(streams)
def test_byte_by_byte_is_no_different(data: bytes) -> None:
    assert events_in(cut(data, range(len(data)))) == read_at_once(data)

"""Server-sent events, from bytes as they come."""

from __future__ import annotations

import re

import pytest

from understudy.providers import sse
from understudy.providers.sse import EventReader, EventTooLargeError, ServerEvent


def read(*chunks: bytes, limit: int = 1000) -> list[ServerEvent]:
    reader = EventReader(limit)
    return [event for chunk in chunks for event in reader.feed(chunk)]


def message(data: str) -> ServerEvent:
    return ServerEvent("message", data)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_line_ends_at_each_of_the_three_ends(end: bytes) -> None:
    data = end.join([b"event: ping", b"data: a", b"data: b", b"", b"data: c", b"", b""])
    expected = [ServerEvent("ping", "a\nb"), message("c")]
    assert read(data) == expected
    assert read(*(data[at : at + 1] for at in range(len(data)))) == expected


def test_a_line_end_cut_in_two_is_one() -> None:
    assert read(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [message("a\nb")]
    assert read(b"data: a\r", b"", b"\n", b"\n") == [message("a")]


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_what_python_takes_for_a_line_end_is_none(odd: str) -> None:
    assert read(f"data: a{odd}b\n\n".encode()) == [message(f"a{odd}b")]


def test_a_character_cut_in_two_is_whole() -> None:
    euro = "\N{EURO SIGN}".encode()
    assert read(b"data: " + euro[:1], euro[1:2], euro[2:] + b"\n\n") == [
        message("\N{EURO SIGN}")
    ]


def test_a_byte_order_mark_is_dropped_once_and_only_at_the_beginning() -> None:
    mark = b"\xef\xbb\xbf"
    assert read(mark + b"data: a\n\n") == [message("a")]
    assert read(mark[:1], mark[1:], b"data: a\n\n") == [message("a")]
    assert read(mark + mark + b"data: a\n\n") == []
    assert read(b"data: a\n\n", mark + b"data: b\n\n") == [message("a")]


def test_comments_and_unknown_fields_are_passed_over() -> None:
    assert read(b": still here\n\nid: 7\nretry: 3\ndata: a\n:\n\n") == [message("a")]


def test_only_one_space_after_the_colon_belongs_to_the_field() -> None:
    assert read(b"data:a\ndata:  b\ndata\ndata:\n\n") == [message("a\n b\n\n")]


def test_a_name_without_data_is_no_event_and_does_not_name_the_next() -> None:
    assert read(b"event: ping\n\ndata: a\n\n") == [message("a")]
    assert read(b"event: a\nevent: b\ndata\n\n") == [ServerEvent("b", "")]


def test_what_is_not_ended_by_a_blank_line_is_no_event() -> None:
    assert read(b"data: a\n\ndata: b\n") == [message("a")]


def test_what_is_no_utf_8_becomes_the_replacement_character() -> None:
    assert read(b"data: a\xffb\n\n") == [message("a\N{REPLACEMENT CHARACTER}b")]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 20 + b"\n\n"],
        [b"data: " + b"x" * 20],
        [b"data: xx\n"] * 3,
        [b"x"] * 21,
    ],
)
def test_an_event_over_the_limit_is_refused_however_it_comes(
    chunks: list[bytes],
) -> None:
    with pytest.raises(EventTooLargeError, match="over 20 bytes"):
        read(*chunks, limit=20)


def test_many_events_under_the_limit_are_not_over_it_together() -> None:
    assert len(read(b"data: 12345678\n\n" * 100, limit=20)) == 100
    assert len(read(*[b"data: 1234", b"5678\n\n"] * 100, limit=20)) == 100
    assert read(b": still here\n" * 100, limit=20) == []


class _Counting:
    """A pattern that counts the bytes it looks at."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self.seen = 0

    def split(self, text: bytes) -> list[bytes]:
        self.seen += len(text)
        return self._pattern.split(text)


def test_each_byte_of_a_long_line_is_looked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = _Counting(re.compile(rb"\r\n|\r|\n"))
    monkeypatch.setattr(sse, "_LINE_END", counting)
    length = 1_000_000
    reader = EventReader()
    reader.feed(b"data: ")
    for _ in range(length // 10):
        assert reader.feed(b"x" * 10) == []
    (event,) = reader.feed(b"\n\n")
    assert event.data == "x" * length
    assert counting.seen == len("data: ") + length + 2

"""A text that comes in pieces, some of which are cut within a character."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.providers.pieces import Pieces
from understudy.providers.reading import read, read_piece
from understudy_protocols.failures import Cause, ModelError

LOST = "\N{REPLACEMENT CHARACTER}"


def units(text: str) -> list[str]:
    """Return *text* in pieces of one UTF-16 unit, as JavaScript counts."""
    data = text.encode("utf-16-le", "surrogatepass")
    pairs = [data[at : at + 2] for at in range(0, len(data), 2)]
    return [pair.decode("utf-16-le", "surrogatepass") for pair in pairs]


def shown(pieces: Pieces, *said: str) -> list[str]:
    """Return what *pieces* makes of texts as a server writes them."""
    made = list[str]()
    for piece in said:
        text, marked = read_piece(json.dumps(piece).encode(), str)
        made.append(pieces.add(text, marked=marked))
    return made


def test_two_halves_become_the_character_that_was_cut() -> None:
    pieces = Pieces()
    first, second = units("\N{GRINNING FACE}")
    assert shown(pieces, f"a{first}", f"{second}b") == ["a", "\N{GRINNING FACE}b"]
    assert str(pieces) == "a\N{GRINNING FACE}b"
    assert pieces.size == len("a\N{GRINNING FACE}b".encode())


def test_a_half_without_its_other_half_is_lost() -> None:
    first, second = units("\N{GRINNING FACE}")
    assert shown(Pieces(), f"{second}a", f"{first}b") == [f"{LOST}a", f"{LOST}b"]
    assert shown(Pieces(), f"a{first}", "b", "c") == ["a", f"{LOST}b", "c"]
    assert shown(Pieces(), first, first, second) == ["", LOST, "\N{GRINNING FACE}"]
    assert shown(Pieces(), f"a{first}", "", second) == ["a", "", "\N{GRINNING FACE}"]


def test_what_looks_like_a_mark_is_a_character_of_its_own() -> None:
    pieces = Pieces()
    assert shown(pieces, "\U0010d83d", "\U0010de00") == ["\U0010d83d", "\U0010de00"]
    assert str(pieces) == "\U0010d83d\U0010de00"


def test_a_text_of_nothing_is_none() -> None:
    pieces = Pieces()
    assert (pieces.add(""), str(pieces), bool(pieces), pieces.size) == (
        "",
        "",
        False,
        0,
    )
    pieces.add("a")
    assert pieces


@given(
    st.lists(
        st.characters(exclude_categories=["Cs"])
        | st.sampled_from('\N{GRINNING FACE}\U00010000\U0010ffff\\"')
    ).map("".join)
)
def test_a_text_cut_anywhere_is_whole_again(text: str) -> None:
    if any("\U0010d800" <= letter <= "\U0010dfff" for letter in text):
        return  # would be taken for a mark beside one
    pieces = Pieces()
    made = shown(pieces, *units(text))
    assert "".join(made) == text
    assert str(pieces) == text


def test_elsewhere_half_a_character_is_lost_at_once() -> None:
    assert read(b'"a\\ud83d"', str) == f"a{LOST}"
    assert (
        read(b'"\\ude00\\ud83d\\ud83d\\ude00"', str) == f"{LOST}{LOST}\N{GRINNING FACE}"
    )
    assert read(b'"\\\\ud83d\\\\\\ud83d"', str) == f"\\ud83d\\{LOST}"
    for broken in (b'"\\ud8"', b'"\\ud83', b'"\\ud83d'):
        for reader in (read, read_piece):
            with pytest.raises(ModelError) as caught:
                reader(broken, str)
            assert caught.value.cause is Cause.MALFORMED

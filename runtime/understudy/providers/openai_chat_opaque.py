"""What servers add to Chat Completions, and want back unchanged when the turn goes on.

The protocol has no place for thoughts, so each server has one of its own: a text
beside the content (DeepSeek), a list of details with signatures in it (OpenRouter), a
signature with the message or with a tool request (Gemini).  All of them stand before
the rest of the answer, as one part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from understudy.providers.opaque import fields_back, kept
from understudy.providers.pieces import Pieces
from understudy.providers.reading import items_in, mapping_in, text_in
from understudy_protocols.chat import Part, ReasoningPart

PROTOCOL: Final = "openai"

Fields = Mapping[str, object]

_GROWING: Final = ("text", "summary")
_ALONE: Final = {"data"}  # what is encrypted comes in one piece


class Details:
    """The details of a thought, as they grow: a signature is one of a whole text."""

    def __init__(self) -> None:
        self._all: list[_Detail] = []
        self._by_place: dict[tuple[object, object], _Detail] = {}

    def add(self, details: object, *, whole: bool, marked: bool) -> None:
        """Take in what came; pieces of one type with one number are one detail.

        Args:
          whole: whether they are no pieces.
          marked: whether there are marks in them; see `Pieces`.
        """
        for said in map(mapping_in, items_in(details)):
            place = (said.get("type"), said.get("index"))
            is_piece = not whole and None not in place and not _ALONE & said.keys()
            detail = self._by_place.get(place) if is_piece else None
            if detail is None:
                detail = _Detail()
                self._all.append(detail)
            if is_piece:
                self._by_place[place] = detail
            detail.add(said, marked=marked)

    def __bool__(self) -> bool:
        return bool(self._all)

    def whole(self) -> list[Fields]:
        """Return them as one would have come in one piece."""
        return [detail.whole() for detail in self._all]


class _Detail:
    def __init__(self) -> None:
        self._fields: dict[str, object] = {}
        self._texts: dict[str, Pieces] = {}

    def add(self, said: Fields, *, marked: bool) -> None:
        for name, value in said.items():
            if name in _GROWING and isinstance(value, str):
                self._texts.setdefault(name, Pieces()).add(value, marked=marked)
            elif value is not None or name not in self._fields:
                self._fields[name] = value

    def whole(self) -> Fields:
        return {
            **self._fields,
            **{name: str(text) for name, text in self._texts.items()},
        }


def opaque_thought(
    text: str, name: str, message: Fields, calls: Mapping[str, Fields]
) -> Part | None:
    """Return a thought as a part, with what must go back; None if there is nothing.

    Args:
      text: what it says for people.
      name: of the field in which the text must go back; empty for none.
      message: further fields that the message must have.
      calls: fields that tool requests must have, by their ids.
    """
    block = {"text": name, "message": message, "calls": calls}
    needed = {what: value for what, value in block.items() if value}
    if needed:
        return kept(PROTOCOL, needed, text)
    return ReasoningPart(text) if text else None


def going_back(parts: tuple[Part, ...]) -> tuple[Fields, Mapping[str, Fields]]:
    """Return the fields that a message must have, and its tool requests by their ids."""
    message: dict[str, object] = {}
    calls: dict[str, Fields] = {}
    for part in parts:
        if isinstance(part, ReasoningPart):
            fields = fields_back(PROTOCOL, part)
            if name := text_in(fields.get("text")):
                message[name] = part.text
            message |= mapping_in(fields.get("message"))
            for call, signed in mapping_in(fields.get("calls")).items():
                calls[call] = mapping_in(signed)
    return message, calls

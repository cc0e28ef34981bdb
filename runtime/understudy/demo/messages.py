"""The 200 messages that the demo ships, and reading them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

import attrs
import msgspec

from understudy.demo.labels import Category, Dataset, Gold, Urgency

DATA = files("understudy.demo") / "data"
"""The folder of the demo's data, wherever the package is installed."""

MESSAGES = "messages.jsonl"


@attrs.frozen
class Message:
    """A real message, and what its labels say.

    Args:
      id: made of its data set and a digest of its words.
      intents: the data set's own labels.
      gold: what they amount to in the demo's scheme.
    """

    id: str
    text: str
    source: Dataset
    intents: tuple[str, ...]
    gold: Gold


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str
    source: Dataset
    intents: tuple[str, ...]
    categories: tuple[Category, ...]
    urgency: Urgency


def shipped_messages() -> tuple[Message, ...]:
    """Return the demo's messages, in the order of their file."""
    lines = msgspec.json.Decoder(_Line).decode_lines((DATA / MESSAGES).read_bytes())
    return tuple(
        Message(
            id=line.id,
            text=line.text,
            source=line.source,
            intents=line.intents,
            gold=Gold(line.categories, line.urgency),
        )
        for line in lines
    )


def encode_messages(messages: Iterable[Message]) -> bytes:
    """Return the bytes of a file that holds *messages*."""
    return msgspec.json.Encoder().encode_lines(
        _Line(
            id=message.id,
            text=message.text,
            source=message.source,
            intents=message.intents,
            categories=message.gold.categories,
            urgency=message.gold.urgency,
        )
        for message in messages
    )

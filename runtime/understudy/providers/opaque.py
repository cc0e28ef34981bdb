"""What goes back to a provider as it came: thoughts, and what has no part of its own.

It is kept as JSON under the name of its protocol, so that another provider, asked
in place of the first, is not shown what it could not read.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from understudy.providers.reading import written
from understudy_protocols.chat import ReasoningPart


def kept(protocol: str, block: Mapping[str, object], text: str = "") -> ReasoningPart:
    """Return *block* as a part.

    Args:
      text: what it says for people.
    """
    return ReasoningPart(text, f"{protocol}:{written(block)}")


def given_back(protocol: str, part: ReasoningPart) -> msgspec.Raw | None:
    """Return the block that *part* was made of; None if *protocol* did not make it."""
    tag, _, block = part.opaque.partition(":")
    return object_of(block) if tag == protocol else None


def object_of(text: str) -> msgspec.Raw | None:
    """Return *text*, to be sent as it is, if it is a JSON object; else None."""
    data = text.encode("utf-8", "replace")
    try:
        msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return None
    return msgspec.Raw(data)

"""Why a reply cannot be used although it came, in words for those who read failures."""

from __future__ import annotations

from typing import Final

from understudy_protocols.chat import Finish, ModelReply
from understudy_protocols.failures import ModelError, StepError

WORDS_SHOWN: Final = 200
"""Of a refusal, no more is repeated in a failure; characters."""


def unusable(reply: ModelReply, model: str) -> StepError | None:
    """Return what is wrong with a reply; None if it can be used."""
    cause = reply.finish.cause
    if cause is None:
        return None
    return ModelError(_said(reply), cause=cause, model=model, partial=reply.text)


def _said(reply: ModelReply) -> str:
    word = reply.raw_finish or reply.finish.value
    if reply.finish is not Finish.REFUSED:
        return f"the model stopped with {word!r}"
    # A provider may say that it is one in the words alone, and stop as always.
    about = word.partition("/")[2]
    told = f"the model refused to answer ({about})" if about else _REFUSED
    words = " ".join((reply.refusal or reply.text).split())
    if len(words) > WORDS_SHOWN:
        words = f"{words[:WORDS_SHOWN]}..."
    return f"{told}: {words}" if words else told


_REFUSED: Final = "the model refused to answer"

"""Why a model stopped: the words of all protocols, under one name each.

An unknown word is `Finish.OTHER`: the answer can be used, and ``raw_finish``
says the rest.  Only where a protocol says that an answer is incomplete, an
unknown reason for that is `Finish.TRUNCATED`: half an answer is never a whole one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from understudy_protocols.chat import Finish

# The first four are of the provider that made the protocol; the rest is what
# servers say that copy it.
CHAT: Final[Mapping[str, Finish]] = {
    "stop": Finish.COMPLETE,
    "length": Finish.TRUNCATED,
    "tool_calls": Finish.TOOL_REQUEST,
    "content_filter": Finish.FILTERED,
    "function_call": Finish.TOOL_REQUEST,
    "tool_use": Finish.TOOL_REQUEST,
    "end_turn": Finish.COMPLETE,
    "eos": Finish.COMPLETE,
    "eos_token": Finish.COMPLETE,
    "stop_sequence": Finish.COMPLETE,
    "max_tokens": Finish.TRUNCATED,
    "model_length": Finish.CONTEXT_FULL,
    "refusal": Finish.REFUSED,
    "abort": Finish.FAILED,
    "error": Finish.FAILED,
    "insufficient_system_resource": Finish.FAILED,
}

RESPONSES: Final[Mapping[str, Finish]] = {
    "completed": Finish.COMPLETE,
    "incomplete": Finish.TRUNCATED,
    "incomplete/content_filter": Finish.FILTERED,
    "queued": Finish.PAUSED,
    "in_progress": Finish.PAUSED,
    "failed": Finish.FAILED,
    "cancelled": Finish.FAILED,
}

ANTHROPIC: Final[Mapping[str, Finish]] = {
    "end_turn": Finish.COMPLETE,
    "stop_sequence": Finish.COMPLETE,
    "max_tokens": Finish.TRUNCATED,
    "model_context_window_exceeded": Finish.CONTEXT_FULL,
    "tool_use": Finish.TOOL_REQUEST,
    "refusal": Finish.REFUSED,
    "pause_turn": Finish.PAUSED,
}


def finish_of(
    words: Mapping[str, Finish], word: str, *, asks: bool, refuses: bool = False
) -> Finish:
    """Return why a model stopped.

    Args:
      words: one of the tables above.
      word: the provider's; what follows a slash is detail that may be unknown.
      asks: whether the answer asks for tools.
      refuses: whether it has words that the provider marks as a refusal.
    """
    broad = word.partition("/")[0]
    finish = words.get(word) or words.get(broad) or Finish.OTHER
    if finish not in (Finish.COMPLETE, Finish.TOOL_REQUEST, Finish.OTHER):
        return finish
    if refuses:
        return Finish.REFUSED
    # Servers differ in the word for an answer that asks for tools; what counts is
    # whether there is something to call.
    if asks:
        return Finish.TOOL_REQUEST
    return Finish.OTHER if finish is Finish.TOOL_REQUEST else finish

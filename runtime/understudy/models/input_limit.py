"""How much of a conversation a step sends to a model, and what is left out first."""

from __future__ import annotations

from typing import Literal

import attrs
import msgspec

from understudy.models.part_bounds import UNBOUNDED, PartBounds
from understudy.models.replies import estimated_tokens
from understudy_protocols.chat import (
    Message,
    ModelRequest,
    Part,
    ReasoningPart,
    TextPart,
    ToolRequestPart,
    ToolResultPart,
)
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, ModelError

Trim = Literal["refuse", "oldest"]

MESSAGE_TOKENS = 4
"""About what a provider adds around each message; a count."""


class InputLimit(msgspec.Struct, frozen=True):
    """The most that a model is to read in one request.

    Args:
      tokens: estimated, at four characters to a token; a picture or a file counts
        for what the model declares; a count, 1 or more.
      trim: what to do with more.  ``refuse``: the call fails.  ``oldest``: the
        oldest messages are left out, but never what the system says nor the last
        message; a tool's result goes with the message that asked for it.

    Raises:
      ConfigError: a limit that cannot be meant.
    """

    tokens: int
    trim: Trim = "refuse"

    def __post_init__(self) -> None:
        if isinstance(self.tokens, bool) or self.tokens < 1:
            raise ConfigError(f"max_input_tokens is {self.tokens!r}; give a count")
        if self.trim not in ("refuse", "oldest"):
            raise ConfigError(f"trim is {self.trim!r}; give 'refuse' or 'oldest'")

    def fitted(
        self, request: ModelRequest, bounds: PartBounds = UNBOUNDED
    ) -> ModelRequest:
        """Return *request* as it may be sent.

        Args:
          bounds: of pictures and files, as the model declares them.

        Raises:
          ModelError: cause CONTEXT_TOO_LONG: it is too long, and must not be
            trimmed, or cannot be trimmed enough; cause BUDGET: nobody knows how
            long a part of it is.
        """
        boundless = bounds.boundless(request)
        if boundless is not None:
            raise ModelError(
                f"the step sends {self.tokens:,} tokens at most, and there is "
                f"{boundless.what}: {boundless.advice}",
                cause=Cause.BUDGET,
            )
        sizes = [_size(message, bounds) for message in request.messages]
        too_many = sum(sizes) - self.tokens
        if too_many <= 0:
            return request
        left_out = set[int]()
        if self.trim == "oldest":
            for group in _groups(request.messages):
                if too_many <= 0:
                    break
                left_out.update(group)
                too_many -= sum(sizes[place] for place in group)
        if too_many > 0:
            raise ModelError(
                f"the prompt has about {sum(sizes):,} tokens, and the step sends "
                f"{self.tokens:,} at most; shorten it, or raise max_input_tokens",
                cause=Cause.CONTEXT_TOO_LONG,
            )
        kept = [m for place, m in enumerate(request.messages) if place not in left_out]
        return attrs.evolve(request, messages=kept)


def estimated_input(request: ModelRequest, bounds: PartBounds) -> int:
    """Return about how many tokens the messages of *request* are; a count.

    Args:
      bounds: of pictures and files; those without one do not count.
    """
    return sum(_size(message, bounds) for message in request.messages)


def _groups(messages: tuple[Message, ...]) -> list[list[int]]:
    """Return what can be left out, by places, oldest first: each as a whole."""
    groups: list[list[int]] = []
    for place, message in enumerate(messages[:-1]):
        if message.role == "system":
            continue
        if message.role == "tool" and groups:
            groups[-1].append(place)
        else:
            groups.append([place])
    # What the last message answers stays with it.
    return groups[:-1] if messages[-1].role == "tool" else groups


def _size(message: Message, bounds: PartBounds) -> int:
    return MESSAGE_TOKENS + sum(
        estimated_tokens(_words(part)) + bounds.tokens_of(part)
        for part in message.parts
    )


def _words(part: Part) -> str:
    match part:
        case TextPart(text) | ReasoningPart(text):
            return text
        case ToolRequestPart():
            return part.name + part.arguments
        case ToolResultPart():
            return part.text
        case _:
            return ""

"""The model port: what is asked of a model, what it answers, and what that costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from decimal import ROUND_CEILING, Decimal
from enum import Enum
from typing import Literal, Protocol

import attrs
import msgspec

from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause
from understudy_protocols.frozen import FrozenMap
from understudy_protocols.usage import NO_USAGE, Usage, is_amount

Role = Literal["system", "user", "assistant", "tool"]


# --------------------------------------------------------------------- parts
#
# Structs, where there is nothing to convert: an attrs class takes a third of a
# millisecond to make when this is imported.


class TextPart(msgspec.Struct, frozen=True):
    """Words."""

    text: str


class ImagePart(msgspec.Struct, frozen=True):
    """A picture: its bytes, or where the provider can fetch it.

    Args:
      media_type: as ``image/png``.
    """

    data: bytes = b""
    url: str = ""
    media_type: str = ""


class FilePart(msgspec.Struct, frozen=True):
    """A document: its bytes, or where the provider can fetch it.

    Args:
      media_type: as ``application/pdf``.
    """

    data: bytes = b""
    url: str = ""
    media_type: str = ""
    name: str = ""


class ToolRequestPart(msgspec.Struct, frozen=True):
    """The model asks for a tool to be called.

    Args:
      id: the provider's name for this request; the result refers to it.
      arguments: JSON text as the model wrote it, which may be invalid.
    """

    id: str
    name: str
    arguments: str


class ToolResultPart(msgspec.Struct, frozen=True):
    """What a tool returned.

    Args:
      id: of the request that it answers.
      failed: whether *text* says what went wrong.
    """

    id: str
    text: str
    failed: bool = False


class ReasoningPart(msgspec.Struct, frozen=True):
    """What a model thought before it answered.

    Args:
      text: the reasoning, or a summary of it; may be empty.
      opaque: what the model wants back unchanged when the turn goes on; no other
        model is shown it.
    """

    text: str = ""
    opaque: str = ""


Part = (
    TextPart | ImagePart | FilePart | ToolRequestPart | ToolResultPart | ReasoningPart
)


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        """Return a message that is one text."""
        return cls(role, (TextPart(text),))

    @property
    def text(self) -> str:
        """All its text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


Prompt = str | Message | Iterable[Message]


def as_messages(prompt: Prompt) -> tuple[Message, ...]:
    """Return the messages that *prompt* stands for; a string is one of the user."""
    if isinstance(prompt, str):
        return (Message.of("user", prompt),)
    if isinstance(prompt, Message):
        return (prompt,)
    return tuple(prompt)


# ------------------------------------------------------------- request, reply


def _frozen_schema(schema: Mapping[str, object] | None) -> Mapping[str, object] | None:
    return None if schema is None else FrozenMap(schema)


def _frozen_mapping(given: Mapping[str, object]) -> Mapping[str, object]:
    return FrozenMap(given)


@attrs.frozen
class Tool:
    """A tool that the model may ask for.

    Args:
      parameters: the JSON schema of its arguments.
    """

    name: str
    description: str
    parameters: Mapping[str, object] = attrs.field(converter=_frozen_mapping)


@attrs.frozen
class ModelRequest:
    """One request; what is None or empty is left to the provider.

    Args:
      messages: the conversation; a string stands for one message of the user.
      output_schema: the JSON schema that the answer must match.
      output_name: what to call that schema, where a provider wants a name.
      max_tokens: the most tokens the model may write; a count.
      temperature: 0 or more; left out for models that refuse it.
      stop: texts at which the model stops.
      seed: asks for the same answer again, where a provider can.
      tools: what the model may ask for.
      tool_choice: ``auto``; ``none``; ``required``, for any of them; or the name
        of one.
      reasoning: how much to think first, as ``low``, ``medium``, ``high``; left
        out for models that take no such word.
      key: the idempotency key of the logical call, the same for all attempts.

    Raises:
      ConfigError: *max_tokens* is no count, and nobody would know its worst case.
    """

    messages: tuple[Message, ...] = attrs.field(converter=as_messages)
    output_schema: Mapping[str, object] | None = attrs.field(
        default=None, converter=_frozen_schema
    )
    output_name: str = "answer"
    max_tokens: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    reasoning: str = ""
    key: str = ""

    def __attrs_post_init__(self) -> None:
        most = self.max_tokens
        if most is not None and (type(most) is not int or most < 1):
            raise ConfigError(
                f"max_tokens is {most!r}; give a count from 1, or None to leave it to "
                "the model"
            )

    @property
    def text(self) -> str:
        """All text of all messages, a line break between two."""
        return "\n".join(message.text for message in self.messages)


class Finish(Enum):
    """Why a model stopped."""

    COMPLETE = "complete"
    TRUNCATED = "truncated"
    CONTEXT_FULL = "context_full"
    TOOL_REQUEST = "tool_request"
    REFUSED = "refused"
    FILTERED = "filtered"
    PAUSED = "paused"
    FAILED = "failed"
    OTHER = "other"

    @property
    def cause(self) -> Cause | None:
        """The failure that this is; None if the answer can be used."""
        return _CAUSES.get(self)


_CAUSES = {
    Finish.TRUNCATED: Cause.TRUNCATED,
    Finish.PAUSED: Cause.TRUNCATED,
    Finish.CONTEXT_FULL: Cause.CONTEXT_TOO_LONG,
    Finish.REFUSED: Cause.REFUSED,
    Finish.FILTERED: Cause.FILTERED,
    Finish.FAILED: Cause.SERVER,
}


@attrs.frozen
class ModelReply:
    """What a model answered.

    Args:
      text: all its text, joined.
      usage: what it cost.
      finish: why it stopped.
      model: the model that answered, by the provider's name.
      raw_finish: the provider's word for *finish*.
      id: the provider's name for the reply.
      parts: all of it in order; by default the text alone.
      refusal: the words with which it declined, where the provider marks them as
        such; they may be in *text* too.
    """

    text: str
    usage: Usage = NO_USAGE
    finish: Finish = Finish.COMPLETE
    model: str = ""
    raw_finish: str = ""
    id: str = ""
    parts: tuple[Part, ...] = attrs.field(
        default=attrs.Factory(lambda reply: _text_alone(reply.text), takes_self=True)
    )
    refusal: str = ""


def _text_alone(text: str) -> tuple[Part, ...]:
    return (TextPart(text),) if text else ()


class TextDelta(msgspec.Struct, frozen=True):
    """A piece of the answer, as it comes."""

    text: str


class ReasoningDelta(msgspec.Struct, frozen=True):
    """A piece of what the model thinks before it answers."""

    text: str


class Finished(msgspec.Struct, frozen=True):
    """The end of a stream, with the whole reply."""

    reply: ModelReply


StreamEvent = TextDelta | ReasoningDelta | Finished


# --------------------------------------------------------------------- price


class Price(msgspec.Struct, frozen=True):
    """What a model costs.

    Args:
      input_per_million_usd: for a million tokens read.
      output_per_million_usd: for a million tokens written.
      cached_per_million_usd: for a million tokens read from a cache; as other
        input if None.
      cache_write_per_million_usd: for a million tokens put into a cache; as other
        input if None.
      per_call_usd: for each call, whatever its size.

    Raises:
      ConfigError: a price is below 0 or no number.
    """

    input_per_million_usd: float | Decimal = 0
    output_per_million_usd: float | Decimal = 0
    cached_per_million_usd: float | Decimal | None = None
    cache_write_per_million_usd: float | Decimal | None = None
    per_call_usd: float | Decimal = 0

    def __post_init__(self) -> None:
        for name in Price.__struct_fields__:
            given: object = getattr(self, name)
            if given is not None and not is_amount(given):
                raise ConfigError(f"{name} is {given!r}; give USD, 0 or more")

    @property
    def free_output(self) -> bool:
        """Whether it costs the same however much the model writes."""
        return self.output_per_million_usd == 0

    def most(self, usage: Usage) -> int:
        """Return the most that *usage* can cost, whatever the provider puts into a cache.

        Args:
          usage: before it is known what came out of a cache, or went into one.

        Returns:
          micro-USD, rounded up.
        """
        read = self.input_per_million_usd
        cached, write = self.cached_per_million_usd, self.cache_write_per_million_usd
        dearest = max(read, cached or 0, write or 0)
        if dearest == read:
            return self.cost(usage)
        return msgspec.structs.replace(self, input_per_million_usd=dearest).cost(usage)

    def cost(self, usage: Usage) -> int:
        """Return the price of *usage*; micro-USD, rounded up."""
        read = _exact(self.input_per_million_usd)
        cached = _exact(self.cached_per_million_usd, read)
        write = _exact(self.cache_write_per_million_usd, read)
        plain = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
        # USD for a million tokens is micro-USD for one.
        total = (
            max(0, plain) * read
            + usage.cached_tokens * cached
            + usage.cache_write_tokens * write
            + usage.output_tokens * _exact(self.output_per_million_usd)
            + usage.calls * _exact(self.per_call_usd) * 1_000_000
        )
        return int(total.to_integral_value(ROUND_CEILING))


def _exact(usd: float | Decimal | None, otherwise: Decimal | None = None) -> Decimal:
    """Return the decimal number that was written, not the binary one near it."""
    if usd is None:
        assert otherwise is not None, "a price without a fallback is never None"
        return otherwise
    return Decimal(str(usd))


class Model(Protocol):
    """A model, whatever is behind it.

    An implementation raises `ModelError` and nothing else for what goes wrong on
    the model's side, and retries nothing.
    """

    @property
    def name(self) -> str:
        """What results and errors call it."""
        ...

    @property
    def price(self) -> Price | None:
        """What it costs; None if nobody has said, and it is not to be taken for free."""
        ...

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer *request*.

        Cancellation: the request is given up; it may have been answered and billed.
        Raises:
          ModelError: there is no answer.
        """
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """Answer *request* piece by piece; the last event is `Finished`.

        Cancellation: as of `complete`; what was handed over stays so.
        Raises:
          ModelError: while iterating: the answer broke off.
        """
        ...

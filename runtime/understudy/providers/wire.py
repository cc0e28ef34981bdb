"""What a provider's protocol is to the rest: a pure translation, without I/O.

Values go in and bytes come out, and the other way round.  Every enum of a
provider is open: a word that is not known here becomes `Finish.OTHER` or is
passed over, and never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Final, Protocol

import attrs
import msgspec

from understudy.models.part_bounds import PartBounds
from understudy.providers.sse import ServerEvent
from understudy_protocols.chat import ModelReply, ModelRequest, StreamEvent
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import ModelError


class Structured(Enum):
    """How a model can be held to a JSON schema."""

    SCHEMA = "schema"
    """The provider takes the schema and keeps to it."""
    JSON = "json"
    """The provider promises JSON, of whatever shape."""
    PROMPT = "prompt"
    """The schema can only be put into words."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a model takes; a parameter that it refuses is never sent.

    A wish that it cannot be told (temperature, seed, reasoning) is left out; a
    request that would mean something else without it (a picture, a tool, a text
    to stop at) is refused.

    Args:
      temperature: whether it takes one.
      structured: how it can be held to a JSON schema.
      tools: whether it can ask for tools.
      images: whether it reads pictures.
      files: whether it reads documents.
      reasoning: whether it takes a reasoning effort.
      seed: whether it takes a seed.
      stop: whether it takes texts to stop at.
      context_window: tokens that prompt and answer may have together; a count,
        None if it is not known.
      max_output: the most tokens that it can write; a count, None if not known.
      image_tokens: the most tokens that one picture counts for; a count, None if
        not known.  Under a budget or `max_input_tokens` it has to be known.
      file_tokens: the same for one file.

    Raises:
      ConfigError: a count below 1.
    """

    temperature: bool = True
    structured: Structured = Structured.SCHEMA
    tools: bool = True
    images: bool = True
    files: bool = True
    reasoning: bool = False
    seed: bool = True
    stop: bool = True
    context_window: int | None = None
    max_output: int | None = None
    image_tokens: int | None = None
    file_tokens: int | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("context_window", "max_output", "image_tokens", "file_tokens"):
            _check_count(name, getattr(self, name))

    @property
    def part_bounds(self) -> PartBounds:
        """The most tokens that a picture or a file counts for."""
        return PartBounds(self.image_tokens, self.file_tokens)


def _check_count(name: str, value: object) -> None:
    if value is None or (type(value) is int and value >= 1):
        return
    raise ConfigError(f"{name} is {value!r}; give a count from 1")


@attrs.frozen(kw_only=True)
class WireSettings:
    """How one model of a provider is asked.

    Args:
      model: the provider's name for it.
      capabilities: what it takes.
      max_tokens: the most tokens that it may write, unless the request says;
        a count, None to leave it to the provider where that is possible.
      max_tokens_name: what the provider calls that bound, where it copies a
        protocol but for this; empty for the protocol's own name.
      version: the version of the protocol, where a provider has versions;
        empty for the one that the codec was written for.
      anthropic_beta: what Anthropic has on trial, and is to allow; names.
      extra: further fields for the body of every request, as the provider
        calls them.  They go before what the codec would send; None takes a
        field out.  What bounds an answer is no such field: it has a setting.

    Raises:
      ConfigError: a value that cannot be meant.
    """

    model: str
    capabilities: Capabilities = attrs.field(factory=Capabilities)
    max_tokens: int | None = None
    max_tokens_name: str = ""
    version: str = ""
    anthropic_beta: tuple[str, ...] = attrs.field(default=(), converter=tuple[str, ...])
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object])

    def __attrs_post_init__(self) -> None:
        _check_count("max_tokens", self.max_tokens)
        for name in (self.version, *self.anthropic_beta):
            if name and not is_name(name):
                raise ConfigError(
                    "version or anthropic_beta has something in it that is no name; give "
                    "one such as 2023-06-01"
                )
        bound = bound_in(self.extra, self.max_tokens_name)
        if bound:
            raise ConfigError(f"extra has {bound!r} in it, {NO_BOUND_IN_EXTRA}")


_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_name(text: str) -> bool:
    """Whether *text* can be the name of a version or of what is on trial."""
    return _NAME.fullmatch(text) is not None


NO_BOUND_IN_EXTRA: Final = (
    "and budgets would not know of it; give max_tokens, and its name as "
    "max_tokens_name; one request has one answer"
)

_BOUNDS: Final = frozenset(
    {"max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of"}
)


def bound_in(extra: Mapping[str, object], max_tokens_name: str) -> str:
    """Return the field of *extra* that says how much is written; empty if none does."""
    return next((name for name in extra if name in {*_BOUNDS, max_tokens_name}), "")


class WireRequest(msgspec.Struct, frozen=True):
    """A request, ready to be sent with a key.

    Args:
      path: behind the base address, as ``/chat/completions``.
      headers: all but the key and what HTTP itself needs.
      body: JSON.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes


class StreamReader(Protocol):
    """Reads the events of one streamed answer."""

    def feed(self, event: ServerEvent) -> Sequence[StreamEvent]:
        """Return what *event* brings; `Finished` with the terminal one, once.

        What comes after the terminal event is passed over.

        Raises:
          ModelError: the provider says that it failed, or says what cannot be
            read; with what came before, and what that cost.
        """
        ...

    @property
    def done(self) -> bool:
        """Whether the terminal event has come: without it the answer is not whole."""
        ...

    def end(self) -> Sequence[StreamEvent]:
        """Return what the end of the body brings, if that is the end of the answer.

        To be called when the body has ended as HTTP says that it should, whether
        or not the terminal event has come.

        Raises:
          ModelError: cause TRANSPORT: the answer is not whole.
        """
        ...

    def partial(self) -> ModelReply:
        """Return what has come so far, and what that cost.

        It is never complete: its finish is FAILED, and it asks for no tools.  Where
        the provider has not said what it cost, that is the most it can have been.
        """
        ...


class Codec(Protocol):
    """One provider's protocol."""

    @property
    def name(self) -> str:
        """What configurations call it."""
        ...

    def authorization(self, key: str) -> Mapping[str, str]:
        """Return the headers that carry *key*."""
        ...

    def encode(
        self, request: ModelRequest, settings: WireSettings, *, stream: bool
    ) -> WireRequest:
        """Return *request* as the provider takes it.

        Raises:
          ModelError: cause BAD_REQUEST: the model cannot do what is asked, such
            as read a picture.
        """
        ...

    def decode(
        self, body: bytes, request: ModelRequest, settings: WireSettings
    ) -> ModelReply:
        """Return the answer in *body*, of a response with status 200.

        Args:
          request: what was asked: says what the answer cost if *body* does not.

        Raises:
          ModelError: the provider says that it failed (its cause), or it is no
            answer (MALFORMED).
        """
        ...

    def reader(self, request: ModelRequest, settings: WireSettings) -> StreamReader:
        """Return what reads the stream that answers *request*."""
        ...

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ModelError:
        """Return what a response that is no success means.

        From its status, codes and types, never from its words.

        Args:
          headers: by lower-case names.
          now: with a time zone.
        """
        ...

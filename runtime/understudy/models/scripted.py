"""A model for tests: it says what it was told to say, and remembers the requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TypeAlias

import attrs
import trio

from understudy.models.replies import (
    as_text,
    cut_to_tokens,
    stream_whole,
    text_reply,
)
from understudy_protocols.chat import (
    Finish,
    ModelReply,
    ModelRequest,
    Price,
    StreamEvent,
)
from understudy_protocols.errors import ConfigError

Line: TypeAlias = object
"""One scripted answer: a text, a `ModelReply`, an exception to raise, or a value
that is answered as JSON."""

_FREE = Price()


class ScriptedModel:
    """Answers from a script.

    A text longer than the request's ``max_tokens`` is cut, as a provider would, and
    ends as truncated; a `ModelReply` is passed on as it is.

    Args:
      script: the answers in order, also without end (``itertools.repeat("yes")``);
        or a function from the request to an answer.
      name: what results and errors call it.
      price: what it costs; free by default.
      latency: how long an answer takes; seconds, or a function from the request.
    """

    def __init__(
        self,
        script: Iterable[Line] | Callable[[ModelRequest], Line],
        *,
        name: str = "scripted",
        price: Price = _FREE,
        latency: float | Callable[[ModelRequest], float] = 0.0,
    ) -> None:
        self._name = name
        self._price = price
        self._latency = latency
        self._requests: list[ModelRequest] = []
        self._next = script if callable(script) else self._reader_of(iter(script))

    @property
    def name(self) -> str:
        """What results and errors call it."""
        return self._name

    @property
    def price(self) -> Price:
        """What it costs."""
        return self._price

    @property
    def requests(self) -> tuple[ModelRequest, ...]:
        """All requests so far, in order of arrival."""
        return tuple(self._requests)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Give the next answer.

        Cancellation: the answer is used up, the request stays recorded.
        Raises:
          ConfigError: the script has no answer left, or one that is no JSON.
          Whatever exception stands in the script.
        """
        self._requests.append(request)
        # Taken before the wait: answers follow the order of the requests, however
        # long each takes.
        line = self._next(request)
        latency = self._latency
        await trio.sleep(latency(request) if callable(latency) else latency)
        if isinstance(line, BaseException):
            raise line
        if isinstance(line, ModelReply):
            return line
        return self._spoken(request, self._text_of(line))

    def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """Give the next answer word by word; as `complete`."""
        return stream_whole(self, request)

    def _spoken(self, request: ModelRequest, text: str) -> ModelReply:
        reply = text_reply(request, text, self._name, self._price)
        most = request.max_tokens
        if most is None or reply.usage.output_tokens <= most:
            return reply
        cut = text_reply(request, cut_to_tokens(text, most), self._name, self._price)
        return attrs.evolve(cut, finish=Finish.TRUNCATED)

    def _text_of(self, line: object) -> str:
        try:
            return as_text(line)
        except TypeError as error:
            raise ConfigError(
                f"the script of {self._name!r} holds an answer that is neither a "
                f"text, a ModelReply, an exception nor JSON: {error}"
            ) from error

    def _reader_of(self, lines: Iterator[Line]) -> Callable[[ModelRequest], Line]:
        def read(_: ModelRequest) -> Line:
            for line in lines:
                return line
            count = len(self._requests)
            raise ConfigError(
                f"the script of {self._name!r} has {count - 1} answer(s), and this is "
                f"request {count}; write more, or give a function"
            )

        return read

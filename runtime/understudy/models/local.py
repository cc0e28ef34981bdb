"""A Python function as a model: rules, a classifier, whatever runs in process."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal, cast, overload

import trio

from understudy.calling import Raised, call, call_plain
from understudy.models.replies import as_text, stream_whole, text_reply, user_text
from understudy_protocols.chat import ModelReply, ModelRequest, Price, StreamEvent
from understudy_protocols.failures import ModelError, failure_of

_FREE = Price()


class LocalModel:
    """Answers by calling a Python function.

    What the function returns is the answer: a text as it is, a `ModelReply` as it
    is, all else as JSON.  What it raises becomes a `ModelError` of the same cause.

    Args:
      func: plain or async.  A plain one runs on the event loop and must be quick
        (some milliseconds); wrap a slow one in ``trio.to_thread.run_sync``.
      name: what results and errors call it; by default the function's name.
      price: what a call costs; free by default.  Tokens are estimated.
      takes: ``"text"``: the function is given the text of the user's last message;
        ``"request"``: the whole request.
    """

    @overload
    def __init__(
        self,
        func: Callable[[str], object],
        *,
        name: str | None = None,
        price: Price = ...,
        takes: Literal["text"] = "text",
    ) -> None: ...
    @overload
    def __init__(
        self,
        func: Callable[[ModelRequest], object],
        *,
        name: str | None = None,
        price: Price = ...,
        takes: Literal["request"],
    ) -> None: ...
    def __init__(
        self,
        func: Callable[[str], object] | Callable[[ModelRequest], object],
        *,
        name: str | None = None,
        price: Price = _FREE,
        takes: Literal["text", "request"] = "text",
    ) -> None:
        self._name = name or getattr(func, "__name__", None) or type(func).__name__
        self._price = price
        if takes == "text":
            on_text = cast("Callable[[str], object]", func)
            self._answer: Callable[[ModelRequest], object] = lambda request: on_text(
                user_text(request)
            )
        else:
            self._answer = cast("Callable[[ModelRequest], object]", func)

    @property
    def name(self) -> str:
        """What results and errors call it."""
        return self._name

    @property
    def price(self) -> Price:
        """What it costs."""
        return self._price

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Call the function.

        Cancellation: an async function is cancelled, a plain one is not begun.
        Raises:
          ModelError: the function raised, or returned what has no JSON.
        """
        await trio.lowlevel.checkpoint()
        answer = call_plain(lambda: self._answer(request))
        if inspect.isawaitable(answer):
            awaitable = cast("Awaitable[object]", answer)
            answer = await call(lambda: awaitable)
        if isinstance(answer, ModelReply):
            return answer
        text = (
            answer
            if isinstance(answer, Raised)
            else call_plain(lambda: as_text(answer))
        )
        if isinstance(text, Raised):
            if isinstance(text.error, ModelError):
                raise text.error
            raise self._error(text.error) from text.error
        return text_reply(request, text, self._name, self._price)

    def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """Call the function, and give its answer word by word; as `complete`."""
        return stream_whole(self, request)

    def _error(self, error: Exception) -> ModelError:
        failure = failure_of(error, where=self._name)
        return ModelError(
            f"the function behind {self._name!r} raised {failure.error_type}: "
            f"{failure.message}",
            cause=failure.cause,
            retry_after=failure.retry_after,
            model=self._name,
        )

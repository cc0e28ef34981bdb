"""A provider's protocol that is as small as it can be, for what is below protocols."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from understudy.providers.sse import ServerEvent
from understudy.providers.wire import StreamReader, WireRequest, WireSettings
from understudy_protocols.chat import (
    Finished,
    ModelReply,
    ModelRequest,
    StreamEvent,
    TextDelta,
)
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.usage import Usage

STATUSES: Mapping[int, Cause] = {
    400: Cause.BAD_REQUEST,
    401: Cause.AUTH,
    402: Cause.QUOTA,
    404: Cause.MODEL_GONE,
    408: Cause.TIMEOUT,
    409: Cause.CONFLICT,
    413: Cause.TOO_LARGE,
    429: Cause.RATE_LIMIT,
    500: Cause.SERVER,
    503: Cause.SERVER,
    529: Cause.OVERLOADED,
}


class TinyCodec:
    """One JSON object in, one out; or events with ``text``, and ``usage`` at the end."""

    name = "tiny"

    def authorization(self, key: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}"}

    def encode(
        self, request: ModelRequest, settings: WireSettings, *, stream: bool
    ) -> WireRequest:
        number = int(request.text.rpartition(" ")[2])
        body = {"number": number, "stream": stream}
        headers = {"content-type": "application/json"}
        return WireRequest("/ask", headers, json.dumps(body).encode())

    def decode(
        self, body: bytes, request: ModelRequest, settings: WireSettings
    ) -> ModelReply:
        value = _object(body)
        if "text" not in value:
            raise ModelError("it is no answer", cause=Cause.MALFORMED)
        return ModelReply(value["text"], usage=_usage(value["usage"]))

    def reader(self, request: ModelRequest, settings: WireSettings) -> StreamReader:
        return TinyReader()

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ModelError:
        wait = headers.get("retry-after")
        return ModelError(
            f"status {status}: {body[:40].decode(errors='replace')}",
            cause=STATUSES.get(status, Cause.BAD_REQUEST),
            retry_after=None if wait is None else float(wait),
            code=str(status),
        )


class TinyReader:
    """Reads the events of one answer."""

    def __init__(self) -> None:
        self._text = ""
        self.done = False

    def feed(self, event: ServerEvent) -> Sequence[StreamEvent]:
        value = _object(event.data.encode())
        if "error" in value:
            raise ModelError(
                "the provider failed",
                cause=Cause.OVERLOADED,
                usage=msgspec.structs.replace(self.partial().usage, calls=1),
                partial=self._text,
            )
        if "usage" in value:
            self.done = True
            return (Finished(ModelReply(self._text, usage=_usage(value["usage"]))),)
        self._text += value["text"]
        return (TextDelta(value["text"]),)

    def end(self) -> Sequence[StreamEvent]:
        raise ModelError(
            "the stream ended before the answer did", cause=Cause.TRANSPORT
        )

    def partial(self) -> ModelReply:
        used = Usage(input_tokens=7, output_tokens=len(self._text), estimated=True)
        return ModelReply(self._text, usage=used)


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ModelError("it is no JSON", cause=Cause.MALFORMED) from error
    if not isinstance(value, dict):
        raise ModelError("it is no object", cause=Cause.MALFORMED)
    return cast("Mapping[str, Any]", value)


def _usage(given: Sequence[int]) -> Usage:
    return Usage(calls=1, input_tokens=given[0], output_tokens=given[1])

"""A model behind HTTP: a protocol, a connection, a key, and a gate."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import UTC, datetime

from understudy.gates.gate import Gate
from understudy.gates.rates import Said
from understudy.models.gated import GatedModel
from understudy.models.input_limit import estimated_input
from understudy.models.part_bounds import PartBounds
from understudy.providers.http import Client, Streaming
from understudy.providers.opaque import signed, without_others
from understudy.providers.ratelimits import read_rate_limits
from understudy.providers.secret import Secret
from understudy.providers.stream_reading import Reading
from understudy.providers.wire import Codec, WireRequest, WireSettings
from understudy_protocols.chat import (
    FilePart,
    Finished,
    ImagePart,
    ModelReply,
    ModelRequest,
    Price,
    StreamEvent,
)
from understudy_protocols.failures import ModelError
from understudy_protocols.supervision import ChildSpec


class HttpModel(GatedModel):
    """A model that a provider serves.

    Args:
      name: what results and errors call it.
      codec: the provider's protocol.
      settings: how the model is asked.
      client: the connections to the provider; shared by models of one address.
      key: what the provider knows us by.
      gate: what stands before it.
      price: what it costs; None if nobody has said.
      fallbacks, hedge_after: see `GatedModel`.
      idempotency_header: the header that carries `ModelRequest.key`, for
        providers that take one; empty for none.
      utcnow: the wall clock, which providers' dates are compared with.
    """

    def __init__(
        self,
        name: str,
        codec: Codec,
        settings: WireSettings,
        *,
        client: Client,
        key: Secret,
        gate: Gate,
        price: Price | None = None,
        fallbacks: tuple[str, ...] = (),
        hedge_after: float | None = None,
        idempotency_header: str = "",
        utcnow: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self.price: Price | None = price
        self.gate = gate
        self.fallbacks = fallbacks
        self.hedge_after = hedge_after
        self.max_tokens: int | None = settings.max_tokens
        self.context_window: int | None = settings.capabilities.context_window
        self.part_bounds: PartBounds = settings.capabilities.part_bounds
        self.client = client
        self.key = key
        self._codec = codec
        self._settings = settings
        self._idempotency_header = idempotency_header
        self._utcnow = utcnow
        self._maker = f"{settings.model}@{client.base_url}"

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer *request*.

        Cancellation: the connection is closed; the request may be billed.
        Raises:
          ModelError: there is no answer, or no whole one.
        """
        try:
            wire = self._encoded(request, stream=False)
            async with self.client.stream(wire, self._headers(request)) as answer:
                await self._check(answer, request)
                body = await answer.read()
            return self._decoded(body, request)
        except ModelError as error:
            raise self._ours(error) from error.__cause__

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        """Answer *request* piece by piece; close it to give the answer up.

        Cancellation: as of `complete`; what was handed over stays so.
        Raises:
          ModelError: there is no answer, or it broke off: then ``partial`` has
            what came, and ``usage`` an estimate of what it cost.
        """
        try:
            wire = self._encoded(request, stream=True)
            async with self.client.stream(wire, self._headers(request)) as answer:
                await self._check(answer, request)
                if _is_json(answer.headers):  # it does not stream, whatever was asked
                    whole = await answer.read()
                    yield Finished(self._decoded(whole, request))
                    return
                reading = Reading(self._codec.reader(request, self._settings))
                with reading.broken_off():
                    async for chunk in answer:
                        for event in reading.feed(chunk):
                            if reading.done:
                                answer.enough()
                            yield self._signed(event)
                        if reading.done:
                            return
                    for event in reading.end(answer.headers):
                        yield self._signed(event)
        except ModelError as error:
            raise self._ours(error) from error.__cause__

    def can(self, request: ModelRequest) -> bool:
        """Whether it is made for such a request: its parts, tools, and length."""
        able = self._settings.capabilities
        parts = [part for message in request.messages for part in message.parts]
        if request.tools and not able.tools:
            return False
        if not able.images and any(isinstance(part, ImagePart) for part in parts):
            return False
        if not able.files and any(isinstance(part, FilePart) for part in parts):
            return False
        wanted = request.max_tokens or self.max_tokens or 0
        if able.max_output is not None and wanted > able.max_output:
            return False
        window, read = able.context_window, estimated_input(request, self.part_bounds)
        return window is None or read + wanted <= window

    @property
    def services(self) -> tuple[ChildSpec, ...]:
        """The actor that holds its connections open."""
        client = self.client
        # Ids are parts of paths.
        name = client.base_url.partition("://")[2].replace("/", "|")
        return (ChildSpec(name, client.serve, workload=client.workload),)

    def _encoded(self, request: ModelRequest, *, stream: bool) -> WireRequest:
        own = without_others(request, self._maker)
        return self._codec.encode(own, self._settings, stream=stream)

    def _decoded(self, body: bytes, request: ModelRequest) -> ModelReply:
        reply = self._codec.decode(body, request, self._settings)
        return signed(reply, self._maker)

    def _signed(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, Finished):
            return Finished(signed(event.reply, self._maker))
        return event

    async def _check(self, answer: Streaming, request: ModelRequest) -> None:
        """Take in what the head of an answer says.

        Raises:
          ModelError: it is no success.
        """
        said = read_rate_limits(answer.headers, self._utcnow())
        if said is not None:
            self.gate.heard(
                Said(
                    said.requests_left,
                    said.requests_limit,
                    said.tokens_left,
                    said.tokens_limit,
                ),
                key=request.key,
            )
        if not 200 <= answer.status < 300:
            body = await answer.read_error()
            raise self._codec.failure(
                answer.status, answer.headers, body, self._utcnow()
            )
        self.gate.accepted(key=request.key)

    def _headers(self, request: ModelRequest) -> Mapping[str, str]:
        key = self.key.reveal()
        headers = dict(self._codec.authorization(key)) if key else {}
        if self._idempotency_header and request.key:
            headers[self._idempotency_header] = request.key
        return headers

    def _ours(self, error: ModelError) -> ModelError:
        """Return *error* under the name of this model, and without its key.

        A server may repeat the key in what it says of it, so the error that was
        made of its words is not kept as the cause either.
        """
        hidden = self.key.hide_in
        return ModelError(
            hidden(error.message),
            cause=error.cause,
            retry_after=error.retry_after,
            model=self.name,
            code=hidden(error.code),
            usage=error.usage,
            partial=hidden(error.partial),
        )


def _is_json(headers: Mapping[str, str]) -> bool:
    kind = headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == "application/json"

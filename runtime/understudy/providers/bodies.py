"""What the request bodies of all protocols share."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import cast

import msgspec

from understudy.providers.wire import Capabilities, WireRequest, WireSettings
from understudy_protocols.articles import with_article
from understudy_protocols.chat import (
    FilePart,
    ImagePart,
    Message,
    ModelRequest,
    Part,
    TextPart,
    ToolResultPart,
)
from understudy_protocols.failures import Cause, ModelError

Body = dict[str, object]


def sent(
    path: str,
    body: Body,
    settings: WireSettings,
    headers: Mapping[str, str] | None = None,
) -> WireRequest:
    """Return *body*, with what the settings add, as it is sent; None is left out.

    Args:
      headers: those of the protocol.

    Raises:
      ModelError: cause BAD_REQUEST: it cannot be written as JSON.
    """
    fields = {**body, **settings.extra}
    kept = {name: value for name, value in fields.items() if value is not None}
    try:
        written = msgspec.json.encode(kept, enc_hook=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise unable(f"the request cannot be written as JSON: {error}") from error
    streams = kept.get("stream") is True
    all_headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if streams else "application/json",
        **(headers or {}),
    }
    return WireRequest(path, all_headers, written)


def unable(message: str) -> ModelError:
    """Return the failure of a request that cannot be sent as it is."""
    return ModelError(message, cause=Cause.BAD_REQUEST)


def check(request: ModelRequest, able: Capabilities) -> None:
    """See that the model can do what is asked.

    Raises:
      ModelError: cause BAD_REQUEST: it cannot.
    """
    if request.tools and not able.tools:
        raise unable("the model cannot ask for tools")
    if request.stop and not able.stop:
        raise unable("the model takes no texts to stop at")
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ImagePart | FilePart):
                _check_media(part, message, able)


def _check_media(
    part: ImagePart | FilePart, message: Message, able: Capabilities
) -> None:
    image = isinstance(part, ImagePart)
    name, known = ("pictures", able.images) if image else ("files", able.files)
    if not known:
        raise unable(f"the model reads no {name}")
    if message.role != "user":
        raise unable(f"{name} can stand in messages of the user only")
    if not part.data and not part.url:
        raise unable(f"one of the {name} has neither data nor an address")
    if part.data and not part.media_type:
        raise unable(f"one of the {name} has data, but no media type")


def base64_of(part: ImagePart | FilePart) -> str:
    """Return the data of *part* as text."""
    return base64.b64encode(part.data).decode()


def address(part: ImagePart | FilePart) -> str:
    """Return where *part* is: an address, or one that holds its data."""
    if not part.data:
        return part.url
    return f"data:{part.media_type};base64,{base64_of(part)}"


def split(message: Message) -> tuple[list[ToolResultPart], list[Part]]:
    """Return the tool results of a message, which go first, and its other parts."""
    results = list[ToolResultPart]()
    rest = list[Part]()
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            results.append(part)
        else:
            rest.append(part)
    return results, rest


def joined(parts: Iterable[Part]) -> str:
    """Return the text of *parts*."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    raise TypeError(f"{with_article(type(value).__name__)} has no JSON")

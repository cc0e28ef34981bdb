"""Models behind HTTP: what is sent, what comes back, and what can go wrong on the way.

The names below are loaded when they are first used, and the HTTP client with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from understudy.doors import door

if TYPE_CHECKING:
    from understudy.gates.limits import Limits
    from understudy.providers.http_model import HttpModel
    from understudy.providers.making import (
        HttpOptions,
        anthropic_model,
        openai_model,
        responses_model,
    )
    from understudy.providers.secret import Secret
    from understudy.providers.shared import Providers
    from understudy.providers.wire import Capabilities, Structured

__all__ = [
    "Capabilities",
    "HttpModel",
    "HttpOptions",
    "Limits",
    "Providers",
    "Secret",
    "Structured",
    "anthropic_model",
    "openai_model",
    "responses_model",
]

__getattr__: Callable[[str], object] = door(
    __name__,
    {
        "Capabilities": "understudy.providers.wire",
        "HttpModel": "understudy.providers.http_model",
        "HttpOptions": "understudy.providers.making",
        "Limits": "understudy.providers.spec",
        "Providers": "understudy.providers.shared",
        "Secret": "understudy.providers.secret",
        "Structured": "understudy.providers.wire",
        "anthropic_model": "understudy.providers.making",
        "openai_model": "understudy.providers.making",
        "responses_model": "understudy.providers.making",
    },
)


def __dir__() -> list[str]:
    return __all__

"""Models described in a file; the names below are loaded when they are first used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from understudy.doors import door

if TYPE_CHECKING:
    from understudy.config.models import configured_models
    from understudy.config.table import ConfigFileError

__all__ = ["ConfigFileError", "configured_models"]

__getattr__: Callable[[str], object] = door(
    __name__,
    {
        "ConfigFileError": "understudy.config.table",
        "configured_models": "understudy.config.models",
    },
)


def __dir__() -> list[str]:
    return __all__

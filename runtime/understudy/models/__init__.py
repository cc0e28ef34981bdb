"""Models of every kind, and the registry that steps find models in.

The names below are loaded when they are first used: most programs need one of
these models, and none needs them all.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from understudy.config.models import configured_models
    from understudy.config.table import ConfigFileError
    from understudy.gates.gate import Limits
    from understudy.models.faults import Fault, FaultMix, FaultyModel, with_faults
    from understudy.models.linear import LinearClassifier
    from understudy.models.local import LocalModel
    from understudy.models.recorded import RecordedModel, Recording
    from understudy.models.registry import Models, UnknownModelError
    from understudy.models.scripted import ScriptedModel
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
    "ConfigFileError",
    "Fault",
    "FaultMix",
    "FaultyModel",
    "HttpModel",
    "HttpOptions",
    "Limits",
    "LinearClassifier",
    "LocalModel",
    "Models",
    "Providers",
    "RecordedModel",
    "Recording",
    "ScriptedModel",
    "Secret",
    "Structured",
    "UnknownModelError",
    "anthropic_model",
    "configured_models",
    "openai_model",
    "responses_model",
    "with_faults",
]

_HOMES = {
    "Capabilities": "providers.wire",
    "ConfigFileError": "config.table",
    "Fault": "models.faults",
    "FaultMix": "models.faults",
    "FaultyModel": "models.faults",
    "HttpModel": "providers.http_model",
    "HttpOptions": "providers.making",
    "Limits": "gates.gate",
    "LinearClassifier": "models.linear",
    "LocalModel": "models.local",
    "Models": "models.registry",
    "Providers": "providers.shared",
    "RecordedModel": "models.recorded",
    "Recording": "models.recorded",
    "ScriptedModel": "models.scripted",
    "Secret": "providers.secret",
    "Structured": "providers.wire",
    "UnknownModelError": "models.registry",
    "anthropic_model": "providers.making",
    "configured_models": "config.models",
    "openai_model": "providers.making",
    "responses_model": "providers.making",
    "with_faults": "models.faults",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"understudy.{home}"), name)


def __dir__() -> list[str]:
    return __all__

"""Models that need no provider, and the registry that steps find models in.

The names below are loaded when they are first used: most programs need one of
these models, and none needs them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from understudy.doors import door

if TYPE_CHECKING:
    from understudy.models.faults import Fault, FaultMix, FaultyModel, with_faults
    from understudy.models.linear import LinearClassifier
    from understudy.models.local import LocalModel
    from understudy.models.recorded import RecordedModel, Recording
    from understudy.models.registry import Models, UnknownModelError
    from understudy.models.scripted import ScriptedModel

__all__ = [
    "Fault",
    "FaultMix",
    "FaultyModel",
    "LinearClassifier",
    "LocalModel",
    "Models",
    "RecordedModel",
    "Recording",
    "ScriptedModel",
    "UnknownModelError",
    "with_faults",
]

_HOMES = {
    "Fault": "faults",
    "FaultMix": "faults",
    "FaultyModel": "faults",
    "LinearClassifier": "linear",
    "LocalModel": "local",
    "Models": "registry",
    "RecordedModel": "recorded",
    "Recording": "recorded",
    "ScriptedModel": "scripted",
    "UnknownModelError": "registry",
    "with_faults": "faults",
}


__getattr__: Callable[[str], object] = door(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__

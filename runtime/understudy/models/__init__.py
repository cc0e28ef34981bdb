"""Models that need no provider, conversations, and the registry of models.

The names below are loaded when they are first used: most programs need one of
these models, and none needs them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from understudy.doors import door

if TYPE_CHECKING:
    from understudy.models.conversation import Conversation, converse
    from understudy.models.faults import Fault, FaultMix, FaultyModel, with_faults
    from understudy.models.functions import (
        FunctionCall,
        FunctionError,
        ModelFunction,
        journaled,
    )
    from understudy.models.linear import LinearClassifier
    from understudy.models.local import LocalModel
    from understudy.models.recorded import RecordedModel, Recording
    from understudy.models.registry import Models, UnknownModelError
    from understudy.models.scripted import ScriptedModel

__all__ = [
    "Conversation",
    "Fault",
    "FaultMix",
    "FaultyModel",
    "FunctionCall",
    "FunctionError",
    "LinearClassifier",
    "LocalModel",
    "ModelFunction",
    "Models",
    "RecordedModel",
    "Recording",
    "ScriptedModel",
    "UnknownModelError",
    "converse",
    "journaled",
    "with_faults",
]

_HOMES = {
    "Conversation": "understudy.models.conversation",
    "Fault": "understudy.models.faults",
    "FaultMix": "understudy.models.faults",
    "FaultyModel": "understudy.models.faults",
    "FunctionCall": "understudy.models.functions",
    "FunctionError": "understudy.models.functions",
    "LinearClassifier": "understudy.models.linear",
    "LocalModel": "understudy.models.local",
    "ModelFunction": "understudy.models.functions",
    "Models": "understudy.models.registry",
    "RecordedModel": "understudy.models.recorded",
    "Recording": "understudy.models.recorded",
    "ScriptedModel": "understudy.models.scripted",
    "UnknownModelError": "understudy.models.registry",
    "converse": "understudy.models.conversation",
    "journaled": "understudy.models.functions",
    "with_faults": "understudy.models.faults",
}


__getattr__: Callable[[str], object] = door(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__

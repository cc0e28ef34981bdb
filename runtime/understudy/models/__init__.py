"""Models that need no provider, and the registry that steps find models in."""

from __future__ import annotations

from understudy.models.faults import Fault, FaultMix, FaultyModel, with_faults
from understudy.models.local import LocalModel
from understudy.models.recorded import RecordedModel, Recording
from understudy.models.registry import Models, UnknownModelError
from understudy.models.scripted import ScriptedModel

__all__ = [
    "Fault",
    "FaultMix",
    "FaultyModel",
    "LocalModel",
    "Models",
    "RecordedModel",
    "Recording",
    "ScriptedModel",
    "UnknownModelError",
    "with_faults",
]

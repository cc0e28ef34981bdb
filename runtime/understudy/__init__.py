"""LLM workflows as supervised actors, inside your own process.

Everything that is promised is named in ``__all__``; what lies in submodules
and not here may change without notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from understudy.doors import door
from understudy.events import RunEvent
from understudy.handle import RunHandle
from understudy.result import RunFailed, RunResult, StepResult
from understudy.runtime import Runtime
from understudy.workflows.attempt import Attempt
from understudy.workflows.builders import (
    cascade,
    child,
    maybe,
    pause,
    repeat,
    route,
    sequence,
)
from understudy.workflows.check import check
from understudy.workflows.context import Context
from understudy.workflows.fan_outs import each, parallel
from understudy.workflows.inputs import InputError
from understudy.workflows.joins import all_of, best_effort, first_success, quorum
from understudy.workflows.naming import named_function
from understudy.workflows.nodes import Workflow
from understudy.workflows.policy import Decision, RoutingPolicy
from understudy.workflows.seed_steps import WorkflowStep
from understudy.workflows.step import StatefulStep, Step, stateful_step, step
from understudy_protocols.budget import Budget, BudgetExceededError
from understudy_protocols.errors import (
    AdmissionError,
    ConfigError,
    NotFrozenError,
    RuntimeFailed,
    SetupError,
    UnderstudyError,
    WorkflowError,
)
from understudy_protocols.failures import (
    AttemptRecord,
    Cause,
    Failure,
    FailureMode,
    ModelError,
    StepError,
    register_failure,
)
from understudy_protocols.frozen import FrozenMap, freeze, register_type, thaw
from understudy_protocols.outcomes import Outcome, RunStatus
from understudy_protocols.retry import RetryConfig, RetryRule
from understudy_protocols.sensitive import SENSITIVE
from understudy_protocols.state import OrchestrationState
from understudy_protocols.supervision_records import SupervisionEvent, TreeSnapshot
from understudy_protocols.usage import Usage

if TYPE_CHECKING:
    from understudy.fanout import parallel_execute
    from understudy.models.bound import BoundModel, BoundModels, Completion
    from understudy.retrying import RetriesExhausted, with_retry
    from understudy.routing.length_tiers import LengthTiers
    from understudy.routing.router import Router
    from understudy_protocols.chat import (
        Finish,
        Finished,
        Message,
        Model,
        ModelReply,
        ModelRequest,
        Price,
        StreamEvent,
        TextDelta,
    )

__all__ = [
    "SENSITIVE",
    "AdmissionError",
    "Attempt",
    "AttemptRecord",
    "BoundModel",
    "BoundModels",
    "Budget",
    "BudgetExceededError",
    "Cause",
    "Completion",
    "ConfigError",
    "Context",
    "Decision",
    "Failure",
    "FailureMode",
    "Finish",
    "Finished",
    "FrozenMap",
    "InputError",
    "LengthTiers",
    "Message",
    "Model",
    "ModelError",
    "ModelReply",
    "ModelRequest",
    "NotFrozenError",
    "OrchestrationState",
    "Outcome",
    "Price",
    "RetriesExhausted",
    "RetryConfig",
    "RetryRule",
    "Router",
    "RoutingPolicy",
    "RunEvent",
    "RunFailed",
    "RunHandle",
    "RunResult",
    "RunStatus",
    "Runtime",
    "RuntimeFailed",
    "SetupError",
    "StatefulStep",
    "Step",
    "StepError",
    "StepResult",
    "StreamEvent",
    "SupervisionEvent",
    "TextDelta",
    "TreeSnapshot",
    "UnderstudyError",
    "Usage",
    "Workflow",
    "WorkflowError",
    "WorkflowStep",
    "all_of",
    "best_effort",
    "cascade",
    "check",
    "child",
    "each",
    "first_success",
    "freeze",
    "maybe",
    "named_function",
    "parallel",
    "parallel_execute",
    "pause",
    "quorum",
    "register_failure",
    "register_type",
    "repeat",
    "route",
    "sequence",
    "stateful_step",
    "step",
    "thaw",
    "with_retry",
]

# Loaded when they are first used: what has to do with models, and what stands by itself.
_HOMES = {
    "BoundModel": "understudy.models.bound",
    "BoundModels": "understudy.models.bound",
    "Completion": "understudy.models.bound",
    "Finish": "understudy_protocols.chat",
    "Finished": "understudy_protocols.chat",
    "LengthTiers": "understudy.routing.length_tiers",
    "Message": "understudy_protocols.chat",
    "Model": "understudy_protocols.chat",
    "ModelReply": "understudy_protocols.chat",
    "ModelRequest": "understudy_protocols.chat",
    "Price": "understudy_protocols.chat",
    "RetriesExhausted": "understudy.retrying",
    "Router": "understudy.routing.router",
    "StreamEvent": "understudy_protocols.chat",
    "TextDelta": "understudy_protocols.chat",
    "parallel_execute": "understudy.fanout",
    "with_retry": "understudy.retrying",
}

if not TYPE_CHECKING:  # which would take any name for one of these
    __getattr__ = door(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__

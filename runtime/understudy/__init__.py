"""LLM workflows as supervised actors, inside your own process.

Everything that is promised is named in ``__all__``; what lies in submodules
and not here may change without notice.
"""

from __future__ import annotations

from understudy.events import RunEvent
from understudy.fanout import parallel_execute
from understudy.handle import RunHandle
from understudy.models.bound import BoundModel, BoundModels, Completion
from understudy.result import RunFailed, RunResult, StepResult
from understudy.retrying import RetriesExhausted, with_retry
from understudy.routing.length_tiers import LengthTiers
from understudy.routing.router import Router
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

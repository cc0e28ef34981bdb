"""One call of models behind gates, and what is left of it."""

from __future__ import annotations

from call_probe import Scope
from gated_probe import Told

from understudy.budgets import RunBudget
from understudy.models.asking import Asking, Restarted
from understudy.testing import run_seeded
from understudy_protocols.budget import Budget
from understudy_protocols.chat import ModelReply, ModelRequest
from understudy_protocols.failures import StepError
from understudy_protocols.retry import RetryConfig

ASK = ModelRequest("hello, you", key="call/1")
WORST = 26 + 50  # tokens: the bytes and the overhead of one message, and what it writes
QUICK = RetryConfig(max_attempts=3, backoff_base=0.0)


def probe(
    retry: RetryConfig = QUICK, budget: Budget | None = None, **more: float
) -> Scope:
    """Return an attempt."""
    account = RunBudget(budget or Budget(usd=10, tokens=10**6, calls=100))
    return Scope(account, retry, **more)  # type: ignore[arg-type]


def answered(
    models: list[Told], scope: Scope, *, shown: bool = False, seed: int = 0
) -> ModelReply | StepError:
    """Make one call; nothing is held after it."""

    async def main() -> ModelReply | StepError:
        try:
            return await Asking(models, scope, shown=shown).answer(ASK)
        except StepError as error:
            return error
        finally:
            assert scope.holds == []
            assert scope.outside == 0
            for model in models:
                assert (model.gate.under_way, model.gate.waiting) == (0, 0)
                assert model.under_way == 0

    outcome = run_seeded(main, seed=seed)
    assert scope.last == ([outcome] if isinstance(outcome, StepError) else [])
    return outcome


def texts(scope: Scope) -> list[str]:
    """Return what was shown: pieces, and a bar where they became void."""
    return [
        "|" if isinstance(shown, Restarted) else getattr(shown, "text", "?")
        for shown in scope.shown
    ]

"""A second request while the first is late: when it is sent, who wins, who pays."""

from __future__ import annotations

import pytest
import trio
from call_probe import Scope, gate
from gated_probe import COST, Say, Told, fails

from understudy.budgets import RunBudget
from understudy.gates.gate import Account, Gate
from understudy.gates.limits import Limits
from understudy.gates.lock import Lock
from understudy.gates.retry_budget import RetryBudget
from understudy.models.asking import Asking
from understudy.models.settling import need_of
from understudy.testing import run_seeded
from understudy_protocols.budget import Budget
from understudy_protocols.chat import Finish, ModelReply, ModelRequest
from understudy_protocols.failures import Cause, ModelError, StepError
from understudy_protocols.retry import RetryConfig

ASK = ModelRequest("hello, you", key="first")
WORST = 26 + 50
seeded = pytest.mark.parametrize("seed", range(4))


def hedges(share: float = 0.0, reserve: float = 10.0, most: int = 64) -> Gate:
    """Return a gate whose account allows second requests."""
    return Gate(
        "m",
        Limits(max_concurrent=most),
        host=Lock(Cause.TRANSPORT),
        key=Lock(Cause.AUTH),
        account=Account(RetryBudget(), RetryBudget(share, reserve)),
    )


class Outcome:
    """What came of one call of a model that is hedged after a second."""

    def __init__(
        self,
        *says: Say,
        through: Gate | None = None,
        budget: Budget | None = None,
        attempts: int = 1,
        timeout: float = 60.0,
        seed: int = 0,
    ) -> None:
        self.model = Told(*says, through=through or hedges(), hedge_after=1.0)
        self.scope = Scope(
            RunBudget(budget or Budget(tokens=10_000)),
            RetryConfig(max_attempts=attempts, timeout_seconds=timeout, backoff_base=0),
        )
        self.reply: ModelReply | None = None
        self.error: StepError | None = None
        self.at = run_seeded(self._main, seed=seed)
        assert (self.scope.holds, self.scope.outside) == ([], 0)
        assert (self.model.gate.under_way, self.model.under_way) == (0, 0)
        rates = self.model.gate._made
        assert rates is not None
        assert rates.tokens.reserved == rates.requests.reserved == 0

    async def _main(self) -> float:
        try:
            self.reply = await Asking([self.model], self.scope).answer(ASK)
        except StepError as error:
            self.error = error
        return trio.current_time()

    @property
    def text(self) -> str:
        assert self.reply is not None
        return self.reply.text

    @property
    def sent(self) -> list[float]:
        return [sent.at for sent in self.model.sent]

    @property
    def spent(self) -> list[tuple[int, bool]]:
        """Tokens, and whether they are an estimate, in the order of settling."""
        return [(used.tokens, used.estimated) for used in self.scope.spent]


def test_a_quick_answer_has_no_second_request() -> None:
    call = Outcome(Say("yes", after=0.9))
    assert (call.text, call.sent, call.at) == ("yes", [0], 0.9)


@seeded
def test_the_second_wins_and_the_first_is_cancelled_and_paid_at_its_worst(
    seed: int,
) -> None:
    call = Outcome(Say("first", after=9), Say("second", after=1), seed=seed)
    assert (call.text, call.at, call.model.cut) == ("second", 2, 1)
    assert call.spent == [(COST.tokens, False), (WORST, True)]
    keys = [sent.request.key for sent in call.model.sent]
    assert keys == ["first", "call/1"]


@seeded
def test_the_first_wins_and_the_second_is_cancelled_and_paid_at_its_worst(
    seed: int,
) -> None:
    call = Outcome(Say("first", after=1.5), Say("second", after=5), seed=seed)
    assert (call.text, call.at, call.model.cut) == ("first", 1.5, 1)
    assert sorted(call.spent) == [(COST.tokens, False), (WORST, True)]


@seeded
def test_both_at_once_are_both_paid_and_the_first_is_the_answer(seed: int) -> None:
    call = Outcome(Say("first", after=2), Say("second", after=1), seed=seed)
    assert call.at == 2
    # Who is cancelled in that moment is cancelled; who has answered is paid.
    assert call.text in ("first", "second")
    assert len(call.spent) == 2
    assert (COST.tokens, False) in call.spent


@seeded
def test_the_first_reply_that_can_be_used_wins(seed: int) -> None:
    call = Outcome(Say(Finish.REFUSED, after=2), Say("yes", after=5), seed=seed)
    assert (call.text, call.at, call.model.cut) == ("yes", 6, 0)
    assert call.spent == [(COST.tokens, False)] * 2
    call = Outcome(Say("yes", after=9), Say(Finish.REFUSED, after=2), seed=seed)
    assert (call.text, call.at) == ("yes", 9)


@seeded
def test_a_first_that_fails_later_still_waits_for_the_second(seed: int) -> None:
    call = Outcome(fails(Cause.SERVER, after=2), Say("yes", after=5), seed=seed)
    assert (call.text, call.at) == ("yes", 6)
    assert call.scope.failures == []  # the call has not failed


@seeded
def test_if_neither_can_be_used_it_is_the_first_that_failed(seed: int) -> None:
    call = Outcome(
        fails(Cause.SERVER, after=3), fails(Cause.TRANSPORT, after=1), seed=seed
    )
    assert isinstance(call.error, ModelError)
    assert (call.error.cause, call.at) == (Cause.SERVER, 3)
    call = Outcome(
        Say(Finish.REFUSED, after=2), fails(Cause.SERVER, after=2), seed=seed
    )
    assert isinstance(call.error, ModelError)
    assert (call.error.cause, call.at) == (Cause.REFUSED, 3)


def test_a_second_that_breaks_does_no_harm() -> None:
    call = Outcome(Say("yes", after=3), Say(KeyError("a bug"), after=1))
    assert (call.text, call.at) == ("yes", 3)


def test_both_are_given_up_when_the_time_is_over() -> None:
    call = Outcome(Say("yes", after=9), timeout=4)
    assert isinstance(call.error, ModelError)
    assert call.error.cause is Cause.TIMEOUT
    assert call.model.cut == 2
    assert call.spent == [(WORST, True)] * 2


def test_a_failure_before_the_time_is_no_reason_for_a_second() -> None:
    call = Outcome(fails(Cause.SERVER, after=0.5))
    assert call.sent == [0]


def test_there_is_one_second_request_however_often_a_call_is_tried() -> None:
    call = Outcome(
        fails(Cause.SERVER, after=3),
        fails(Cause.SERVER, after=1),
        Say("yes", after=5),
        attempts=3,
    )
    assert call.sent == [0, 1, 3]
    assert call.text == "yes"
    assert call.scope.number == 2  # it is no attempt


# --- when none is sent


def test_no_second_is_sent_that_the_budget_could_not_pay() -> None:
    call = Outcome(Say("yes", after=3), budget=Budget(tokens=WORST * 2 - 1))
    assert (call.sent, call.text) == ([0], "yes")
    call = Outcome(Say("yes", after=3), budget=Budget(tokens=WORST * 2))
    assert call.sent == [0, 1]


def test_no_second_is_sent_that_would_have_to_wait_for_a_slot() -> None:
    call = Outcome(Say("yes", after=3), through=hedges(most=1))
    assert call.sent == [0]


def test_no_second_is_sent_while_others_wait() -> None:
    through = hedges(most=2)
    model = Told(Say("yes", after=3), through=through, hedge_after=1.0)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                scope = Scope(RunBudget(Budget()), RetryConfig())
                nursery.start_soon(Asking([model], scope).answer, ASK)

    run_seeded(main, seed=0)
    # The last alone has a slot free beside it.
    assert [sent.at for sent in model.sent] == [0, 0, 3, 3, 6, 7]


def test_no_second_is_sent_beyond_the_share_of_the_account() -> None:
    through = hedges(share=0.25, reserve=1)
    model = Told(Say("yes", after=3), through=through, hedge_after=1.0)

    async def main() -> None:
        for _ in range(12):
            scope = Scope(RunBudget(Budget()), RetryConfig())
            await Asking([model], scope).answer(ASK)

    run_seeded(main, seed=0)
    assert len(model.sent) == 12 + 1 + 2


def test_no_second_is_sent_through_a_gate_that_has_shut() -> None:
    through = hedges()
    model = Told(Say("yes", after=3), through=through, hedge_after=1.0)

    async def main() -> None:
        other = await through.enter(need_of(ASK), latest=1)
        async with trio.open_nursery() as nursery:
            scope = Scope(RunBudget(Budget()), RetryConfig())
            nursery.start_soon(Asking([model], scope).answer, ASK)
            await trio.sleep(0.5)
            through.failed(other, Cause.RATE_LIMIT, 20.0, 0)

    run_seeded(main, seed=0)
    assert len(model.sent) == 1


def test_the_gate_hears_of_each_by_itself() -> None:
    through = gate(limits=Limits(tokens_per_minute=1000))
    model = Told(Say("first", after=9), Say("second", after=1), through=through)
    model.hedge_after = 1.0

    async def main() -> None:
        scope = Scope(RunBudget(Budget()), RetryConfig())
        await Asking([model], scope).answer(ASK)
        rates = through._made
        assert rates is not None
        # Between the two, the bucket is not full: nothing of what comes back is lost.
        come_back = 2.0 * 1000 / 60
        # The loser counts as reserved: nobody knows what it has used.
        reserved = need_of(ModelRequest(ASK.text, max_tokens=50)).tokens
        level = rates.tokens.level(trio.current_time())
        assert level == pytest.approx(1000 - reserved - COST.tokens + come_back)

    run_seeded(main, seed=0)

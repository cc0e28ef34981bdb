"""Retrying has one owner: the step's attempt counter."""

from __future__ import annotations

import attrs
import pytest
import trio
from run_probe import asking, failing, numbers, run_one, scripted, seeded, starts

from understudy import (
    Attempt,
    Budget,
    BudgetExceededError,
    Cause,
    Context,
    FailureMode,
    ModelError,
    RetryConfig,
    RetryRule,
    RunResult,
    RunStatus,
    Runtime,
    StepError,
    sequence,
    stateful_step,
    step,
)
from understudy.testing import run_seeded
from understudy_protocols.retry import NEVER_RETRIED

RETRIED = [
    Cause.TRANSPORT,
    Cause.SERVER,
    Cause.CONFLICT,
    Cause.TIMEOUT,
    Cause.MALFORMED,
    Cause.SCHEMA,
]


# --- model calls are made again in place -----------------------------------------


@seeded
@pytest.mark.parametrize("cause", RETRIED)
def test_a_model_call_is_made_again_after_1_and_2_seconds(
    seed: int, cause: Cause
) -> None:
    model = scripted(failing(cause), failing(cause), "yes")
    result = run_one(asking, seed, models={"m": model})
    assert result.value == "yes"
    assert result.duration == 3.0
    assert starts(result) == [0.0, 1.0]
    assert result.steps[0].number == 3
    assert len({request.key for request in model.requests}) == 1


@seeded
@pytest.mark.parametrize("cause", [Cause.RATE_LIMIT, Cause.OVERLOADED])
def test_a_rate_limit_waits_4_and_8_seconds(seed: int, cause: Cause) -> None:
    model = scripted(failing(cause), failing(cause), "yes")
    result = run_one(asking, seed, models={"m": model})
    assert (result.value, result.duration) == ("yes", 12.0)
    assert starts(result) == [0.0, 4.0]


@seeded
def test_what_the_provider_asks_for_is_waited_for(seed: int) -> None:
    model = scripted(
        failing(Cause.RATE_LIMIT, 7.5), failing(Cause.SERVER, 100.0), "yes"
    )
    result = run_one(asking, seed, models={"m": model})
    assert result.duration == 107.5


@seeded
@pytest.mark.parametrize("cause", sorted(NEVER_RETRIED, key=str))
def test_what_another_attempt_cannot_help_is_never_made_again(
    seed: int, cause: Cause
) -> None:
    model = scripted(failing(cause), "yes")
    result = run_one(asking, seed, models={"m": model})
    assert result.status is RunStatus.FAILED
    assert result.failure is not None
    assert result.failure.cause is cause
    assert len(model.requests) == 1
    assert result.duration == 0.0


@seeded
def test_a_refusal_is_content_policy_and_is_not_asked_to_be_mended(seed: int) -> None:
    @step
    async def asks(context: Context[object], attempt: Attempt[object]) -> int:
        return (await attempt.models["m"].complete("?", output=int)).value

    model = scripted(failing(Cause.REFUSED), "1")
    result = run_one(asks, seed, models={"m": model})
    assert result.failure is not None
    assert result.failure.mode is FailureMode.CONTENT_POLICY
    assert len(model.requests) == 1


@seeded
def test_what_leaves_complete_is_final_and_the_body_does_not_run_again(
    seed: int,
) -> None:
    bodies: list[int] = []

    @step
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        bodies.append(attempt.number)
        return (await attempt.models["m"].complete("?")).value

    model = scripted(*[failing(Cause.TRANSPORT)] * 3, "late")
    result = run_one(asks, seed, models={"m": model})
    assert result.failure is not None
    assert result.failure.cause is Cause.TRANSPORT
    assert bodies == [1]
    assert numbers(result) == [1, 2, 3]
    assert result.duration == 3.0


@seeded
def test_what_leaves_complete_is_final_also_in_a_group(seed: int) -> None:
    bodies: list[int] = []

    @step
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        bodies.append(attempt.number)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, attempt)
            nursery.start_soon(trio.sleep_forever)
        return "not reached"

    async def one(attempt: Attempt[object]) -> None:
        await attempt.models["m"].complete("?")

    model = scripted(*[failing(Cause.TRANSPORT)] * 3, *["late"] * 5)
    result = run_one(asks, seed, models={"m": model})
    assert result.failure is not None
    assert result.failure.cause is Cause.TRANSPORT
    assert bodies == [1]
    assert numbers(result) == [1, 2, 3]


@seeded
def test_a_refused_budget_is_final_and_on_record(seed: int) -> None:
    bodies: list[int] = []

    @step(retry=RetryConfig(retry_on=(Cause.STEP_ERROR, Cause.TRANSPORT)))
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        bodies.append(attempt.number)
        return (await attempt.models["m"].complete("?", max_tokens=5)).value

    async def main() -> RunResult[str]:
        async with Runtime(asks, models={"m": scripted("x")}) as runtime:
            return await runtime.run(asks, 0, budget=Budget(calls=0))

    result = run_seeded(main, seed=seed)
    assert result.failure is not None
    assert result.failure.cause is Cause.BUDGET
    assert result.failure.error_type == BudgetExceededError.__name__
    assert bodies == [1]
    assert [r.failure.cause for r in result.steps[0].attempts if r.failure] == [
        Cause.BUDGET
    ]


# --- bodies ------------------------------------------------------------------------


@seeded
def test_a_body_that_failed_by_itself_runs_again_after_1_and_2_seconds(
    seed: int,
) -> None:
    bodies: list[float] = []

    @step
    async def fails(context: Context[object]) -> str:
        bodies.append(trio.current_time())
        if len(bodies) < 3:
            raise ConnectionError("gone")
        return "yes"

    result = run_one(fails, seed)
    assert result.value == "yes"
    assert bodies == [0.0, 1.0, 3.0]
    assert numbers(result) == [1, 2]
    assert result.attempts == 3


@seeded
def test_a_step_error_is_not_retried_unless_retry_on_says_so(seed: int) -> None:
    runs: list[str] = []

    async def fails(context: Context[object]) -> str:
        runs.append("x")
        raise ValueError("no")

    plain = step(name="plain")(fails)
    told = step(name="told", retry=RetryConfig(retry_on=(Cause.STEP_ERROR,)))(fails)
    for made, count in ((plain, 1), (told, 3)):
        runs.clear()
        result = run_one(made, seed)
        assert result.failure is not None
        assert result.failure.cause is Cause.STEP_ERROR
        assert len(runs) == count


@seeded
def test_model_calls_and_bodies_draw_on_one_counter(seed: int) -> None:
    bodies: list[tuple[int, float]] = []

    @step(retry=RetryConfig(max_attempts=4))
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        bodies.append((attempt.number, trio.current_time()))
        reply = await attempt.models["m"].complete("?")
        if len(bodies) < 3:
            raise ConnectionError("gone")
        return reply.value

    # 1: call fails (1 s), 2: body fails (2 s), 3: body fails (4 s), 4: good.
    model = scripted(failing(Cause.SERVER), "a", "b", "c")
    result = run_one(asks, seed, models={"m": model})
    assert result.value == "c"
    assert bodies == [(1, 0.0), (3, 3.0), (4, 7.0)]
    assert numbers(result) == [1, 2, 3]
    assert result.steps[0].number == 4


@seeded
def test_a_body_may_fail_by_itself_after_a_model_error_that_it_caught(
    seed: int,
) -> None:
    bodies: list[int] = []

    @step
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        bodies.append(attempt.number)
        try:
            return (await attempt.models["m"].complete("?")).value
        except ModelError as error:
            raise ConnectionError("my own way to fail") from error

    model = scripted(failing(Cause.AUTH), "yes")
    result = run_one(asks, seed, models={"m": model})
    assert result.value == "yes"
    assert bodies == [1, 2]


@seeded
def test_every_attempt_has_the_same_idempotency_keys(seed: int) -> None:
    keys: list[str] = []

    @step
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        keys.append(attempt.key)
        reply = await attempt.models["m"].complete("?")
        if len(keys) < 3:
            raise ConnectionError("gone")
        return reply.value

    model = scripted("a", "b", "c")
    assert run_one(asks, seed, models={"m": model}).ok
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert {request.key for request in model.requests} == {f"{keys[0]}/1"}


@seeded
def test_delay_0_tries_again_in_the_worker_and_takes_no_time(seed: int) -> None:
    order: list[int] = []

    @step(retry=RetryConfig(max_attempts=5, backoff_base=0.0), max_concurrent=1)
    async def fails(context: Context[int]) -> int:
        order.append(context.input)
        if order.count(context.input) < 5:
            raise ConnectionError("gone")
        return context.input

    async def main() -> list[int]:
        async with Runtime(fails) as runtime:
            return [result.value async for result in runtime.run_many(fails, range(3))]

    assert run_seeded(main, seed=seed) == [0, 1, 2]
    assert order == [0] * 5 + [1] * 5 + [2] * 5


@seeded
def test_a_backoff_leaves_the_worker_free_and_the_run_comes_back_in_front(
    seed: int,
) -> None:
    order: list[tuple[int, float]] = []

    @step(max_concurrent=1)
    async def fails(context: Context[int]) -> int:
        order.append((context.input, trio.current_time()))
        await trio.sleep(0.4)
        if context.input == 0 and len(order) == 1:
            raise ConnectionError("gone")
        return context.input

    async def main() -> None:
        async with Runtime(fails) as runtime:
            async for result in runtime.run_many(fails, range(6)):
                assert result.ok

    run_seeded(main, seed=seed)
    # Its second is over at 1.4 s, while 3 is in hand; it goes before 4 and 5.
    assert [number for number, _ in order] == [0, 1, 2, 3, 0, 4, 5]
    assert order[4][1] == pytest.approx(1.6)


# --- repair ------------------------------------------------------------------------


@attrs.frozen
class Answer:
    number: int


@step
async def structured(context: Context[object], attempt: Attempt[object]) -> Answer:
    reply = await attempt.models["m"].complete("?", output=Answer)
    return reply.value


@seeded
def test_repairs_are_counted_apart_from_attempts(seed: int) -> None:
    model = scripted("no json", '{"number": "x"}', '{"number": 3}')
    result = run_one(structured, seed, models={"m": model})
    assert result.value == Answer(3)
    assert result.steps[0].number == 1
    assert result.duration == 0.0
    texts = [request.messages[-1].text for request in model.requests]
    assert "cannot be used" in texts[1]
    assert "number" in texts[2]
    assert len(model.requests[2].messages) == 3
    assert len({request.key for request in model.requests}) == 3


@seeded
def test_after_two_repairs_a_reply_of_the_wrong_shape_is_a_failed_attempt(
    seed: int,
) -> None:
    model = scripted(*["no json"] * 9, '{"number": 3}')
    result = run_one(structured, seed, models={"m": model})
    assert result.failure is not None
    assert result.failure.cause is Cause.MALFORMED
    assert len(model.requests) == 9
    assert numbers(result) == [1, 2, 3]
    assert starts(result) == [0.0, 1.0, 3.0]
    # Each attempt begins from the question, not from its last mistake.
    assert [len(request.messages) for request in model.requests] == [1, 3, 3] * 3


@seeded
def test_a_repair_whose_request_fails_is_sent_again_under_the_same_key(
    seed: int,
) -> None:
    model = scripted("no json", failing(Cause.SERVER), '{"number": 3}')
    result = run_one(structured, seed, models={"m": model})
    assert result.value == Answer(3)
    keys = [request.key for request in model.requests]
    assert keys[0] != keys[1] == keys[2]


@seeded
def test_a_reply_that_was_cut_off_is_truncated_and_not_malformed(seed: int) -> None:
    @step
    async def asks(context: Context[object], attempt: Attempt[object]) -> Answer:
        model = attempt.models["m"]
        return (await model.complete("?", output=Answer, max_tokens=2)).value

    model = scripted('{"number": 123456789}')
    result = run_one(asks, seed, models={"m": model})
    assert result.failure is not None
    assert result.failure.cause is Cause.TRUNCATED
    assert len(model.requests) == 1


# --- what must not be repeated ---------------------------------------------------------


@seeded
def test_a_step_that_is_not_safe_to_repeat_is_not_repeated(seed: int) -> None:
    bodies: list[str] = []

    @step(replay_safe=False)
    async def fails(context: Context[object]) -> str:
        bodies.append("x")
        raise ConnectionError("gone")

    result = run_one(fails, seed)
    assert bodies == ["x"]
    assert result.failure is not None
    assert result.failure.cause is Cause.TRANSPORT


@seeded
def test_a_cut_step_that_is_not_safe_to_repeat_has_an_unknown_outcome(
    seed: int,
) -> None:
    bodies: list[str] = []

    @step(replay_safe=False)
    async def hangs(context: Context[object]) -> str:
        bodies.append("x")
        await trio.sleep_forever()
        return "never"

    result = run_one(hangs, seed)
    assert bodies == ["x"]
    assert result.failure is not None
    assert result.failure.cause is Cause.UNKNOWN_OUTCOME
    assert result.duration == 30.0


# --- rules --------------------------------------------------------------------------------


@seeded
def test_rules_differ_by_mode_and_cause(seed: int) -> None:
    rules: dict[FailureMode | Cause, RetryRule] = {
        Cause.SERVER: RetryRule(max_attempts=2, backoff_base=5.0),
        FailureMode.RATE_LIMIT: RetryRule(max_backoff=3.0),
    }

    @step(retry=RetryConfig(max_attempts=9, rules=rules))
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        return (await attempt.models["m"].complete("?")).value

    model = scripted(failing(Cause.RATE_LIMIT), failing(Cause.SERVER), "late")
    result = run_one(asks, seed, models={"m": model})
    assert result.failure is not None
    assert result.failure.cause is Cause.SERVER
    assert result.duration == 3.0


@seeded
def test_jitter_comes_from_the_runtime_seed(seed: int) -> None:
    @step(retry=RetryConfig(jitter=1.0))
    async def fails(context: Context[object]) -> str:
        raise ConnectionError("gone")

    durations = {run_one(fails, seed).duration for _ in range(3)}
    other = run_one(fails, seed + 100).duration
    assert len(durations) == 1
    assert durations != {other}
    assert 3.0 < other < 6.0


@seeded
def test_attempts_are_visible_in_the_result(seed: int) -> None:
    @step
    async def before(context: Context[object]) -> int:
        return 1

    model = scripted(failing(Cause.SERVER), failing(Cause.RATE_LIMIT), "yes")
    flow = sequence(before, asking)
    result = run_one(flow, seed, models={"m": model})
    first, second = result.steps
    assert (first.number, first.attempts) == (1, ())
    assert [r.failure.cause for r in second.attempts if r.failure] == [
        Cause.SERVER,
        Cause.RATE_LIMIT,
    ]
    assert [(r.started, r.ended) for r in second.attempts] == [(0.0, 0.0), (1.0, 1.0)]
    assert result.attempts == 4
    assert result.usage.calls == second.usage.calls == 3


# --- steps with state ---------------------------------------------------------------------


class Connection:
    """A step that counts its lives, and fails as it is told."""

    made = 0
    failures: list[Exception] = []  # noqa: RUF012 - set by each test

    def __init__(self) -> None:
        Connection.made += 1

    async def execute(self, context: Context[object], attempt: Attempt[object]) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return (await attempt.models["m"].complete("?")).value


@seeded
def test_what_restarts_a_worker_is_tried_again_only_as_its_retry_says(
    seed: int,
) -> None:
    Connection.made = 0
    Connection.failures = [LookupError("x")]
    made = stateful_step(
        Connection, name="connection", output=str, restart_on=(LookupError,)
    )
    result = run_one(made, seed, models={"m": scripted("yes")})
    assert result.failure is not None
    assert result.failure.message == "x"
    assert numbers(result) == [1]


@seeded
def test_inputs_that_raise_leave_a_stateful_step_as_it_is(seed: int) -> None:
    Connection.made = 0
    Connection.failures = [ValueError("bad input") for _ in range(9)]
    made = stateful_step(Connection, name="connection", output=str)

    async def main() -> list[bool]:
        async with Runtime(made, models={"m": scripted("yes")}) as runtime:
            return [(await runtime.run(made, 0)).ok for _ in range(10)]

    assert run_seeded(main, seed=seed) == [False] * 9 + [True]
    assert Connection.made == 1


@seeded
def test_a_model_that_gave_up_does_not_replace_the_worker_of_a_stateful_step(
    seed: int,
) -> None:
    Connection.made, Connection.failures = 0, []
    made = stateful_step(Connection, name="connection", output=str)
    model = scripted(*[failing(Cause.AUTH)] * 9, "good")

    async def main() -> list[Cause | None]:
        async with Runtime(made, models={"m": model}) as runtime:
            many = runtime.run_many(made, range(10), concurrency=1)
            return [r.failure.cause if r.failure else None async for r in many]

    assert run_seeded(main, seed=seed) == [Cause.AUTH] * 9 + [None]
    assert Connection.made == 1
    assert len(model.requests) == 10


@seeded
def test_a_refused_budget_does_not_replace_the_worker_of_a_stateful_step(
    seed: int,
) -> None:
    Connection.made, Connection.failures = 0, []
    made = stateful_step(Connection, name="connection", output=str)

    async def main() -> list[bool]:
        async with Runtime(made, models={"m": scripted("good")}) as runtime:
            refused = [
                await runtime.run(made, 0, budget=Budget(calls=0)) for _ in range(6)
            ]
            return [result.ok for result in (*refused, await runtime.run(made, 0))]

    assert run_seeded(main, seed=seed) == [False] * 6 + [True]
    assert Connection.made == 1


@seeded
def test_a_restart_does_not_repeat_what_is_never_retried(seed: int) -> None:
    Connection.made = 0
    Connection.failures = [StepError("no", cause=Cause.QUOTA)]
    made = stateful_step(Connection, name="connection", output=str)
    result = run_one(made, seed, models={"m": scripted("late")})
    assert result.failure is not None
    assert result.failure.cause is Cause.QUOTA

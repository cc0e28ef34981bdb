"""`with_retry`: what the seed's version ignores, skips or guesses, put right."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import cast

import pytest
import trio

from understudy.retrying import RetriesExhausted, with_retry
from understudy.testing import run_seeded
from understudy_protocols.errors import ConfigError, UnderstudyError
from understudy_protocols.failures import (
    Cause,
    FailureMode,
    ModelError,
    StepError,
)
from understudy_protocols.retry import RetryConfig


class Script:
    """A function that does one thing per call, and notes when it was called."""

    def __init__(self, *acts: object) -> None:
        self._acts = list(acts)
        self.called_at: list[float] = []

    async def __call__(self) -> object:
        self.called_at.append(trio.current_time())
        act = self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]
        if isinstance(act, BaseException):
            raise act
        return act


def rate_limit(retry_after: float | None = None) -> ModelError:
    return ModelError("slow down", cause=Cause.RATE_LIMIT, retry_after=retry_after)


def malformed() -> json.JSONDecodeError:
    return json.JSONDecodeError("no value", "", 0)


def exhausted(
    script: Callable[[], Awaitable[object]],
    config: RetryConfig | None = None,
    validation_func: Callable[[object], bool] | None = None,
) -> tuple[RetriesExhausted, float]:
    """Return the error that `with_retry` ends with, and when it did."""

    async def main() -> tuple[RetriesExhausted, float]:
        with pytest.raises(RetriesExhausted) as caught:
            await with_retry(script, config or RetryConfig(), validation_func)
        return caught.value, trio.current_time()

    return run_seeded(main, seed=1)


def result_of(
    script: Callable[[], Awaitable[object]],
    config: RetryConfig | None = None,
    validation_func: Callable[[object], bool] | None = None,
) -> object:
    return run_seeded(
        with_retry, script, config or RetryConfig(), validation_func, seed=1
    )


def test_the_first_good_result_is_returned() -> None:
    script = Script(malformed(), "good")
    assert result_of(script) == "good"
    assert len(script.called_at) == 2


def test_the_error_is_typed_and_holds_every_attempt() -> None:
    script = Script(TimeoutError("late"), malformed(), rate_limit())
    error, _ = exhausted(script)
    assert isinstance(error, UnderstudyError)
    assert [attempt.number for attempt in error.attempts] == [1, 2, 3]
    assert [a.failure.mode for a in error.attempts if a.failure] == [
        FailureMode.TIMEOUT,
        FailureMode.MALFORMED_OUTPUT,
        FailureMode.RATE_LIMIT,
    ]
    assert [(a.started, a.ended) for a in error.attempts] == [(0, 0), (1, 1), (3, 3)]
    assert error.failure == error.attempts[-1].failure
    assert isinstance(error.__cause__, ModelError)


def test_the_error_says_what_happened_in_each_attempt() -> None:
    error, _ = exhausted(Script(TimeoutError("late"), rate_limit()))
    assert str(error) == (
        "Script failed in 3 attempts, and was given up since all 3 attempts failed "
        "(1: Script: late (timeout); 2: Script: slow down (rate_limit); "
        "3: Script: slow down (rate_limit))"
    )


def test_the_error_survives_pickling() -> None:
    error, _ = exhausted(Script(TimeoutError("late")))
    again = pickle.loads(pickle.dumps(error))
    assert again.attempts == error.attempts
    assert str(again) == str(error)


def test_a_call_over_its_time_is_cut_and_counts_as_a_timeout() -> None:
    cut: list[float] = []

    async def hangs() -> str:
        try:
            await trio.sleep_forever()
        finally:
            cut.append(trio.current_time())
        return "never"

    config = RetryConfig(max_attempts=2, timeout_seconds=5)
    error, end = exhausted(hangs, config)
    assert cut == [5.0, 11.0]
    assert end == 11.0
    assert error.failure.mode is FailureMode.TIMEOUT
    assert error.failure.message.endswith("hangs was not done after 5 s")


def test_a_result_that_comes_in_spite_of_the_cut_is_kept() -> None:
    async def shields_itself() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(9)
        return "late"

    assert result_of(shields_itself, RetryConfig(timeout_seconds=5)) == "late"


def test_what_is_not_in_retry_on_is_not_retried() -> None:
    script = Script(TimeoutError("late"))
    config = RetryConfig(retry_on=(FailureMode.RATE_LIMIT,))
    error, end = exhausted(script, config)
    assert len(script.called_at) == 1
    assert end == 0.0
    assert error.reason == "timeout is not in retry_on"


def test_an_error_of_the_code_itself_is_not_retried_unless_asked_for() -> None:
    script = Script(KeyError("a bug"))
    exhausted(script)
    assert len(script.called_at) == 1
    script = Script(KeyError("a bug"))
    exhausted(script, RetryConfig(retry_on=(FailureMode.UNEXPECTED,)))
    assert len(script.called_at) == 3


@pytest.mark.parametrize("cause", [Cause.AUTH, Cause.QUOTA, Cause.REFUSED])
def test_what_a_retry_cannot_help_is_never_retried(cause: Cause) -> None:
    script = Script(ModelError("no", cause=cause))
    exhausted(script, RetryConfig(retry_on=tuple(FailureMode)))
    assert len(script.called_at) == 1


@pytest.mark.parametrize("error", [TimeoutError("late"), malformed()])
def test_every_retried_mode_backs_off(error: Exception) -> None:
    script = Script(error)
    exhausted(script, RetryConfig(max_attempts=4))
    assert script.called_at == [0, 1, 3, 7]


def test_a_rate_limit_waits_two_powers_longer() -> None:
    script = Script(rate_limit())
    exhausted(script)
    assert script.called_at == [0, 4, 12]


def test_a_rate_limit_is_known_by_its_type_and_not_by_its_words() -> None:
    script = Script(ValueError("rate_limit"))
    error, _ = exhausted(script)
    assert error.failure.cause is Cause.STEP_ERROR
    assert len(script.called_at) == 1


def test_retry_after_is_obeyed_even_when_it_is_longer_than_any_backoff() -> None:
    script = Script(rate_limit(retry_after=90), rate_limit(retry_after=0.5), "good")
    assert result_of(script) == "good"
    assert script.called_at == [0, 90, 90.5]


def test_there_is_no_sleep_after_the_last_attempt() -> None:
    for error in (rate_limit(), TimeoutError("late"), malformed(), ValueError("no")):
        config = RetryConfig(max_attempts=1, retry_on=tuple(FailureMode))
        assert exhausted(Script(error), config)[1] == 0.0


def test_jitter_is_drawn_from_what_is_handed_in() -> None:
    async def main(draw: Callable[[], float]) -> list[float]:
        script = Script(TimeoutError("late"), "good")
        await with_retry(script, RetryConfig(jitter=0.5), draw=draw)
        return script.called_at

    assert run_seeded(main, lambda: 0.0, seed=1) == [0, 1]
    assert run_seeded(main, lambda: 0.5, seed=1) == [0, 1.25]


def test_a_result_that_is_not_valid_is_tried_again_after_a_wait() -> None:
    script = Script("bad", "good")
    assert result_of(script, validation_func=lambda x: x == "good") == "good"
    assert script.called_at == [0, 1]


def test_a_result_that_is_never_valid_is_malformed_output() -> None:
    def accepts(_: object) -> bool:
        return False

    error, _ = exhausted(Script("bad"), validation_func=accepts)
    assert error.failure.cause is Cause.SCHEMA
    assert "accepts does not accept what Script returned" in error.failure.message


def test_the_words_of_a_validator_that_raises_are_kept() -> None:
    def accepts(_: object) -> bool:
        raise ValueError("urgency is missing")

    error, _ = exhausted(Script("bad"), validation_func=accepts)
    assert error.failure.cause is Cause.SCHEMA
    assert error.failure.message.endswith("returned: urgency is missing")
    assert isinstance(error.__cause__, StepError)
    assert isinstance(error.__cause__.__cause__, ValueError)


def test_a_validator_that_names_the_cause_is_believed() -> None:
    def accepts(_: object) -> bool:
        raise StepError("the answer is an apology", cause=Cause.REFUSED)

    error, _ = exhausted(Script("sorry"), validation_func=accepts)
    assert error.failure.cause is Cause.REFUSED
    assert len(error.attempts) == 1


def test_an_async_validator_is_refused_and_not_taken_for_true() -> None:
    async def accepts(_: object) -> bool:
        return False

    async def main() -> None:
        with pytest.raises(ConfigError, match="accepts is async"):
            await with_retry(
                Script("bad"),
                validation_func=cast("Callable[[object], bool]", accepts),
            )

    run_seeded(main, seed=1)


def test_a_plain_function_is_refused_unless_a_thread_is_asked_for() -> None:
    calls: list[int] = []

    def plain() -> str:
        calls.append(1)
        return "good"

    async def main() -> None:
        with pytest.raises(ConfigError, match="plain returned a str"):
            await with_retry(cast("Callable[[], Awaitable[str]]", plain))

    run_seeded(main, seed=1)
    assert len(calls) == 1


def test_a_plain_function_runs_in_a_thread_when_asked_for() -> None:
    threads: list[int] = []

    def plain() -> str:
        threads.append(threading.get_ident())
        if len(threads) == 1:
            raise TimeoutError("late")
        return "good"

    async def main() -> str:
        return await with_retry(plain, RetryConfig(backoff_base=0), to_thread=True)

    assert run_seeded(main, seed=1, autojump=False) == "good"
    assert len(threads) == 2
    assert threading.get_ident() not in threads


def test_a_thread_over_its_time_is_left_alone_and_counts_as_a_timeout() -> None:
    release = threading.Event()

    async def main() -> None:
        with pytest.raises(RetriesExhausted) as caught:
            await with_retry(release.wait, RetryConfig(max_attempts=1), to_thread=True)
        assert caught.value.failure.mode is FailureMode.TIMEOUT
        release.set()

    run_seeded(main, seed=1)


def test_cancelling_passes_through_the_call_and_the_wait() -> None:
    async def main(script: Callable[[], Awaitable[object]]) -> None:
        with trio.move_on_after(0.5) as scope:
            await with_retry(script)
        assert scope.cancelled_caught
        assert trio.current_time() == 0.5

    run_seeded(main, trio.sleep_forever, seed=1)
    run_seeded(main, Script(TimeoutError("late")), seed=1)


def test_what_is_no_exception_passes_through() -> None:
    async def main() -> None:
        with pytest.raises(KeyboardInterrupt):
            await with_retry(Script(KeyboardInterrupt()))

    run_seeded(main, seed=1)


def test_a_failure_inside_a_nursery_is_classified_as_itself() -> None:
    async def calls_in_a_nursery() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Script(rate_limit(retry_after=7)))

    error, end = exhausted(calls_in_a_nursery, RetryConfig(max_attempts=2))
    assert error.failure.cause is Cause.RATE_LIMIT
    assert end == 7.0


def test_a_deadline_of_the_function_itself_is_a_timeout() -> None:
    async def slow() -> None:
        with trio.fail_after(2):
            await trio.sleep_forever()

    error, end = exhausted(slow)
    assert error.failure.mode is FailureMode.TIMEOUT
    assert end == 3 * 2 + 1 + 2


def test_a_partial_is_named_by_its_function() -> None:
    async def fetch(page: int) -> Sequence[int]:
        raise KeyError(page)

    error, _ = exhausted(partial(fetch, 3))
    assert error.name.endswith("fetch")

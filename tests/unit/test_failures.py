"""Names for what went wrong."""

from __future__ import annotations

import json
import pickle

import msgspec
import pytest

from understudy_protocols.errors import ConfigError, UnderstudyError
from understudy_protocols.failures import (
    AttemptRecord,
    Cause,
    Failure,
    FailureMode,
    ModelError,
    StepError,
    classify,
    described,
    failure_of,
    register_failure,
)

MODES = {
    FailureMode.RATE_LIMIT: {"rate_limit", "overloaded"},
    FailureMode.TIMEOUT: {"timeout"},
    FailureMode.MALFORMED_OUTPUT: {"malformed", "schema"},
    FailureMode.CONTENT_POLICY: {"refused", "filtered"},
}


def test_the_modes_are_the_five_of_old_with_their_values() -> None:
    assert {mode.name: mode.value for mode in FailureMode} == {
        "MALFORMED_OUTPUT": "malformed",
        "CONTENT_POLICY": "content_policy",
        "RATE_LIMIT": "rate_limit",
        "TIMEOUT": "timeout",
        "UNEXPECTED": "unexpected",
    }


def test_each_cause_belongs_to_one_mode() -> None:
    for mode in FailureMode:
        causes = {cause.value for cause in Cause if cause.mode is mode}
        if mode is FailureMode.UNEXPECTED:
            assert {"transport", "server", "conflict", "step_error"} <= causes
            assert {"quota", "auth", "bad_request", "budget", "model_gone"} <= causes
        else:
            assert causes == MODES[mode]


class _Odd(ValueError):
    pass


class _OddTimeout(_Odd, TimeoutError):
    pass


def _raised_by_json() -> Exception:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    return caught.value


def _raised_by_msgspec(content: bytes) -> Exception:
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(content, type=int)
    return caught.value


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (_raised_by_json(), Cause.MALFORMED),
        (_raised_by_msgspec(b"nope"), Cause.MALFORMED),
        (_raised_by_msgspec(b'"a"'), Cause.SCHEMA),
        (TimeoutError(), Cause.TIMEOUT),
        (_OddTimeout(), Cause.TIMEOUT),
        (ConnectionResetError(), Cause.TRANSPORT),
        (StepError("no", cause=Cause.REFUSED), Cause.REFUSED),
        (ModelError("no", cause=Cause.FILTERED), Cause.FILTERED),
        (ConfigError("no"), Cause.SETUP),
        (_Odd("no"), Cause.STEP_ERROR),
        (KeyboardInterrupt(), Cause.CANCELLED),
        (ExceptionGroup("two", [TimeoutError(), TimeoutError()]), Cause.TIMEOUT),
        (ExceptionGroup("two", [TimeoutError(), _Odd()]), Cause.STEP_ERROR),
    ],
)
def test_the_type_of_an_error_says_its_cause(
    error: BaseException, cause: Cause
) -> None:
    assert classify(error) is cause


@pytest.mark.parametrize(
    "words", ["rate_limit exceeded", "timeout", "content policy", "invalid json"]
)
def test_the_words_of_an_error_never_say_its_cause(words: str) -> None:
    assert classify(RuntimeError(words)) is Cause.STEP_ERROR


def test_content_policy_is_told_apart_from_malformed_output() -> None:
    error = ModelError("I cannot help with that", cause=Cause.REFUSED)
    assert failure_of(error).mode is FailureMode.CONTENT_POLICY


def test_the_nearest_registered_class_decides() -> None:
    class Base(Exception):
        pass

    class Derived(Base):
        pass

    register_failure(Base, Cause.QUOTA)
    assert classify(Derived()) is Cause.QUOTA
    register_failure(Derived, Cause.AUTH)
    assert (classify(Derived()), classify(Base())) == (Cause.AUTH, Cause.QUOTA)


def test_what_is_no_exception_can_be_registered_too() -> None:
    class Stop(BaseException):
        pass

    assert classify(Stop()) is Cause.CANCELLED
    register_failure(Stop, Cause.TIMEOUT)
    assert classify(Stop()) is Cause.TIMEOUT


def test_a_failure_is_one_sentence_with_place_words_and_cause() -> None:
    error = StepError("no answer in 30 s", cause=Cause.TIMEOUT)
    assert str(failure_of(error, where="extract")) == (
        "extract: no answer in 30 s (timeout)"
    )
    assert str(Failure.of(Cause.DOWN, "it is down")) == "it is down (down)"


def test_a_failure_keeps_what_the_error_knew() -> None:
    error = ModelError("slow down", cause=Cause.RATE_LIMIT, retry_after=7.5, model="m")
    assert Failure.from_error(error, "extract") == Failure(
        Cause.RATE_LIMIT, "slow down", "extract", "ModelError", 7.5
    )


def test_an_error_without_words_is_named_by_its_type() -> None:
    assert failure_of(TimeoutError()).message == "TimeoutError without a message"


def test_a_group_of_one_is_recorded_as_that_one() -> None:
    inner = StepError("slow", cause=Cause.RATE_LIMIT, retry_after=3.0)
    group = ExceptionGroup("nursery", [ExceptionGroup("nursery", [inner])])
    assert failure_of(group) == failure_of(inner)


def test_a_group_of_several_holds_the_failure_of_each() -> None:
    group = ExceptionGroup(
        "nursery",
        [
            StepError("a", cause=Cause.RATE_LIMIT, retry_after=3.0),
            StepError("b", cause=Cause.OVERLOADED, retry_after=5.0),
        ],
    )
    failure = failure_of(group, "extract")
    assert [inner.message for inner in failure.causes] == ["a", "b"]
    assert failure.retry_after == 5.0
    assert failure.cause is Cause.STEP_ERROR


def test_errors_keep_their_facts_through_pickle() -> None:
    error = ModelError(
        "no", cause=Cause.AUTH, retry_after=1.0, model="fast", code="401"
    )
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is ModelError
    assert copied.args == error.args
    assert (copied.cause, copied.retry_after) == (Cause.AUTH, 1.0)
    assert (copied.model, copied.code, str(copied)) == ("fast", "401", "no")
    assert isinstance(copied, UnderstudyError)


def test_a_failure_and_an_attempt_can_be_part_of_a_state() -> None:
    record = AttemptRecord(1, 0.0, 1.5, Failure.of(Cause.TIMEOUT, "late"))
    assert {record: 1}[record] == 1


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def test_an_error_that_cannot_say_what_it_is_has_a_failure_all_the_same() -> None:
    failure = failure_of(Speechless())
    assert failure.message == "Speechless, whose text raised RuntimeError"
    assert described(Speechless()) == f"Speechless: {failure.message}"

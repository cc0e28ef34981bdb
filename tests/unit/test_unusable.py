"""A reply that cannot be used says why, in words that can be read."""

from __future__ import annotations

import pytest

from understudy.models.unusable import WORDS_SHOWN, unusable
from understudy_protocols.chat import Finish, ModelReply
from understudy_protocols.failures import Cause, ModelError


def told(finish: Finish, raw: str = "", text: str = "", refusal: str = "") -> str:
    """Return what is said of a reply, without its name."""
    reply = ModelReply(text, finish=finish, raw_finish=raw, refusal=refusal)
    error = unusable(reply, "fast")
    assert isinstance(error, ModelError)
    assert error.cause is finish.cause
    assert error.partial == text
    assert error.model == "fast"
    return error.message


@pytest.mark.parametrize(
    ("raw", "text", "refusal", "said"),
    [
        ("stop", "I cannot.", "I cannot.", "the model refused to answer: I cannot."),
        (
            "refusal/cyber",
            "First you",
            "This is\nabout break-ins.",
            "the model refused to answer (cyber): This is about break-ins.",
        ),
        ("refusal", "", "", "the model refused to answer"),
        ("refusal", "No.", "", "the model refused to answer: No."),
    ],
)
def test_a_refusal_is_called_one_with_its_words(
    raw: str, text: str, refusal: str, said: str
) -> None:
    assert told(Finish.REFUSED, raw, text, refusal) == said


def test_of_a_long_refusal_the_beginning_is_said() -> None:
    said = told(Finish.REFUSED, "stop", refusal="no " * 1_000)
    assert len(said) <= len("the model refused to answer: ...") + WORDS_SHOWN
    assert said.endswith(" no...")


def test_other_ends_are_said_in_the_words_of_the_provider() -> None:
    assert told(Finish.TRUNCATED, "length") == "the model stopped with 'length'"
    assert told(Finish.FILTERED) == "the model stopped with 'filtered'"


def test_a_whole_answer_can_be_used() -> None:
    assert unusable(ModelReply("yes"), "fast") is None
    assert Finish.REFUSED.cause is Cause.REFUSED

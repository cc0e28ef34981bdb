"""What a provider's failure is: the table of statuses, codes and types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from understudy.providers.anthropic import AnthropicMessages
from understudy.providers.error_bodies import LONGEST_MESSAGE, told_by, told_by_body
from understudy.providers.openai_chat import OpenAIChat
from understudy.providers.openai_responses import OpenAIResponses
from understudy.providers.wire_errors import response_failure, told_failure
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.retry import NEVER_RETRIED

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
NO_HEADERS = dict[str, str]()


def openai(
    code: object = None, kind: str = "invalid_request_error", message: str = "no"
) -> Mapping[str, object]:
    error = {"message": message, "type": kind, "param": None, "code": code}
    return {"error": error}


def anthropic(kind: str, error_code: str = "") -> Mapping[str, object]:
    error: dict[str, object] = {"type": kind, "message": "no"}
    if error_code:
        error["details"] = {"error_code": error_code}
    return {"type": "error", "error": error, "request_id": "req_1"}


def failure(
    status: int, body: object = None, headers: Mapping[str, str] = NO_HEADERS
) -> ModelError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return response_failure(status, headers, data, NOW)


TABLE: list[tuple[int, object, Cause]] = [
    # The status alone.
    (400, b"", Cause.BAD_REQUEST),
    (401, b"", Cause.AUTH),
    (402, b"", Cause.QUOTA),
    (403, b"", Cause.AUTH),
    (404, b"", Cause.MODEL_GONE),
    (408, b"", Cause.TIMEOUT),
    (409, b"", Cause.CONFLICT),
    (410, b"", Cause.MODEL_GONE),
    (413, b"", Cause.TOO_LARGE),
    (414, b"", Cause.TOO_LARGE),
    (422, b"", Cause.BAD_REQUEST),
    (425, b"", Cause.BAD_REQUEST),
    (429, b"", Cause.RATE_LIMIT),
    (431, b"", Cause.TOO_LARGE),
    (499, b"", Cause.BAD_REQUEST),
    (500, b"", Cause.SERVER),
    (501, b"", Cause.BAD_REQUEST),
    (502, b"<html>Bad gateway</html>", Cause.SERVER),
    (503, b"", Cause.SERVER),
    (504, b"", Cause.TIMEOUT),
    (505, b"", Cause.BAD_REQUEST),
    (520, b"", Cause.SERVER),
    (529, b"", Cause.OVERLOADED),
    (300, b"", Cause.BAD_REQUEST),
    (307, b"", Cause.BAD_REQUEST),
    (418, b"", Cause.BAD_REQUEST),
    (204, b"", Cause.SERVER),
    # OpenAI.
    (401, openai("invalid_api_key"), Cause.AUTH),
    (401, openai(), Cause.AUTH),
    (403, openai("unsupported_country_region_territory"), Cause.AUTH),
    (404, openai("model_not_found"), Cause.MODEL_GONE),
    (404, openai(), Cause.MODEL_GONE),
    (400, openai("context_length_exceeded"), Cause.CONTEXT_TOO_LONG),
    (400, openai("content_policy_violation"), Cause.FILTERED),
    (400, openai("content_filter"), Cause.FILTERED),
    (400, openai("some_new_policy"), Cause.FILTERED),
    (400, openai("invalid_prompt"), Cause.BAD_REQUEST),
    (400, openai("unsupported_parameter"), Cause.BAD_REQUEST),
    (400, openai("string_above_max_length"), Cause.TOO_LARGE),
    (429, openai("rate_limit_exceeded", "tokens"), Cause.RATE_LIMIT),
    (429, openai("rate_limit_exceeded", "requests"), Cause.RATE_LIMIT),
    (429, openai("insufficient_quota", "insufficient_quota"), Cause.QUOTA),
    (429, openai(None, "insufficient_quota"), Cause.QUOTA),
    (429, openai("credit_balance_exhausted"), Cause.QUOTA),
    (429, openai("organization_spend_limit_exceeded"), Cause.QUOTA),
    (429, openai("project_spend_limit_exceeded"), Cause.QUOTA),
    (429, openai("organization_usage_limit_exceeded"), Cause.QUOTA),
    (429, openai("something_new", "something_new"), Cause.RATE_LIMIT),
    (500, openai(None, "server_error"), Cause.SERVER),
    (503, openai("slow_down", "server_error"), Cause.OVERLOADED),
    # Anthropic.
    (400, anthropic("invalid_request_error"), Cause.BAD_REQUEST),
    (401, anthropic("authentication_error"), Cause.AUTH),
    (402, anthropic("billing_error"), Cause.QUOTA),
    (403, anthropic("permission_error"), Cause.AUTH),
    (404, anthropic("not_found_error"), Cause.MODEL_GONE),
    (409, anthropic("conflict_error"), Cause.CONFLICT),
    (413, anthropic("request_too_large"), Cause.TOO_LARGE),
    (429, anthropic("rate_limit_error"), Cause.RATE_LIMIT),
    (429, anthropic("rate_limit_error", "ramp_limit_exceeded"), Cause.RATE_LIMIT),
    (429, anthropic("rate_limit_error", "contract_spend_limit_reached"), Cause.QUOTA),
    (429, anthropic("rate_limit_error", "enforced_spend_limit_reached"), Cause.QUOTA),
    (500, anthropic("api_error"), Cause.SERVER),
    (504, anthropic("timeout_error"), Cause.TIMEOUT),
    (529, anthropic("overloaded_error"), Cause.OVERLOADED),
    (503, anthropic("overloaded_error"), Cause.OVERLOADED),
    # What cannot succeed, reported as if it could.
    (500, openai("context_length_exceeded"), Cause.CONTEXT_TOO_LONG),
    (500, openai(), Cause.BAD_REQUEST),
    (500, openai("insufficient_quota"), Cause.QUOTA),
    (500, openai("data_residency_mismatch", "server_error"), Cause.BAD_REQUEST),
    (502, anthropic("authentication_error"), Cause.AUTH),
    (500, openai(400, "server_error"), Cause.BAD_REQUEST),
    (503, openai("404", "x"), Cause.MODEL_GONE),
    # And what can, whatever its type.
    (429, openai(None, "invalid_request_error"), Cause.RATE_LIMIT),
    (504, openai(None, "invalid_request_error"), Cause.TIMEOUT),
    (400, openai(500, "server_error"), Cause.BAD_REQUEST),
    # Servers that copy: llama.cpp, vLLM, Azure, Google, FastAPI, Ollama.
    (400, openai(400, "exceed_context_size_error"), Cause.CONTEXT_TOO_LONG),
    (500, {"object": "error", "code": 400, "type": "x"}, Cause.BAD_REQUEST),
    (404, {"error": {"code": "DeploymentNotFound"}}, Cause.MODEL_GONE),
    (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, Cause.RATE_LIMIT),
    (400, [{"error": {"status": "PERMISSION_DENIED"}}], Cause.AUTH),
    (404, {"detail": "Not Found"}, Cause.MODEL_GONE),
    (500, {"error": "model runner has stopped"}, Cause.SERVER),
    # What says nothing.
    (429, {"error": {"code": {}, "type": 7, "details": []}}, Cause.RATE_LIMIT),
    (500, [], Cause.SERVER),
    (500, "insufficient_quota", Cause.SERVER),
    (500, b"\xff", Cause.SERVER),
]


@pytest.mark.parametrize(("status", "body", "cause"), TABLE)
def test_the_status_codes_and_types_say_what_a_failure_is(
    status: int, body: object, cause: Cause
) -> None:
    assert failure(status, body).cause is cause


@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize(
    "words",
    ["insufficient_quota", "context_length_exceeded", "overloaded_error", "429"],
)
def test_the_words_of_a_message_never_say_what_a_failure_is(
    status: int, words: str
) -> None:
    assert failure(status, openai("x", "x", words)).cause is failure(status).cause


STREAMED = [
    ({"type": "overloaded_error", "message": "no"}, Cause.OVERLOADED),
    ({"type": "rate_limit_error"}, Cause.RATE_LIMIT),
    ({"type": "timeout_error"}, Cause.TIMEOUT),
    ({"type": "api_error"}, Cause.SERVER),
    ({"type": "invalid_request_error"}, Cause.BAD_REQUEST),
    ({"code": "rate_limit_exceeded"}, Cause.RATE_LIMIT),
    ({"code": "server_error"}, Cause.SERVER),
    ({"code": "vector_store_timeout"}, Cause.TIMEOUT),
    ({"code": "bio_policy"}, Cause.FILTERED),
    ({"code": "misalignment_policy_violation"}, Cause.FILTERED),
    ({"code": "image_content_policy_violation"}, Cause.FILTERED),
    ({"code": "invalid_image_url"}, Cause.BAD_REQUEST),
    ({"code": "image_parse_error"}, Cause.BAD_REQUEST),
    ({"code": "image_too_large"}, Cause.TOO_LARGE),
    ({"code": "failed_to_download_image"}, Cause.SERVER),
    ({"code": 429}, Cause.RATE_LIMIT),
    ({"code": 502}, Cause.SERVER),
    ({"code": 502, "type": "invalid_request_error"}, Cause.BAD_REQUEST),
    ({"code": "429"}, Cause.RATE_LIMIT),
    ({"code": 7}, Cause.SERVER),
    ("broken", Cause.SERVER),
    (None, Cause.SERVER),
]


@pytest.mark.parametrize(("error", "cause"), STREAMED)
def test_a_failure_within_a_stream_is_what_its_status_would_be(
    error: object, cause: Cause
) -> None:
    assert told_failure(told_by(error)).cause is cause


@pytest.mark.parametrize(
    ("status", "body", "said", "cause"),
    [
        (429, None, "false", Cause.QUOTA),
        (500, None, "false", Cause.BAD_REQUEST),
        (529, None, "False ", Cause.BAD_REQUEST),
        (408, None, "false", Cause.BAD_REQUEST),
        (400, None, "false", Cause.BAD_REQUEST),
        (401, None, "false", Cause.AUTH),
        (400, None, "true", Cause.SERVER),
        (500, openai(), "true", Cause.SERVER),
        (429, None, "true", Cause.RATE_LIMIT),
        (529, None, "true", Cause.OVERLOADED),
        (429, openai("insufficient_quota"), "true", Cause.QUOTA),
        (400, openai("context_length_exceeded"), "true", Cause.CONTEXT_TOO_LONG),
        (500, None, "perhaps", Cause.SERVER),
    ],
)
def test_the_provider_may_say_whether_a_retry_can_help_unless_its_code_says_more(
    status: int, body: object, said: str, cause: Cause
) -> None:
    error = failure(status, body, {"x-should-retry": said})
    assert error.cause is cause
    if said == "false":
        assert error.cause in NEVER_RETRIED


def test_a_failure_says_its_status_its_code_and_the_words_for_people() -> None:
    error = failure(429, openai("insufficient_quota", message="You  owe\nus."))
    assert str(error) == (
        "the provider answered with status 429 (insufficient_quota): You owe us."
    )
    assert error.code == "insufficient_quota"
    assert error.usage is None
    bare = failure(502, b"<html>")
    assert (str(bare), bare.code) == ("the provider answered with status 502", "502")


def test_a_failure_within_a_stream_says_its_code() -> None:
    error = told_failure(told_by({"code": 502, "message": "gone"}))
    assert str(error) == "the provider failed while it answered: gone"
    assert error.code == "502"


def test_a_long_message_is_cut() -> None:
    error = failure(400, openai(message="x" * 100_000))
    assert len(str(error)) < LONGEST_MESSAGE + 100


def test_a_body_may_say_plainly_what_happened() -> None:
    for body in ({"error": "gone"}, {"message": "gone"}, {"detail": "gone"}):
        assert told_by_body(json.dumps(body).encode()).message == "gone"
    assert told_by_body(b'{"detail": [{"msg": "gone"}]}').message == ""
    assert told_by("gone").message == "gone"


def test_the_wait_that_is_asked_for_is_kept() -> None:
    assert failure(429, None, {"retry-after": "7"}).retry_after == 7.0
    assert failure(503, None, {"retry-after-ms": "250"}).retry_after == 0.25
    later = {"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}
    assert failure(529, None, later).retry_after == 30.0
    assert failure(429).retry_after is None


@pytest.mark.parametrize(
    "codec", [OpenAIChat(), OpenAIResponses(), AnthropicMessages()]
)
def test_all_protocols_read_failures_alike(
    codec: OpenAIChat | OpenAIResponses | AnthropicMessages,
) -> None:
    for status, body, cause in TABLE:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        error = codec.failure(status, NO_HEADERS, data, NOW)
        assert error.cause is cause

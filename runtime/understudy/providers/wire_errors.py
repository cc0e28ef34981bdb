"""What a provider's failure is: from its status, codes and types, never its words.

A code says more than a type, and a type that names one thing more than a status.
Types that servers give to everything (``invalid_request_error``, ``api_error``)
count only where the status says no more than that the server failed: a request
that cannot be answered stays so, also if it is reported as 500.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from understudy.providers.error_bodies import Told, told_by_body
from understudy.providers.retry_after import may_retry, retry_after
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.retry import NEVER_RETRIED
from understudy_protocols.usage import Usage

_NAMES: Final[Mapping[Cause, str]] = {
    Cause.QUOTA: """
        insufficient_quota billing_error billing_not_active
        billing_hard_limit_reached credit_balance_exhausted quota_exceeded
        organization_spend_limit_exceeded project_spend_limit_exceeded
        organization_usage_limit_exceeded contract_spend_limit_reached
        enforced_spend_limit_reached""",
    Cause.RATE_LIMIT: """
        rate_limit_exceeded rate_limit_error rate_limit_reached ramp_limit_exceeded
        too_many_requests resource_exhausted""",
    Cause.OVERLOADED: """
        overloaded overloaded_error engine_overloaded engine_overloaded_error
        server_overloaded slow_down""",
    Cause.TIMEOUT: "timeout timeout_error request_timeout vector_store_timeout",
    Cause.CONFLICT: "conflict_error",
    Cause.CONTEXT_TOO_LONG: """
        context_length_exceeded context_window_exceeded exceed_context_size_error
        model_context_window_exceeded""",
    Cause.FILTERED: """
        content_filter content_filtered content_policy_violation
        responsible_ai_policy_violation bio_policy cyber_policy
        misalignment_policy_violation image_content_policy_violation""",
    Cause.AUTH: """
        authentication_error invalid_api_key invalid_authentication permission_error
        permission_denied unauthenticated unauthorized forbidden
        account_deactivated insufficient_permissions
        unsupported_country_region_territory""",
    Cause.MODEL_GONE: """
        model_not_found not_found_error deployment_not_found""",
    Cause.TOO_LARGE: """
        request_too_large payload_too_large string_above_max_length
        array_above_max_length image_too_large image_file_too_large""",
    Cause.BAD_REQUEST: """
        invalid_prompt data_residency_mismatch unsupported_parameter
        unsupported_value unknown_parameter missing_required_parameter invalid_value
        invalid_type invalid_json_schema invalid_function_parameters""",
}

_WEAK_NAMES: Final[Mapping[Cause, str]] = {
    Cause.BAD_REQUEST: """
        invalid_request_error invalid_request bad_request bad_request_error
        invalid_argument unprocessable_entity_error not_implemented_error
        not_supported_error unsupported_image_media_type invalid_image
        invalid_image_format invalid_image_mode invalid_image_url
        invalid_base64_image empty_image_file image_file_not_found
        image_parse_error image_too_small""",
    Cause.SERVER: "server_error api_error internal_server_error internal_error",
}

_STATUSES: Final[Mapping[int, Cause]] = {
    401: Cause.AUTH,
    402: Cause.QUOTA,
    403: Cause.AUTH,
    404: Cause.MODEL_GONE,
    408: Cause.TIMEOUT,
    409: Cause.CONFLICT,
    410: Cause.MODEL_GONE,
    413: Cause.TOO_LARGE,
    414: Cause.TOO_LARGE,
    429: Cause.RATE_LIMIT,
    431: Cause.TOO_LARGE,
    501: Cause.BAD_REQUEST,
    504: Cause.TIMEOUT,
    505: Cause.BAD_REQUEST,
    529: Cause.OVERLOADED,
}


def response_failure(
    status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> ModelError:
    """Return what a response means that is no success.

    Args:
      headers: by lower-case names.
      now: with a time zone.
    """
    told = told_by_body(body)
    cause = _obeying(may_retry(headers), _cause(status, told), _named(told, _STRONG))
    return _error(
        f"the provider answered with status {status}",
        told,
        cause,
        code=_code(told) or str(status),
        wait=retry_after(headers, now),
    )


def told_failure(told: Told, usage: Usage | None = None) -> ModelError:
    """Return what a failure means that comes with a success, or in a stream.

    Args:
      usage: what the provider says that it cost.
    """
    said = "the provider failed while it answered"
    return _error(said, told, _cause(500, told), code=_code(told), usage=usage)


def _cause(status: int, told: Told) -> Cause:
    named = _named(told, _STRONG)
    if named is not None:
        return named
    if status >= 500 and told.status is not None:
        status = told.status  # the server passes on what another one said
    by_status = _by_status(status)
    if by_status is Cause.SERVER:
        return _named(told, _WEAK) or by_status
    return by_status


def _by_status(status: int) -> Cause:
    if status in _STATUSES:
        return _STATUSES[status]
    # A success that is a failure all the same is the server's.
    return Cause.BAD_REQUEST if 300 <= status < 500 else Cause.SERVER


def _obeying(may: bool | None, cause: Cause, named: Cause | None) -> Cause:
    """Return *cause*, or the nearest one that is as retryable as the provider says.

    A code that names what no retry can help is believed before a header.
    """
    if may is None or may is (cause not in NEVER_RETRIED):
        return cause
    if may:
        return cause if named is not None else Cause.SERVER
    return Cause.QUOTA if cause is Cause.RATE_LIMIT else Cause.BAD_REQUEST


def _named(told: Told, names: Mapping[str, Cause]) -> Cause | None:
    for word in map(_plain, told.words):
        if word in names:
            return names[word]
        if names is _STRONG and "policy" in word:
            return Cause.FILTERED
    return None


def _plain(word: str) -> str:
    """Return *word* without what servers write in different ways."""
    return word.lower().replace("_", "").replace("-", "")


def _index(names: Mapping[Cause, str]) -> dict[str, Cause]:
    return {
        _plain(word): cause for cause, line in names.items() for word in line.split()
    }


_STRONG: Final = _index(_NAMES)
_WEAK: Final = _index(_WEAK_NAMES)


def _code(told: Told) -> str:
    return told.words[0] if told.words else str(told.status or "")


def _error(
    said: str,
    told: Told,
    cause: Cause,
    *,
    code: str,
    wait: float | None = None,
    usage: Usage | None = None,
) -> ModelError:
    word = f" ({told.words[0]})" if told.words else ""
    message = f": {told.message}" if told.message else ""
    return ModelError(
        f"{said}{word}{message}", cause=cause, retry_after=wait, code=code, usage=usage
    )

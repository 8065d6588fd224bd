"""What every answer of OpenAI's has: headers, and the body of an error."""

from __future__ import annotations

from typing import Any

from weaver_ai.testing.fakes.providers.ids import Ids

__all__ = ["error", "headers"]

_ERROR_TYPES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def headers(ids: Ids) -> dict[str, str]:
    return {
        "x-request-id": ids.of("req_", 32),
        "openai-version": "2020-10-01",
        "openai-organization": "org-weaver-tests",
        "openai-processing-ms": "41",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "1999100",
    }


def error(status: int, message: str, kind: str | None = None) -> dict[str, Any]:
    """The body of an error; `kind` replaces the error type that goes with the status."""
    usual, code = _ERROR_TYPES.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind or usual, "param": None, "code": code}}

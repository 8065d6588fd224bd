"""What every error looks like: RFC 9457, a stable type, the ids, and nothing of the inside."""

from __future__ import annotations

from typing import Any

import httpx2

_INTERNALS = ("Traceback", "site-packages", ".py", "pydantic_ai", "httpx2.", "0x7f")


def assert_problem(
    response: httpx2.Response, status: int, code: str, *, retry_after: str | None = None
) -> dict[str, Any]:
    """The response is this problem, whole; returns its body."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["type"]) == (status, f"urn:weaver:problem:{code}"), body
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["trace_id"] == response.headers["traceparent"].split("-")[1]
    assert response.headers.get("retry-after") == retry_after
    assert body["error"]["code"] == code
    assert [each for each in _INTERNALS if each in response.text] == []
    return body

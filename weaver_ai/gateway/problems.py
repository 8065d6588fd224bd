"""Every error as RFC 9457 `application/problem+json`, with a stable type.

A problem also carries an `error` object in OpenAI's shape, so that the `openai` client raises its own
exception with a readable message, and it never carries a traceback, a provider's body or the value that
failed validation. Statuses are decided in docs/decisions/0301-problem-statuses.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from opentelemetry import trace
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from weaver_ai import errors
from weaver_ai.telemetry.validation import message_of

__all__ = [
    "MEDIA_TYPE",
    "FieldProblem",
    "OpenAIError",
    "Problem",
    "ProblemResponse",
    "openai_type",
    "problem_of",
    "type_uri",
]

MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:weaver:problem:"

CLIENT_CLOSED_REQUEST = 499
"""Nobody reads it: the status of a request whose client left, in logs, spans and metrics (nginx's convention)."""

_STATUS: Mapping[type[errors.WeaverError], int] = {
    errors.InvalidInput: 422,
    errors.CapabilityNotFound: 404,
    errors.TaskNotFound: 404,
    errors.IdempotencyConflict: 409,
    errors.QueueFull: 429,
    errors.Draining: 503,
    errors.EngineUnavailable: 503,
    errors.MissingExtra: 501,
    errors.RunTimeout: 504,
    errors.UsageLimitReached: 422,
    errors.RunCancelled: 503,
    errors.DeadlineExceeded: 504,
    errors.StepChanged: 500,
    errors.WorkerLost: 500,
    errors.RunFailed: 500,
    errors.ProviderTimeout: 504,
    errors.ProviderRateLimited: 429,
    errors.ProviderUnavailable: 502,
    errors.ProviderUnreachable: 503,
    errors.ProviderRejected: 502,
    errors.ContextWindowExceeded: 422,
    errors.ProviderInvalidResponse: 502,
    errors.ProviderError: 502,
    errors.WeaverError: 500,
}
# The same request would fail the same way: the `openai` and `anthropic` clients stop retrying when they are told.
_FINAL = (errors.ProviderRejected, errors.UsageLimitReached, errors.MissingExtra, errors.IdempotencyConflict)

_HTTP: Mapping[int, tuple[str, str]] = {
    400: ("bad-request", "Bad request"),
    401: ("unauthenticated", "Authentication required"),
    403: ("forbidden", "Forbidden"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
    406: ("not-acceptable", "Not acceptable"),
    408: ("request-timeout", "Request timeout"),
    413: ("body-too-large", "Request body too large"),
    415: ("unsupported-media-type", "Unsupported media type"),
    422: ("invalid-input", "Invalid input"),
    429: ("too-many-requests", "Too many requests"),
    CLIENT_CLOSED_REQUEST: ("client-closed-request", "Client closed the request"),
    500: ("internal-error", "Internal error"),
    501: ("not-implemented", "Not implemented"),
    503: ("unavailable", "Unavailable"),
}
_NAMED_FIELDS = 3
"""How many wrong fields the detail names; `errors` lists them all."""

_OF_A_PATH = "/:@!$&'()*+,;=~"  # what a path may hold unescaped besides letters, digits and "-._" (RFC 3986)
_INTERNAL_DETAIL = "The server failed in a way it didn't expect; the request id finds it in logs and traces."


def type_uri(code: str) -> str:
    """The `type` of the problems with this code; see docs/gateway.md, "Problems"."""
    return _TYPE_PREFIX + code


class FieldProblem(BaseModel):
    """One thing that is wrong with the request."""

    location: str = Field(description="Where, dotted: `body.input`, `query.wait`.", examples=["body.input"])
    message: str = Field(description="What is wrong there; never the value itself.", examples=["Field required"])
    type: str = Field(description="The kind of failure, as pydantic names it.", examples=["missing"])


class OpenAIError(BaseModel):
    """The same error as OpenAI's API would say it."""

    message: str
    type: str = Field(examples=["invalid_request_error"])
    code: str = Field(description="The last segment of the problem's `type`.", examples=["invalid-input"])
    param: str | None = None


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:weaver:problem:agent-not-found",
                    "title": "Agent not found",
                    "status": 404,
                    "detail": "no agent is named 'biling'",
                    "instance": "/v1/agents/biling/run",
                    "request_id": "5f0c3f4e9f0b4f0e8a7d7c1c2b3a4d5e",
                    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                    "hint": "did you mean 'billing'?",
                    "error": {
                        "message": "no agent is named 'biling' (did you mean 'billing'?)",
                        "type": "invalid_request_error",
                        "code": "agent-not-found",
                        "param": None,
                    },
                }
            ]
        }
    )

    type: str = Field(description="Stable; what a program decides by.")
    title: str = Field(description="The same for every problem of the type.")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What was wrong this time, for a person.")
    instance: str | None = Field(default=None, description="The path that was asked for, percent-encoded.")
    request_id: str | None = Field(default=None, description="The `X-Request-ID` of the response.")
    trace_id: str | None = Field(default=None, description="The trace to look at; absent when telemetry is off.")
    hint: str | None = Field(default=None, description="What the caller can do.")
    retry_after: float | None = Field(default=None, description="Seconds after which a retry is worth it.")
    errors: list[FieldProblem] | None = Field(default=None, description="Each part of the request that is wrong.")
    error: OpenAIError

    @property
    def code(self) -> str:
        return self.error.code


@dataclass(frozen=True, slots=True)
class Described:
    """A problem and the headers that belong to its response."""

    problem: Problem
    headers: Mapping[str, str]


class ProblemResponse(Response):
    """The response of a problem; `described` comes from `problem_of`."""

    media_type = MEDIA_TYPE

    def __init__(self, described: Described) -> None:
        body = described.problem.model_dump_json(exclude_none=True)
        super().__init__(body, status_code=described.problem.status, headers=dict(described.headers))


def problem_of(error: BaseException, scope: Scope, *, known_fields: Sequence[str] = ()) -> Described:
    """Say `error`, raised while `scope` was served, as a problem.

    Anything that isn't one of Weaver's or Starlette's errors becomes `internal-error` without its text.

    Args:
        error: what was raised.
        scope: the ASGI scope of the request.
        known_fields: the fields of the request's body, to guess what an unknown one should have been.
    """
    if isinstance(error, errors.WeaverError):
        return _of_weaver_error(error, scope)
    if isinstance(error, RequestValidationError):
        return _of_validation(error, scope, known_fields)
    if isinstance(error, HTTPException):
        return _of_http_exception(error, scope)
    return _build(scope, 500, "internal-error", "Internal error", _INTERNAL_DETAIL)


def status_of(error: errors.WeaverError) -> int:
    """The HTTP status of an error; a subclass that isn't listed has its nearest ancestor's."""
    return next(_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS)


def _of_weaver_error(error: errors.WeaverError, scope: Scope) -> Described:
    headers = {"x-should-retry": "false"} if isinstance(error, _FINAL) else {}
    return _build(
        scope,
        status_of(error),
        error.code,
        error.title,
        error.message,
        hint=error.hint,
        retry_after=error.retry_after,
        headers=headers,
    )


def _of_http_exception(error: HTTPException, scope: Scope) -> Described:
    status = error.status_code
    generic = (
        ("bad-request", "Bad request")
        if status < HTTPStatus.INTERNAL_SERVER_ERROR
        else ("internal-error", "Internal error")
    )
    code, title = _HTTP.get(status, generic)
    detail, hint = str(error.detail), None
    if status == HTTPStatus.NOT_FOUND and detail == "Not Found":
        detail, hint = "nothing is served at this path", "GET / lists what is"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{scope['method']} isn't allowed here"
    return _build(scope, status, code, title, detail, hint=hint, headers=error.headers or {})


def _of_validation(error: RequestValidationError, scope: Scope, known_fields: Sequence[str]) -> Described:
    found = [_field_problem(each, known_fields) for each in error.errors()]
    if any(_is_malformed(each) for each in error.errors()):
        detail = f"the body isn't valid JSON: {found[0].message}"
        return _build(scope, 400, "malformed-json", "Malformed JSON", detail, found=found)
    detail = "; ".join(f"{each.location}: {each.message}" for each in found[:_NAMED_FIELDS])
    if len(found) > _NAMED_FIELDS:
        detail += f"; and {len(found) - _NAMED_FIELDS} more"
    return _build(scope, 422, errors.InvalidInput.code, errors.InvalidInput.title, detail, found=found)


def _field_problem(error: Mapping[str, Any], known_fields: Sequence[str]) -> FieldProblem:
    location = [str(part) for part in error["loc"]]
    message = message_of(error)
    if error["type"] == "extra_forbidden":
        message = _unknown_field(location[-1], known_fields)
    elif _is_malformed(error):
        message, location = str(error["ctx"]["error"]), location[:1]
    return FieldProblem(location=".".join(location), message=message, type=error["type"])


def _is_malformed(error: Mapping[str, Any]) -> bool:
    """Whether it is the body that isn't JSON, for which FastAPI's place is a number; not a text in it."""
    place = error["loc"][1:]
    return error["type"] == "json_invalid" and len(place) == 1 and isinstance(place[0], int)


def _unknown_field(name: str, known_fields: Sequence[str]) -> str:
    import difflib  # noqa: PLC0415 # only a misspelt request pays for it

    close = difflib.get_close_matches(name, known_fields, n=1, cutoff=0.7)
    return f"unknown field; did you mean {close[0]!r}?" if close else "unknown field"


def _build(
    scope: Scope,
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    hint: str | None = None,
    retry_after: float | None = None,
    found: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Described:
    sent = dict(headers or {})
    if retry_after is not None:
        sent["retry-after"] = str(math.ceil(retry_after))
    problem = Problem(
        type=type_uri(code),
        title=title,
        status=status,
        detail=detail,
        instance=quote(scope.get("path", ""), safe=_OF_A_PATH),
        request_id=scope.get("state", {}).get("request_id"),
        trace_id=current_trace_id(),
        hint=hint,
        retry_after=retry_after,
        errors=found,
        error=OpenAIError(
            message=f"{detail} ({hint})" if hint else detail,
            type=openai_type(status),
            code=code,
            param=_param(found[0].location) if found else None,
        ),
    )
    return Described(problem, sent)


def _param(location: str) -> str | None:
    """The field, as OpenAI names it; the body as a whole is none."""
    return None if location == "body" else location.removeprefix("body.")


def current_trace_id() -> str | None:
    """The id of the trace that the current context is part of, as 32 hexadecimal digits."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def openai_type(status: int) -> str:
    """The `error.type` that OpenAI's API has with this status."""
    named = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    return named.get(status, "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error")

"""Problems: each error has its status, its type and its headers, and none says what it must not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.exceptions import RequestValidationError
from opentelemetry.sdk.trace import TracerProvider
from starlette.exceptions import HTTPException

from weaver_ai import errors
from weaver_ai.gateway.problems import ProblemResponse, problem_of, status_of, type_uri

SCOPE = {"type": "http", "method": "POST", "path": "/v1/agents/billing/run", "state": {"request_id": "r-1"}}


def _all_errors() -> list[type[errors.WeaverError]]:
    return [getattr(errors, name) for name in errors.__all__]


def _made(kind: type[errors.WeaverError]) -> errors.WeaverError:
    return kind("a feature", "redis") if kind is errors.MissingExtra else kind("what was wrong")  # type: ignore[call-arg]


def test_a_problem_in_full() -> None:
    error = errors.AgentNotFound("no agent 'biling'", hint="did you mean 'billing'?")
    described = problem_of(error, SCOPE)
    assert json.loads(ProblemResponse(described).body) == {
        "type": "urn:weaver:problem:agent-not-found",
        "title": "Agent not found",
        "status": 404,
        "detail": "no agent 'biling'",
        "instance": "/v1/agents/billing/run",
        "request_id": "r-1",
        "hint": "did you mean 'billing'?",
        "error": {
            "message": "no agent 'biling' (did you mean 'billing'?)",
            "type": "invalid_request_error",
            "code": "agent-not-found",
        },
    }
    assert ProblemResponse(described).headers["content-type"] == "application/problem+json"


def test_a_problem_names_the_current_trace() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("request") as span:
        problem = problem_of(errors.TaskNotFound("no task 't-1'"), SCOPE).problem
    assert problem.trace_id == f"{span.get_span_context().trace_id:032x}"


STATUSES = {
    "internal-error": 500,
    "invalid-settings": 500,
    "missing-extra": 501,
    "invalid-target": 500,
    "invalid-registration": 500,
    "invalid-input": 422,
    "capability-not-found": 404,
    "agent-not-found": 404,
    "workflow-not-found": 404,
    "task-not-found": 404,
    "idempotency-conflict": 409,
    "queue-full": 429,
    "draining": 503,
    "engine-unavailable": 503,
    "run-failed": 500,
    "run-timeout": 504,
    "usage-limit-reached": 422,
    "run-cancelled": 503,
    "deadline-exceeded": 504,
    "step-changed": 500,
    "worker-lost": 500,
    "provider-error": 502,
    "provider-timeout": 504,
    "provider-rate-limited": 429,
    "provider-unavailable": 502,
    "provider-unreachable": 503,
    "provider-rejected": 502,
    "context-window-exceeded": 422,
    "provider-invalid-response": 502,
}


def test_every_error_has_the_documented_status() -> None:
    assert {kind.code: status_of(_made(kind)) for kind in _all_errors()} == STATUSES


def test_every_code_is_one_error_only() -> None:
    codes = [kind.code for kind in _all_errors()]
    assert sorted(codes) == sorted(set(codes))


def test_an_error_of_the_application_has_its_ancestors_status() -> None:
    class OutOfCredit(errors.ProviderRejected):
        code = "out-of-credit"

    described = problem_of(OutOfCredit("no credit left"), SCOPE)
    assert (described.problem.status, described.problem.type) == (502, type_uri("out-of-credit"))


def test_a_retry_is_told_in_the_body_and_in_whole_seconds_in_the_header() -> None:
    described = problem_of(errors.ProviderRateLimited("slow down", retry_after=1.2), SCOPE)
    assert (described.problem.retry_after, described.headers) == (1.2, {"retry-after": "2"})


def test_a_retry_after_nothing_is_still_told() -> None:
    described = problem_of(errors.QueueFull("full", retry_after=0), SCOPE)
    assert (described.problem.retry_after, described.headers) == (0, {"retry-after": "0"})


@pytest.mark.parametrize("kind", [errors.ProviderRejected, errors.IdempotencyConflict])
def test_what_would_fail_again_tells_clients_not_to_retry(kind: type[errors.WeaverError]) -> None:
    assert problem_of(_made(kind), SCOPE).headers == {"x-should-retry": "false"}


def test_an_unexpected_error_says_nothing_of_itself() -> None:
    described = problem_of(RuntimeError("password=hunter2 in /srv/secret.py"), SCOPE)
    assert described.problem.status == 500
    assert "hunter2" not in described.problem.model_dump_json()
    assert "secret.py" not in described.problem.model_dump_json()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad-request"),
        (401, "unauthenticated"),
        (403, "forbidden"),
        (404, "not-found"),
        (405, "method-not-allowed"),
        (406, "not-acceptable"),
        (408, "request-timeout"),
        (413, "body-too-large"),
        (415, "unsupported-media-type"),
        (418, "bad-request"),
        (429, "too-many-requests"),
        (499, "client-closed-request"),
        (500, "internal-error"),
        (501, "not-implemented"),
        (503, "unavailable"),
        (507, "internal-error"),
    ],
)
def test_starlettes_errors_have_types_too(status: int, code: str) -> None:
    problem = problem_of(HTTPException(status, "why"), SCOPE).problem
    assert (problem.status, problem.type) == (status, type_uri(code))


def test_the_headers_of_an_http_exception_are_kept() -> None:
    assert problem_of(HTTPException(405, headers={"Allow": "GET"}), SCOPE).headers == {"Allow": "GET"}


def _validation(*found: dict[str, object]) -> RequestValidationError:
    return RequestValidationError(list(found))


def test_validation_names_the_places_and_never_the_values() -> None:
    error = _validation(
        {"type": "missing", "loc": ("body", "input"), "msg": "Field required", "input": {"secret": "hunter2"}},
        {"type": "string_type", "loc": ("body", "items", 0), "msg": "Input should be a string", "input": "hunter2"},
    )
    problem = problem_of(error, SCOPE).problem
    assert problem.detail == "body.input: Field required; body.items.0: Input should be a string"
    assert problem.errors is not None
    assert [each.model_dump() for each in problem.errors] == [
        {"location": "body.input", "message": "Field required", "type": "missing"},
        {"location": "body.items.0", "message": "Input should be a string", "type": "string_type"},
    ]
    assert problem.error.param == "input"
    assert "hunter2" not in problem.model_dump_json()


def test_a_misspelt_field_is_guessed() -> None:
    error = _validation({"type": "extra_forbidden", "loc": ("body", "imput"), "msg": "Extra", "input": 1})
    problem = problem_of(error, SCOPE, known_fields=["input", "metadata"]).problem
    assert problem.detail == "body.imput: unknown field; did you mean 'input'?"


def test_a_strange_field_is_not_guessed() -> None:
    error = _validation({"type": "extra_forbidden", "loc": ("body", "zzz"), "msg": "Extra", "input": 1})
    assert problem_of(error, SCOPE, known_fields=["input"]).problem.detail == "body.zzz: unknown field"


def test_many_wrong_fields_are_counted_in_the_detail_and_listed_in_errors() -> None:
    found = [{"type": "missing", "loc": ("body", str(n)), "msg": "Field required", "input": {}} for n in range(5)]
    problem = problem_of(_validation(*found), SCOPE).problem
    assert problem.detail.endswith("body.2: Field required; and 2 more")
    assert problem.errors is not None
    assert len(problem.errors) == 5


def test_malformed_json_says_where() -> None:
    error = _validation(
        {
            "type": "json_invalid",
            "loc": ("body", 0),
            "msg": "JSON decode error",
            "ctx": {"error": "expected value at line 1 column 8"},
        }
    )
    problem = problem_of(error, SCOPE).problem
    assert (problem.status, problem.type) == (400, type_uri("malformed-json"))
    assert problem.errors is not None
    assert (problem.errors[0].location, problem.errors[0].message) == ("body", "expected value at line 1 column 8")


def test_a_text_that_should_have_been_json_is_a_field_that_does_not_fit() -> None:
    error = _validation(
        {
            "type": "json_invalid",
            "loc": ("body", "input", "extra"),
            "msg": "Invalid JSON: expected value at line 1 column 1",
            "input": "x",
            "ctx": {"error": "expected value at line 1 column 1"},
        }
    )
    problem = problem_of(error, SCOPE).problem
    assert (problem.status, problem.type) == (422, type_uri("invalid-input"))
    assert problem.detail == "body.input.extra: Invalid JSON: expected value at line 1 column 1"


def test_the_documentation_lists_every_problem_with_its_status() -> None:
    page = (Path(__file__).parents[3] / "docs" / "gateway.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    documented = {
        code: int(row[2])
        for row in rows
        if row[2].strip().isdecimal()
        for code in row[1].replace("`", "").replace(",", " ").split()
    }
    at_start = {"invalid-settings", "invalid-target", "invalid-registration"}  # a server that serves has none of them
    assert {code: status for code, status in STATUSES.items() if code not in at_start}.items() <= documented.items()
    by_http = {"malformed-json", "unauthenticated", "not-found", "method-not-allowed", "not-acceptable"} | {
        "body-too-large",
        "unsupported-media-type",
        "unavailable",
    }
    assert documented.keys() == STATUSES.keys() - at_start | by_http

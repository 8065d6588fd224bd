"""What a request leaves in its trace and in the log when something goes wrong."""

from __future__ import annotations

import pytest

from tests.integration.gateway.conftest import Served
from weaver_ai.testing import Logs, Spans

STREAM = {"accept": "text/event-stream"}


def test_a_bug_in_the_gateway_is_on_the_span_and_in_the_log(
    spans: Spans, logs: Logs, gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("weaver_ai.gateway.routes.agents.catalogue", broken)
    response = gateway.client.get("/v1/agents", headers={"x-request-id": "r-1"})
    server = spans.wait.one("GET /v1/agents", kind="server")
    assert server.trace_id == response.json()["trace_id"]
    assert server.status.code == "error"
    assert server.attributes["weaver.problem.type"] == "internal-error"
    assert server.attributes["weaver.request.id"] == "r-1"
    assert [event.attributes["exception.type"] for event in server.events] == ["ZeroDivisionError"]
    log = logs.one("request failed unexpectedly", severity="error")
    assert log.trace_id == server.trace_id
    assert log.attributes["weaver.request.id"] == "r-1"
    assert log.attributes["url.path"] == "/v1/agents"
    assert log.attributes["exception.type"] == "ZeroDivisionError"


def test_a_failure_in_mid_stream_marks_the_span_whose_status_line_said_200(spans: Spans, gateway: Served) -> None:
    gateway.client.post("/v1/workflows/fail/run", json={"input": "hi"}, headers=STREAM)
    server = spans.wait.one("POST /v1/workflows/{name}/run", kind="server")
    assert server.attributes["http.response.status_code"] == 200
    assert (server.status.code, server.attributes["error.type"]) == ("error", "run-failed")
    assert server.attributes["weaver.problem.type"] == "run-failed"


def test_a_request_that_does_not_fit_tells_where_and_not_what(spans: Spans, gateway: Served) -> None:
    gateway.client.post("/v1/agents/echo/run", json={"imput": "hunter2"})
    server = spans.wait.one("POST /v1/agents/{name}/run", kind="server")
    assert server.status.code == "unset"
    assert server.attributes["weaver.validation.error_count"] == 2
    assert "hunter2" not in str(server.attributes)


def test_probes_are_not_traced(spans: Spans, gateway: Served) -> None:
    for path in ("/health", "/ready", "/metrics", "/"):
        gateway.client.get(path)
    spans.wait.one("GET /", kind="server")
    assert [span.name for span in spans.all(kind="server")] == ["GET /"]

"""A provider that fails: each way has its status and its type, and nothing of the provider gets out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.provider_answers import Answer, Hangs, Malformed, Reset, Status, Structured, Truncated, status
from tests.fixtures.provider_server import ProviderServer
from tests.fixtures.traced import Caller, ancestors, children, named
from tests.integration.service import sse
from tests.integration.service.conftest import provider_key
from tests.integration.service.problem import assert_problem

pytest_plugins = ["tests.fixtures.providers"]

SAYS = f"Account of ada@example.com over its limit; key {provider_key()[:40]} was used."

FAULTS = [
    pytest.param(status(429, retry_after=7, message=SAYS), 429, "provider-rate-limited", "7", id="429"),
    pytest.param(status(429, message=SAYS), 429, "provider-rate-limited", None, id="429 without Retry-After"),
    pytest.param(status(500, message=SAYS), 502, "provider-unavailable", None, id="500"),
    pytest.param(status(503, retry_after=3, message=SAYS), 502, "provider-unavailable", "3", id="503"),
    pytest.param(status(529, message=SAYS), 502, "provider-unavailable", None, id="529"),
    pytest.param(status(401, message=SAYS), 502, "provider-rejected", None, id="401"),
    pytest.param(status(404, message=SAYS), 502, "provider-rejected", None, id="404"),
    pytest.param(status(400, message=SAYS), 502, "provider-rejected", None, id="400"),
    pytest.param(Malformed(), 502, "provider-invalid-response", None, id="malformed JSON"),
    pytest.param(Malformed('{"object": "surprise"}'), 502, "provider-invalid-response", None, id="another JSON"),
    pytest.param(
        Malformed("<html>busy</html>", "text/html"), 502, "provider-invalid-response", None, id="a proxy's page"
    ),
    pytest.param(Truncated(), 503, "provider-unreachable", None, id="truncated"),
    pytest.param(Reset(), 503, "provider-unreachable", None, id="reset"),
    pytest.param(Reset(midway=True), 503, "provider-unreachable", None, id="reset in the body"),
    pytest.param(Hangs(), 504, "provider-timeout", None, id="hangs"),
]


def assert_failed_trace(trace: Any, agent: str, http_status: int, code: str) -> None:
    """The failure stands on the model call, on the agent's run and on the server's span; the provider's words don't."""
    spans = trace.spans
    chat = named(spans, "chat *")[-1]
    assert chat.status.code == "error", trace.shape()
    run = trace.one(f"invoke_agent {agent}")
    assert run.status.code == "error", trace.shape()
    assert run in ancestors(spans, chat)
    server = trace.server()
    assert server.attributes["http.response.status_code"] == http_status
    assert server.attributes["weaver.problem.type"] == code
    assert server.status.code == ("error" if http_status >= 500 else "unset")
    everything = str([(span.name, span.attributes, span.events, span.status) for span in spans])
    assert provider_key()[:40] not in everything


@pytest.mark.parametrize(("fault", "http_status", "code", "retry_after"), FAULTS)
def test_openai_fails(
    desk: Caller, provider_server: ProviderServer, fault: Answer, http_status: int, code: str, retry_after: str | None
) -> None:
    provider_server.openai.replies(fault)
    response, trace = desk.post("/v1/agents/plain/run", {"input": "hi"})
    assert_problem(response, http_status, code, retry_after=retry_after)
    assert "ada@example.com" not in response.text
    assert len(provider_server.openai.requests) == 1
    assert_failed_trace(trace, "plain", http_status, code)


@pytest.mark.parametrize(("fault", "http_status", "code", "retry_after"), FAULTS)
def test_anthropic_fails(
    anthropic_service: Caller,
    provider_server: ProviderServer,
    fault: Answer,
    http_status: int,
    code: str,
    retry_after: str | None,
) -> None:
    provider_server.anthropic.replies(fault)
    response, trace = anthropic_service.post("/v1/agents/billing/run", {"input": "hi"})
    assert_problem(response, http_status, code, retry_after=retry_after)
    assert "ada@example.com" not in response.text
    assert len(provider_server.anthropic.requests) == 1
    assert_failed_trace(trace, "billing", http_status, code)


def test_a_refused_connection(desk: Caller) -> None:
    response, trace = desk.post("/v1/agents/lonely/run", {"input": "hi"})
    assert_problem(response, 503, "provider-unreachable")
    assert_failed_trace(trace, "lonely", 503, "provider-unreachable")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (status(429, message=SAYS), "provider-rate-limited"),
        (Malformed(), "provider-invalid-response"),
        (Truncated(), "provider-unreachable"),
        (Reset(midway=True), "provider-unreachable"),
        (Hangs(midway=True), "provider-timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_stream_that_breaks_ends_with_a_problem(
    desk: Caller, anthropic_service: Caller, provider_server: ProviderServer, vendor: str, fault: Answer, code: str
) -> None:
    service, agent = (desk, "plain") if vendor == "openai" else (anthropic_service, "billing")
    getattr(provider_server, vendor).replies(fault)
    response, trace = service.post(f"/v1/agents/{agent}/run", {"input": "hi"}, headers={"accept": "text/event-stream"})
    assert response.status_code == 200
    events = sse.read(response)
    assert events[0].name == "run.started"
    assert (events[-1].name, events[-1].data["type"]) == ("error", f"urn:weaver:problem:{code}")
    assert "run.finished" not in [event.name for event in events]
    assert events[-1].data["trace_id"] == trace.trace_id
    assert "ada@example.com" not in response.text
    assert trace.one(f"invoke_agent {agent}").status.code == "error"


def test_a_stream_of_openais_api_that_breaks_ends_with_an_error(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(Reset(midway=True))
    body = {"model": "plain", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    response, _ = desk.post("/v1/chat/completions", body)
    events = sse.read(response)
    assert events[-1].data["error"]["code"] == "provider-unreachable"


def test_output_that_never_fits_is_the_providers_failure(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.always(Structured({"team": 7}))
    response, trace = desk.post("/v1/agents/judge/run", {"input": "hi"})
    assert_problem(response, 502, "provider-invalid-response")
    assert len(provider_server.openai.requests) > 1
    assert trace.one("invoke_agent judge").status.code == "error"


def test_a_workflows_step_that_fails_fails_the_workflow(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(Structured({"team": "plain", "urgent": True}), status(529))
    response, trace = desk.post("/v1/workflows/route/run", {"input": "hi"})
    assert_problem(response, 502, "provider-unavailable")
    workflow = trace.one("workflow route")
    assert workflow.status.code == "error"
    assert [(span.name, span.status.code) for span in children(trace.spans, workflow)] == [
        ("invoke_agent judge", "unset"),
        ("invoke_agent plain", "error"),
    ]


def test_a_failed_task_has_the_same_code(desk: Caller, provider_server: ProviderServer) -> None:
    from tests.integration.service.test_tasks import finished

    provider_server.openai.replies(status(429, retry_after=7))
    response, _ = desk.post("/v1/tasks", {"capability": "plain", "input": "hi"})
    error = finished(desk, response.headers["location"])["error"]
    assert (error["code"], error["retry_after"]) == ("provider-rate-limited", 7)


def test_a_tool_that_raises_is_no_providers_failure(desk: Caller, provider_server: ProviderServer) -> None:
    from tests.fixtures.provider_answers import tool_call
    from tests.integration.service.desk import SECRET_WORD

    provider_server.openai.replies(tool_call("explode", order=7), "Done.")
    response, trace = desk.post("/v1/agents/clerk/run", {"input": "hi"})
    assert_problem(response, 500, "run-failed")
    assert SECRET_WORD not in response.text
    tool = trace.one("execute_tool explode")
    assert tool.status.code == "error"
    assert SECRET_WORD not in str([(span.attributes, span.events, span.status) for span in trace.spans])


# Fallback models


@pytest.mark.parametrize(
    "fault", [Status(500, message=SAYS), Status(429), Malformed(), Reset(), Hangs()], ids=lambda fault: repr(fault)[:20]
)
def test_a_fallback_model_answers(desk: Caller, provider_server: ProviderServer, fault: Answer) -> None:
    provider_server.openai.replies(fault)
    provider_server.anthropic.replies("From the other one.")
    response, trace = desk.post("/v1/agents/reliable/run", {"input": "hi"})
    body = response.json()
    assert response.status_code == 200, body
    assert body["text"] == "From the other one."
    assert (body["model"], body["provider"]) == ("claude-haiku-4-5", "anthropic")
    assert len(provider_server.openai.requests) == len(provider_server.anthropic.requests) == 1
    spans = trace.spans
    call = trace.one("chat *")
    attempt = trace.one("model request attempt *")
    assert attempt in children(spans, call), trace.shape()
    assert (attempt.attributes["gen_ai.provider.name"], attempt.status.code) == ("openai", "error")
    assert (call.attributes["gen_ai.provider.name"], call.status.code) == ("anthropic", "unset")
    assert trace.one("invoke_agent reliable").status.code == "unset"
    assert "gen_ai.usage.input_tokens" not in attempt.attributes
    assert call.attributes["gen_ai.usage.output_tokens"] == provider_server.anthropic.usage.output
    http = [span for span in spans if span.kind == "client" and "http.request.method" in span.attributes]
    assert [str(span.attributes["url.full"]).rpartition("/")[2] for span in http] == ["responses", "messages"]
    assert http[0].end is not None
    assert http[0].end <= http[1].start
    assert provider_key()[:40] not in str([(span.attributes, span.events, span.status) for span in spans])
    assert trace.server().attributes["http.response.status_code"] == 200


def test_when_every_model_fails_the_most_hopeful_failure_counts(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(status(401, message=SAYS))
    provider_server.anthropic.replies(status(429, retry_after=5, message=SAYS))
    response, trace = desk.post("/v1/agents/reliable/run", {"input": "hi"})
    body = assert_problem(response, 429, "provider-rate-limited", retry_after="5")
    assert body["detail"].startswith("all 2 models failed")
    assert "ada@example.com" not in response.text
    assert trace.one("invoke_agent reliable").status.code == "error"


def test_a_fallback_in_a_stream(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(status(500))
    provider_server.anthropic.replies("From the other one.")
    response, _ = desk.post("/v1/agents/reliable/run", {"input": "hi"}, headers={"accept": "text/event-stream"})
    events = sse.read(response)
    assert events[-1].name == "run.finished"
    assert events[-1].data["text"] == "From the other one."


# Retries


def test_the_providers_client_retries_as_often_as_the_settings_say(
    openai_service: Caller, provider_server: ProviderServer
) -> None:
    provider_server.openai.replies(status(500), "At last.")
    response, trace = openai_service.post("/v1/agents/billing/run", {"input": "hi"})
    assert response.json()["text"] == "At last."
    assert len(provider_server.openai.requests) == 2
    assert len(named(trace.spans, "chat *")) == 1
    http = [span for span in trace.spans if span.kind == "client" and "http.request.method" in span.attributes]
    assert [span.attributes["http.response.status_code"] for span in http] == [500, 200], trace.shape()

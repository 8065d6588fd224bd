"""WEAVER_TELEMETRY_INBOUND_TRACE over real HTTP: the gateway, a task, and what reaches the provider."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.fixtures.otlp_receiver import OtlpReceiver
from tests.fixtures.provider_server import ProviderServer
from tests.fixtures.traced import Caller
from tests.integration.service.conftest import StartGateway, provider_env

pytest_plugins = ["tests.fixtures.providers"]


@pytest.mark.parametrize("mode", ["continue", "link"])
def test_a_trace_that_comes_in(
    mode: str, start_gateway: StartGateway, receiver: OtlpReceiver, provider_server: ProviderServer
) -> None:
    env = {**receiver.env, **provider_env(provider_server, "openai"), "WEAVER_TELEMETRY_INBOUND_TRACE": mode}
    gateway = start_gateway(env)
    body = {"capability": "support", "input": "Please refund order 7, it arrived broken."}
    response, trace = Caller(gateway, receiver).post("/v1/tasks", body, headers={"baggage": "user=mallory"})
    assert response.status_code == 202, response.text
    task = _finished(gateway, response.json()["task_id"])

    own_trace_id = response.headers["traceparent"].split("-")[1]
    assert (own_trace_id == trace.trace_id) is (mode == "continue")
    assert task["trace_id"] == own_trace_id
    spans = receiver.whole_trace(own_trace_id, trace.span_id if mode == "continue" else None, 30)
    by_name = {span.name: span for span in spans}
    server, submit, run = (by_name[name] for name in ("POST /v1/tasks", "submit support", "task support"))
    assert submit.parent_id == server.span_id
    assert run.parent_id == submit.span_id
    links = [(link.trace_id, link.span_id) for link in server.links]
    assert (server.parent_id, links) == (
        (trace.span_id, []) if mode == "continue" else (None, [(trace.trace_id, trace.span_id)])
    )
    assert "mallory" not in str(spans)

    sent = provider_server.openai.requests
    assert sent
    for request in sent:
        assert request.headers["traceparent"].split("-")[1] == own_trace_id
        assert "baggage" not in request.headers
        assert "mallory" not in str(request.headers)


def _finished(gateway: Any, task_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        task: dict[str, Any] = gateway.get(f"/v1/tasks/{task_id}").json()
        if task["state"] not in ("queued", "running"):
            return task
        time.sleep(0.05)
    raise AssertionError(f"not finished: {task}")

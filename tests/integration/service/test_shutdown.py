"""SIGTERM drains: readiness drops, work ends, telemetry leaves, within a limit. A client that leaves ends its run."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.fixtures.gateway import Gateway
from tests.fixtures.otlp_receiver import OtlpReceiver
from tests.fixtures.provider_answers import Hangs, Slow
from tests.fixtures.provider_server import ProviderServer
from tests.fixtures.traced import Caller, Trace
from tests.integration.service import sse
from tests.integration.service.problem import assert_problem

pytest_plugins = ["tests.fixtures.providers"]

DESK = "tests.integration.service.desk:weaver"
NEVER = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_BLRP_SCHEDULE_DELAY": "600000"}
"""No batch leaves by itself: what arrives was flushed."""


@pytest.fixture
def own_receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


@pytest.fixture
def background() -> Iterator[Callable[..., Future[Any]]]:
    """Call something in a thread; the future has what came of it."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


def running(service: Caller, count: int) -> None:
    """Wait until that many requests are being served."""
    deadline = time.monotonic() + 10
    needle = "http_server_active_requests{"
    while time.monotonic() < deadline:
        lines = [line for line in service.gateway.get("/metrics").text.splitlines() if line.startswith(needle)]
        if sum(float(line.rpartition(" ")[2]) for line in lines) >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"never {count} requests at a time")


def test_sigterm_drains(own_receiver: OtlpReceiver, start_gateway, background) -> None:
    gateway: Gateway = start_gateway({**own_receiver.env, **NEVER}, DESK)
    service = Caller(gateway, own_receiver)
    run = background(service.post, "/v1/workflows/sleep/run", {"input": 1.5})
    streamed = background(
        service.post, "/v1/workflows/sleep/run", {"input": 1.4}, headers={"accept": "text/event-stream"}
    )
    task, task_trace = service.post("/v1/tasks", {"capability": "sleeping", "input": 1.4})
    events = background(service.get, f"{task.headers['location']}/events")
    running(service, 3)
    assert own_receiver.spans == []

    gateway.terminate()
    time.sleep(0.3)
    ready = gateway.get("/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert gateway.get("/health").status_code == 200
    refused, _ = service.post("/v1/workflows/sleep/run", {"input": 0})
    assert_problem(refused, 503, "draining", retry_after="1")
    refused, _ = service.post("/v1/tasks", {"capability": "sleeping", "input": 0})
    assert_problem(refused, 503, "draining", retry_after=refused.headers["retry-after"])

    response, trace = run.result(10)
    assert (response.status_code, response.json()["output"]) == (200, "slept 1.5 s")
    assert [event.name for event in sse.read(streamed.result(10)[0])][-1] == "run.finished"
    assert [event.name for event in sse.read(events.result(10)[0])][-1] == "task.succeeded"
    assert gateway.wait(10) == 0
    assert "Traceback" not in gateway.output
    drained = gateway.lines_with("INFO drain")
    assert len(drained) == 2
    assert [line for line in drained if "weaver.request.id" in line or "trace=" in line] == []  # of no request
    assert trace.one("workflow sleep").status.code == "unset"
    assert task_trace.wait_for("task sleeping")


def test_the_grace_has_an_end(own_receiver: OtlpReceiver, start_gateway, background) -> None:
    env = {**own_receiver.env, **NEVER, "WEAVER_SHUTDOWN_GRACE_SECONDS": "1"}
    gateway: Gateway = start_gateway(env, DESK)
    service = Caller(gateway, own_receiver)
    run = background(service.post, "/v1/workflows/sleep/run", {"input": 60})
    task, task_trace = service.post("/v1/tasks", {"capability": "sleeping", "input": 60})
    events = background(service.get, f"{task.headers['location']}/events")
    running(service, 2)
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 30  # the work would take a minute
    response, trace = run.result(5)
    assert_problem(response, 503, "draining", retry_after="1")
    last = sse.read(events.result(5)[0])[-1]
    assert (last.name, last.data["code"]) == ("task.cancelled", "draining")
    assert trace.one("workflow sleep").status.code == "error"
    assert task_trace.wait_for("task sleeping")
    assert "Traceback" not in gateway.output


def test_sigint_ends_it_too(start_gateway) -> None:
    gateway: Gateway = start_gateway({})
    gateway.process.send_signal(signal.SIGINT)
    assert gateway.wait(10) == 0
    assert "Traceback" not in gateway.output


# A client that leaves


def leave(service: Caller, path: str, body: Any, after: float) -> Trace:
    """Send a request, and close the connection `after` seconds."""
    trace = service.trace()
    timeout = httpx2.Timeout(10, read=after)
    with httpx2.Client(base_url=service.gateway.url, timeout=timeout, trust_env=False) as client:
        with pytest.raises(httpx2.ReadTimeout):
            client.post(path, json=body, headers={"traceparent": trace.traceparent})
    return trace


def test_a_client_that_leaves_ends_its_run(desk: Caller) -> None:
    trace = leave(desk, "/v1/workflows/sleep/run", {"input": 60}, 0.4)
    workflow = trace.one("workflow sleep")
    assert workflow.duration is not None
    assert workflow.duration < 5
    assert trace.server().attributes["http.response.status_code"] == 499


def test_a_client_that_leaves_ends_the_call_to_the_provider(
    openai_service: Caller, provider_server: ProviderServer
) -> None:
    provider_server.openai.replies(Hangs())
    trace = leave(openai_service, "/v1/agents/billing/run", {"input": "hi"}, 0.4)
    provider_server.openai.wait_for(lambda requests: bool(requests) and requests[0].abandoned, 5)
    assert trace.one("chat *").end is not None


@pytest.mark.parametrize("path", ["/v1/agents/billing/run", "/v1/chat/completions"])
def test_a_reader_of_a_stream_who_leaves_ends_the_run(
    openai_service: Caller, provider_server: ProviderServer, path: str
) -> None:
    provider_server.openai.replies(Slow("A long, long, long, long, long story.", between=0.15))
    trace = openai_service.trace()
    body: dict[str, Any] = {"input": "hi"}
    if path.endswith("completions"):
        body = {"model": "billing", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    headers = {"accept": "text/event-stream", "traceparent": trace.traceparent}
    with openai_service.gateway.client.stream("POST", path, json=body, headers=headers) as stream:
        events = sse.events_of(stream.iter_lines())
        next(event for event in events if event.name == "text.delta" or "long" in str(event.data))
    provider_server.openai.wait_for(lambda requests: bool(requests) and requests[0].abandoned, 5)
    run = trace.one("invoke_agent billing")
    assert run.duration is not None
    assert run.duration < 3
    assert [span.name for span in trace.spans if span.attributes.get("operation.cost") == 0] == []  # unknown, not free
    server = trace.server()
    assert (server.status.code, server.attributes["http.response.status_code"]) == ("unset", 200)
    assert server.attributes["weaver.problem.type"] == "client-closed-request"
    assert "error.type" not in server.attributes


def test_a_task_goes_on_when_its_client_leaves(desk: Caller) -> None:
    from tests.integration.service.test_tasks import finished

    response, _ = desk.post("/v1/tasks", {"capability": "sleeping", "input": 0.6})
    location = response.headers["location"]
    with desk.gateway.client.stream("GET", f"{location}/events") as stream:
        next(sse.events_of(stream.iter_lines()))
    assert finished(desk, location)["state"] == "succeeded"


def test_a_run_that_takes_too_long_is_ended(own_receiver: OtlpReceiver, start_gateway) -> None:
    gateway: Gateway = start_gateway({**own_receiver.env, "WEAVER_RUN_TIMEOUT_SECONDS": "0.3"}, DESK)
    service = Caller(gateway, own_receiver)
    response, trace = service.post("/v1/workflows/sleep/run", {"input": 60})
    assert_problem(response, 504, "run-timeout")
    workflow = trace.one("workflow sleep")
    assert (workflow.status.code, workflow.attributes["error.type"]) == ("error", "run-timeout")

"""Logfire, plain OpenTelemetry or nothing: the same spans from the first two, and telemetry never costs a request."""

from __future__ import annotations

import site
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.gateway import ROOT, Gateway
from tests.fixtures.otlp_receiver import OtlpReceiver
from tests.fixtures.provider_server import ClosedPort
from tests.fixtures.traced import Caller, children
from tests.integration.service.problem import assert_problem
from tests.integration.service.test_tasks import finished
from weaver_ai.spans.model import Span

pytest_plugins = ["tests.fixtures.providers"]

REFUND = {"input": "refund order 7"}
MISSING = "Logfire not available - install with: pip install 'weaver-ai[logfire]'"
LOGFIRES = ("logfire",)


@pytest.fixture
def own_receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


@pytest.fixture(scope="module")
def without_logfire(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, by links, of the installed packages, without Logfire: neither its modules nor its metadata."""
    packages = tmp_path_factory.mktemp("packages")
    for folder in map(Path, site.getsitepackages()):
        for entry in folder.iterdir() if folder.is_dir() else ():  # Debian's Python names a folder that isn't there
            name = entry.name.partition("-")[0].partition(".")[0]
            if name not in LOGFIRES and entry.suffix != ".pth" and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    return packages


@pytest.fixture(scope="module")
def plain(without_logfire: Path, receiver: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A gateway where Logfire isn't installed."""
    command = [sys.executable, "-S", "-m", "weaver_ai", "serve"]
    env = {**receiver.env, "PYTHONPATH": f"{ROOT}:{without_logfire}"}
    with Gateway(tmp_path_factory.mktemp("plain"), env, command=command) as gateway:
        yield Caller(gateway, receiver)


def test_without_logfire_one_line_says_so(plain: Caller) -> None:
    assert len(plain.gateway.lines_with("Logfire not available")) == 1
    assert MISSING in plain.gateway.output
    assert "opentelemetry" in next(iter(plain.gateway.lines_with("telemetry  ")))
    health = plain.gateway.get("/health").json()
    assert (health["status"], health["telemetry_enabled"]) == ("healthy", True)


with_and_without = pytest.mark.skipif(find_spec("logfire") is None, reason="compares Logfire with plain OpenTelemetry")


@with_and_without
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/workflows/support/run", REFUND),
        ("POST", "/v1/agents/technical/run", {"input": "how is checkout?"}),
        ("POST", "/v1/agents/nobody/run", REFUND),
        ("POST", "/v1/agents/billing/run", {"inptu": "hi"}),
        (
            "POST",
            "/v1/chat/completions",
            {"model": "billing", "messages": [{"role": "user", "content": "refund order 7"}]},
        ),
        ("GET", "/v1/agents", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_both_backends_give_the_same_spans(
    keyless: Caller, plain: Caller, method: str, path: str, body: dict[str, Any] | None
) -> None:
    with_logfire, without = (shape(service(method, path, body)[1].spans) for service in (keyless, plain))
    assert without == with_logfire


@with_and_without
def test_both_backends_give_the_same_spans_of_a_task(keyless: Caller, plain: Caller) -> None:
    shapes = []
    for service in (keyless, plain):
        response, trace = service.post("/v1/tasks", {"capability": "support", **REFUND})
        finished(service, response.headers["location"])
        shapes.append(shape(trace.wait_for("task support")))
    assert shapes[0] == shapes[1]


def shape(spans: Sequence[Span]) -> list[str]:
    """The tree, a line a span and a line an attribute, without what differs from run to run or by backend."""
    known = {span.span_id for span in spans}

    def lines(span: Span, indent: str) -> Iterator[str]:
        yield f"{indent}{span.name} [{span.kind}, {span.scope.name}, {span.status.code}, {span.status.description}]"
        yield f"{indent}  events: {[event.name for event in span.events]}, links: {len(span.links)}"
        for key in sorted(span.attributes):
            if not own(key):
                yield f"{indent}  {key}={stable(key, span.attributes[key])}"
        for child in children(spans, span):
            yield from lines(child, f"{indent}    ")

    return [line for span in spans if span.parent_id not in known for line in lines(span, "")]


def own(key: str) -> bool:
    """Whether an attribute is Logfire's own bookkeeping."""
    return key.startswith("logfire.")


def stable(key: str, value: Any) -> Any:
    changing = ("id", "port", "address", "messages", "time_to_first_chunk", "body")
    if any(key.endswith((f".{word}", f"_{word}")) for word in changing):
        return "changes"
    return value


# Off


def test_disabled_telemetry_sends_nothing_and_serves_all(own_receiver: OtlpReceiver, start_gateway) -> None:
    gateway: Gateway = start_gateway({**own_receiver.env, "WEAVER_TELEMETRY_ENABLED": "false"})
    health = gateway.get("/health").json()
    assert (health["status"], health["telemetry_enabled"], health["components"]["telemetry"]["state"]) == (
        "healthy",
        False,
        "off",
    )
    assert gateway.get("/ready").json()["telemetry"] is False
    ran = gateway.post("/v1/workflows/support/run", REFUND)
    assert (ran.status_code, ran.json()["trace_id"]) == (200, None)
    assert ran.headers["x-request-id"]
    lost = gateway.post("/v1/agents/nobody/run", REFUND)
    assert lost.status_code == 404
    assert "trace_id" not in lost.json()
    assert gateway.get("/metrics").status_code == 200
    assert gateway.stop() == 0
    assert own_receiver.bodies == []
    assert gateway.lines_with("invoke_agent") == []


# A backend that is dead or slow


def durations(gateway: Gateway, count: int) -> list[float]:
    found = []
    for _ in range(count):
        began = time.monotonic()
        assert gateway.post("/v1/workflows/support/run", REFUND).status_code == 200
        found.append(time.monotonic() - began)
    return sorted(found)


def test_a_slow_backend_slows_no_request(own_receiver: OtlpReceiver, start_gateway, keyless: Caller) -> None:
    own_receiver.holds = 3.0
    env = {**own_receiver.env, "OTEL_BSP_MAX_QUEUE_SIZE": "64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16"}
    gateway: Gateway = start_gateway({**env, "WEAVER_SHUTDOWN_GRACE_SECONDS": "2"})
    usual = durations(keyless.gateway, 10)
    slow = durations(gateway, 40)
    assert slow[20] < 5 * usual[5] + 0.2
    assert slow[-1] < 2.5
    metrics = gateway.get("/metrics").text
    dropped = [line for line in metrics.splitlines() if line.startswith("weaver_telemetry_export_dropped")]
    assert sum(float(line.rpartition(" ")[2]) for line in dropped) > 0
    health = gateway.get("/health").json()
    assert (health["status"], health["components"]["telemetry"]["state"]) == ("degraded", "degraded")
    own_receiver.holds = 0.0  # lets the gateway end


def test_a_refusing_backend_is_said_once_and_heals(own_receiver: OtlpReceiver, start_gateway) -> None:
    own_receiver.refuses = 400
    gateway: Gateway = start_gateway(own_receiver.env)
    for _ in range(5):
        assert gateway.post("/v1/workflows/support/run", REFUND).status_code == 200
        time.sleep(0.1)
    gateway.wait_for_line("export of traces fails")
    health = gateway.get("/health").json()
    assert (health["status"], health["components"]["telemetry"]["state"]) == ("degraded", "degraded")
    assert health["components"]["telemetry"]["reason"]
    assert len(gateway.lines_with("export of traces fails")) == 1
    own_receiver.refuses = None
    _, trace = Caller(gateway, own_receiver).post("/v1/workflows/support/run", REFUND)
    assert trace.one("workflow support").status.code == "unset"
    deadline = time.monotonic() + 5
    while gateway.get("/health").json()["status"] != "healthy" and time.monotonic() < deadline:
        gateway.post("/v1/agents/nobody/run", REFUND)  # something to export, logs included
        time.sleep(0.1)
    assert gateway.get("/health").json()["status"] == "healthy"


def test_a_dead_backend_fails_no_request_and_does_not_hold_the_end_up(start_gateway, closed_port: ClosedPort) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": closed_port.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    gateway: Gateway = start_gateway({**env, "OTEL_EXPORTER_OTLP_TIMEOUT": "1", "WEAVER_SHUTDOWN_GRACE_SECONDS": "3"})
    assert durations(gateway, 20)[-1] < 2
    assert_problem(gateway.post("/v1/agents/nobody/run", REFUND), 404, "agent-not-found")
    gateway.wait_for_line("export of traces fails")
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 9


# What the settings say, seen from outside; production's console is in test_secrets


def test_development_shows_each_trace_as_a_tree(keyless: Caller) -> None:
    keyless.post("/v1/workflows/support/run", REFUND)
    assert "└─ invoke_agent billing" in keyless.gateway.wait_for_line("invoke_agent billing")
    keyless.gateway.get("/health")
    assert keyless.gateway.lines_with("/health") == keyless.gateway.lines_with("  look ")
    assert "\x1b[" not in keyless.gateway.output


def test_staging_under_another_name_with_inbound_traces_linked(own_receiver: OtlpReceiver, start_gateway) -> None:
    gateway: Gateway = start_gateway(
        {
            **own_receiver.env,
            "WEAVER_TELEMETRY_SERVICE_NAME": "shop-agents",
            "WEAVER_TELEMETRY_ENVIRONMENT": "staging",
            "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=shop",
            "WEAVER_TELEMETRY_INBOUND_TRACE": "link",
            "WEAVER_TELEMETRY_TRACE_HEALTH": "true",
        }
    )
    response, trace = Caller(gateway, own_receiver).get("/health")
    assert response.json()["service"] == "shop-agents"
    own_trace_id = response.headers["traceparent"].split("-")[1]
    assert own_trace_id != trace.trace_id
    root = next(span for span in own_receiver.whole_trace(own_trace_id) if span.parent_id is None)
    assert root.name == "GET /health"
    assert [(link.trace_id, link.span_id) for link in root.links] == [(trace.trace_id, trace.span_id)]
    assert root.resource["service.name"] == "shop-agents"
    assert root.resource["deployment.environment.name"] == "staging"
    assert root.resource["service.namespace"] == "shop"
    assert root.resource["service.version"]
    assert gateway.lines_with("GET /health")

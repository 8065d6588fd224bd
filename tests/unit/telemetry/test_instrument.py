"""What `instrument_all` instruments, with providers of the test; see the contract suite for whole processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import fakeredis
import httpx
import httpx2
import pytest
from fastapi import FastAPI
from pydantic_ai import Agent
from redis.exceptions import ResponseError

from tests.unit.telemetry.conftest import Captured
from weaver_ai.telemetry import fastapi_telemetry, instrument, instrument_all, runtime, start_span, uninstrument_all
from weaver_ai.telemetry.off_backend import OffTelemetry

KEY = "sk-" + "proj-" + "a1b2c3d4" * 4
ALL = ("httpx", "httpx2", "redis", "redis-pool", "system-metrics", "pydantic-ai")


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    yield
    uninstrument_all()


def untouched() -> list[Any]:
    return [
        httpx.HTTPTransport.handle_request,
        httpx.AsyncHTTPTransport.handle_async_request,
        httpx2.HTTPTransport.handle_request,
        httpx2.AsyncHTTPTransport.handle_async_request,
        fakeredis.FakeRedis.execute_command,
        Agent._instrument_default,
    ]


def test_once_and_undone(captured: Captured) -> None:
    before = untouched()
    telemetry = instrument_all()
    assert (telemetry.instrumented, dict(telemetry.skipped)) == (ALL, {})
    instrumented = untouched()
    instrument_all()
    assert untouched() == instrumented != before
    uninstrument_all()
    assert untouched() == before
    assert telemetry.instrumented == ()


def test_what_is_not_installed_is_skipped_with_the_reason(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = instrument.importlib.util.find_spec
    missing = {"redis", "psutil"}
    monkeypatch.setattr(
        instrument.importlib.util, "find_spec", lambda name: None if name in missing else find_spec(name)
    )
    telemetry = instrument_all()
    assert telemetry.instrumented == ("httpx", "httpx2", "pydantic-ai")
    assert dict(telemetry.skipped) == {
        "redis": "redis is not installed",
        "redis-pool": "redis is not installed",
        "system-metrics": "psutil is not installed",
    }


def test_with_telemetry_off_nothing_is_touched(restored: None) -> None:
    runtime.make_current(OffTelemetry())
    before = untouched()
    assert instrument_all(FastAPI()).name == "off"
    assert untouched() == before
    assert fastapi_telemetry() == {
        "tracing": False,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
    }


@pytest.mark.parametrize("trace_health", [False, True])
def test_an_applications_health_endpoints_are_left_out(capture: Callable[..., Captured], trace_health: bool) -> None:
    capture(telemetry_trace_health=trace_health)
    app = FastAPI()
    assert "fastapi" in instrument_all(app).instrumented
    exclude = app._telemetry["exclude"]
    if trace_health:
        assert exclude is None
    else:
        assert exclude is not None
        assert [exclude({"path": path}) for path in ("/health", "/ready", "/metrics", "/", "/healthy")] == [
            True,
            True,
            True,
            False,
            False,
        ]


def test_an_applications_own_choice_stays(captured: Captured) -> None:
    app = FastAPI(telemetry={"exclude": lambda scope: False})
    mine = app._telemetry["exclude"]
    instrument_all(app)
    assert app._telemetry["exclude"] is mine


def test_another_framework_is_skipped(captured: Captured) -> None:
    telemetry = instrument_all(SimpleNamespace())
    assert telemetry.skipped["fastapi"] == "SimpleNamespace does not trace itself; FastAPI does since 0.165"


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_transport_of_the_callers_own_bypasses_the_instrumentation(library: Any, captured: Captured) -> None:
    instrument_all()
    transport = library.MockTransport(lambda request: library.Response(200))
    with start_span("caller"), library.Client(transport=transport) as client:
        assert client.get("http://provider.test/").status_code == 200
    assert [span.name for span in captured.spans] == ["caller"]


@pytest.mark.parametrize("capture_payloads", [False, True])
def test_redis_commands_without_values_and_with_their_key_if_payloads_are_captured(
    capture: Callable[..., Captured], capture_payloads: bool
) -> None:
    captured = capture(telemetry_capture_payloads=capture_payloads)
    instrument_all()
    client = fakeredis.FakeRedis()
    with start_span("caller"):
        client.hset(f"name {KEY}", "password", "hunter2")
    client.close()
    (span, _) = captured.spans
    attributes = dict(span.attributes or {})
    assert span.name == "HSET"
    assert attributes["db.query.text"] == ("HSET name [redacted] ? ?" if capture_payloads else "HSET ? ? ?")
    assert "hunter2" not in span.to_json()
    assert attributes["db.system.name"] == "redis"


@pytest.mark.parametrize("capture_payloads", [False, True])
def test_what_redis_says_of_a_command_that_failed_is_without_its_arguments(
    capture: Callable[..., Captured], capture_payloads: bool
) -> None:
    captured = capture(telemetry_capture_payloads=capture_payloads)
    instrument_all()
    client = fakeredis.FakeRedis()
    client.set("name", "text")
    pipeline = client.pipeline().hset("name", "field", "hunter2")
    with pytest.raises(ResponseError, match="hunter2"), start_span("caller"):
        pipeline.execute()
    client.close()
    told = [span.to_json() for span in captured.spans]
    assert any("Command # 1 (HSET ...) of pipeline caused error" in one for one in told)
    assert not any("hunter2" in one for one in told)


@pytest.mark.parametrize("capture_payloads", [False, True])
def test_agents_record_content_by_the_switch(capture: Callable[..., Captured], capture_payloads: bool) -> None:
    captured = capture(telemetry_capture_payloads=capture_payloads)
    instrument_all()
    settings: Any = Agent._instrument_default
    assert (settings.include_content, settings.include_binary_content, settings.version) == (capture_payloads, False, 6)
    assert settings.tracer is captured.telemetry.tracer_provider.get_tracer(
        "pydantic-ai", settings.tracer._instrumentation_scope.version
    )


def test_new_settings_reach_agents_that_are_instrumented(capture: Callable[..., Captured]) -> None:
    capture(telemetry_capture_payloads=True)
    instrument_all()
    second = capture(telemetry_capture_payloads=False).telemetry
    instrument.refresh(second)
    settings: Any = Agent._instrument_default
    assert settings.include_content is False
    assert second.instrumented == ALL


def test_nothing_stays_instrumented_while_telemetry_is_off_and_all_of_it_comes_back(
    capture: Callable[..., Captured],
) -> None:
    before = untouched()
    capture()
    instrument_all()
    off = OffTelemetry()
    runtime.make_current(off)
    instrument.refresh(off)
    assert untouched() == before
    instrument.refresh(off)  # off, and off again
    on = capture(telemetry_capture_payloads=False).telemetry
    instrument.refresh(on)
    assert on.instrumented == ALL
    settings: Any = Agent._instrument_default
    assert settings.include_content is False
    uninstrument_all()
    assert untouched() == before


def test_what_was_never_instrumented_does_not_come_with_new_settings(capture: Callable[..., Captured]) -> None:
    before = untouched()
    off = OffTelemetry()
    runtime.make_current(off)
    instrument.refresh(off)
    instrument.refresh(capture().telemetry)
    assert untouched() == before

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import SpanKind, StatusCode

from tests.unit.telemetry.conftest import Captured
from weaver_ai.telemetry import ExporterHealth
from weaver_ai.telemetry.metrics import Prometheus, observe_export

SECOND = 1_000_000_000
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "m",
    "gen_ai.response.model": "m-2026",
    "server.address": "api.example.org",
    "gen_ai.conversation.id": "c-1",
}


def durations(captured: Captured, suffix: str) -> list[str]:
    lines = captured.metrics()
    return [line for line in lines if line.startswith(f"gen_ai_client_operation_duration_seconds_{suffix}{{")]


def chat(captured: Captured, seconds: float, scope: str = "pydantic-ai", **attributes: Any) -> Any:
    tracer = captured.telemetry.tracer_provider.get_tracer(scope)
    span = tracer.start_span("chat m", kind=SpanKind.CLIENT, attributes={**CHAT, **attributes}, start_time=0)
    return span, int(seconds * SECOND)


def test_the_duration_of_a_genai_operation(captured: Captured) -> None:
    span, end = chat(captured, 1.5)
    span.end(end)
    (total,) = durations(captured, "sum")
    assert total.endswith(" 1.5")
    labels = dict(pair.split("=", 1) for pair in total.partition("{")[2].partition("}")[0].split(","))
    assert {key: value for key, value in labels.items() if not key.startswith("otel_")} == {
        "gen_ai_operation_name": '"chat"',
        "gen_ai_provider_name": '"openai"',
        "gen_ai_request_model": '"m"',
        "gen_ai_response_model": '"m-2026"',
        "server_address": '"api.example.org"',
    }
    assert [line.rpartition('le="')[2].partition('"')[0] for line in durations(captured, "bucket")][:2] == [
        "0.01",
        "0.02",
    ]


@pytest.mark.parametrize(
    ("attributes", "event", "expected"),
    [
        ({"error.type": "provider-timeout"}, None, "provider-timeout"),
        ({}, {"exception.type": "openai.APITimeoutError"}, "openai.APITimeoutError"),
        ({}, None, "_OTHER"),
    ],
)
def test_a_failed_operation_says_how(
    captured: Captured, attributes: dict[str, str], event: dict[str, str] | None, expected: str
) -> None:
    span, end = chat(captured, 2, **attributes)
    if event is not None:
        span.add_event("exception", event)
    span.set_status(StatusCode.ERROR)
    span.end(end)
    (total,) = durations(captured, "count")
    assert f'error_type="{expected}"' in total


@pytest.mark.parametrize("platform", ["", ".bedrock"])
def test_the_anthropic_clients_second_span_is_not_counted_twice(captured: Captured, platform: str) -> None:
    span, end = chat(captured, 1, scope=f"com.anthropic.sdk.python{platform}")
    span.end(end)
    assert durations(captured, "count") == []


def test_other_spans_are_not_measured(captured: Captured) -> None:
    tracer = captured.telemetry.tracer_provider.get_tracer("x")
    tracer.start_span("invoke_agent a", attributes={"gen_ai.operation.name": "invoke_agent"}).end()
    tracer.start_span("GET", kind=SpanKind.CLIENT).end()
    assert durations(captured, "count") == []


def test_operations_that_are_not_sampled_are_measured_all_the_same(capture: Any) -> None:
    captured = capture(telemetry_sample_rate=0.0)
    span, end = chat(captured, 1)
    assert (span.is_recording(), span.get_span_context().trace_flags.sampled) == (True, False)
    span.end(end)
    (total,) = durations(captured, "count")
    assert total.endswith(" 1.0")
    assert captured.spans == ()


def test_the_sampler_says_whose_decision_it_takes(captured: Captured) -> None:
    sampler: Any = captured.telemetry.tracer_provider
    assert sampler.sampler.get_description().startswith("MeasuringSampler{ParentBased{root:AlwaysOnSampler,")
    assert sampler.sampler.should_sample(None, 1, "x").decision is Decision.RECORD_AND_SAMPLE


def test_the_exports_own_counts_are_metrics(captured: Captured) -> None:
    observe_export(
        captured.telemetry.meter_provider, lambda: ExporterHealth("degraded", queued=3, exported=9, dropped=2, failed=1)
    )
    values = {
        line.partition("{")[0]: line.rpartition(" ")[2]
        for line in captured.metrics()
        if line.startswith("weaver_telemetry_export")
    }
    assert values == {
        "weaver_telemetry_export_dropped_total": "2.0",
        "weaver_telemetry_export_failed_total": "1.0",
        "weaver_telemetry_export_queued": "3.0",
    }


def test_without_the_exporter_the_text_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    prometheus = Prometheus()
    assert prometheus.reader is None
    assert prometheus.text() == b"# no Prometheus exporter installed: pip install 'weaver-ai[gateway]'\n"


def test_nothing_global_is_set(request: pytest.FixtureRequest) -> None:
    before = trace.get_tracer_provider()
    request.getfixturevalue("captured")
    assert trace.get_tracer_provider() is before

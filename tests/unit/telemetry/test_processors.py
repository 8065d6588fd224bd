"""What Weaver's processors put on spans that other libraries make."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from weaver_ai.telemetry.processors import AttemptErrors, note_failed_attempt

ATTEMPT = {"pydantic_ai.model_request.attempt": 0}


def test_a_failed_attempt_has_the_code_noted_last_and_nothing_else_has() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(AttemptErrors())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("chat"):
        for code in ("provider-timeout", "provider-rejected"):
            note_failed_attempt(code)
            tracer.start_span(code, attributes=ATTEMPT).end()
        tracer.start_span("POST").end()
    with tracer.start_as_current_span("another chat"):
        tracer.start_span("unnoted", attributes=ATTEMPT).end()
    told = {each.name: (each.attributes or {}).get("error.type") for each in exporter.get_finished_spans()}
    assert told == {
        "provider-timeout": "provider-timeout",
        "provider-rejected": "provider-rejected",
        "POST": None,
        "chat": None,
        "unnoted": None,
        "another chat": None,
    }

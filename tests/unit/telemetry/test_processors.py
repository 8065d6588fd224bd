"""What Weaver's processors put on spans that other libraries make."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from weaver_ai.telemetry.processors import AttemptErrors, RedactingSpans, note_failed_attempt
from weaver_ai.telemetry.redaction import Redactor

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


class Beginnings(SpanProcessor):
    """What an exporter of open spans sees."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, object]]] = []

    def on_start(self, span: Span, parent_context: object = None) -> None:
        self.seen.append((span.name, dict(span.attributes or {})))


def test_a_key_that_is_a_secret_goes_from_open_and_ended_spans() -> None:
    secret = "sk-" + "proj-" + "a1b2c3d4" * 4
    exporter, beginnings = InMemorySpanExporter(), Beginnings()
    provider = TracerProvider()
    for processor in (RedactingSpans(Redactor()), beginnings, SimpleSpanProcessor(exporter)):
        provider.add_span_processor(processor)
    with provider.get_tracer("test").start_as_current_span("call", attributes={secret: 1, "n": 2}) as span:
        span.add_event("sent", {secret: 3})
        span.set_attribute(f"late {secret}", 4)
    (ended,) = exporter.get_finished_spans()
    assert beginnings.seen == [("call", {"[redacted]": 1, "n": 2})]
    assert dict(ended.attributes or {}) == {"[redacted]": 1, "n": 2, "late [redacted]": 4}
    assert dict(ended.events[0].attributes or {}) == {"[redacted]": 3}


def test_what_would_cost_a_whole_batch_is_made_sendable() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    for processor in (RedactingSpans(Redactor()), SimpleSpanProcessor(exporter)):
        provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("half \ud800", attributes={"k\udfff": "\ud800", "list": ["\ud83d", "b"]}) as span:
        span.add_event("\ud800", {"a": "\ud83d\ude00 \ud800"})
    tracer.start_span(None).end()  # type: ignore[arg-type] # a mistake that a program may make
    half, unnamed = exporter.get_finished_spans()
    assert (half.name, unnamed.name) == ("half \ufffd", "None")
    assert dict(half.attributes or {}) == {"k\ufffd": "\ufffd", "list": ("\ufffd", "b")}
    assert [(each.name, dict(each.attributes or {})) for each in half.events] == [
        ("\ufffd", {"a": "\U0001f600 \ufffd"})
    ]
    assert encode_spans([half, unnamed]).SerializePartialToString()

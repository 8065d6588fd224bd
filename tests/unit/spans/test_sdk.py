import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from weaver_ai import spans as model
from weaver_ai.spans.sdk import from_sdk


def test_every_field_is_copied():
    provider = TracerProvider(resource=Resource({"service.name": "desk"}))
    tracer = provider.get_tracer("shop", "1.2")
    other = SpanContext(int("a" * 32, 16), int("b" * 16, 16), is_remote=True, trace_flags=TraceFlags(1))
    with tracer.start_as_current_span("parent") as parent:
        span = tracer.start_span(
            "child",
            kind=SpanKind.CLIENT,
            attributes={"s": "x", "l": ["a", "b"], "n": 1},
            links=[Link(other, {"why": "retry"})],
            start_time=1_000,
        )
        span.add_event("tick", {"k": 1}, timestamp=1_500)
        span.set_status(Status(StatusCode.ERROR, "boom"))
        span.end(end_time=3_000)

    copied = from_sdk(span, sequence=7)

    context = span.get_span_context()
    assert copied.name == "child"
    assert (copied.trace_id, copied.span_id) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert copied.parent_id == f"{parent.get_span_context().span_id:016x}"
    assert (copied.kind, copied.status) == ("client", model.Status("error", "boom"))
    assert (copied.start, copied.end, copied.duration) == (1_000, 3_000, 2e-6)
    assert dict(copied.attributes) == {"s": "x", "l": ("a", "b"), "n": 1}
    assert [(event.name, event.time, dict(event.attributes)) for event in copied.events] == [("tick", 1_500, {"k": 1})]
    assert [(link.trace_id, link.span_id, dict(link.attributes)) for link in copied.links] == [
        ("a" * 32, "b" * 16, {"why": "retry"})
    ]
    assert copied.scope == model.Scope("shop", "1.2")
    assert copied.resource["service.name"] == "desk"
    assert copied.sequence == 7


def test_an_open_span_is_copied_as_it_is_now():
    span = TracerProvider().get_tracer("t").start_span("s", attributes={"a": 1})
    before = from_sdk(span, sequence=0, open=True)
    span.set_attribute("b", 2)
    span.end()
    after = from_sdk(span, sequence=0)
    assert (before.is_open, dict(before.attributes)) == (True, {"a": 1})
    assert (after.is_open, dict(after.attributes)) == (False, {"a": 1, "b": 2})
    assert from_sdk(span, sequence=0, open=True).is_open


def test_a_span_without_a_context_is_an_error():
    with pytest.raises(ValueError, match="span 's' has no context"):
        from_sdk(ReadableSpan("s", resource=Resource.get_empty()), sequence=0)

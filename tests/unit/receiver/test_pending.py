"""Pending records, as Logfire's own processor makes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from tests.unit.spans.building import make
from weaver_ai.receiver.pending import as_it_is
from weaver_ai.spans.sdk import from_sdk

PendingSpanProcessor = pytest.importorskip("logfire._internal.tracer").PendingSpanProcessor


class Keep(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


@pytest.fixture
def kept() -> Iterator[tuple[TracerProvider, Keep]]:
    keep, provider = Keep(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(PendingSpanProcessor(RandomIdGenerator(), keep))
    yield provider, keep
    provider.shutdown()


def test_the_open_span_that_it_stands_for(kept: tuple[TracerProvider, Keep]) -> None:
    provider, keep = kept
    tracer = provider.get_tracer("x")
    with tracer.start_as_current_span("outer", attributes={"n": 1}) as outer:
        with tracer.start_as_current_span("inner", attributes={"n": 2, "logfire.span_type": "span"}) as inner:
            pass
    for record, real in zip(keep.spans, (outer, inner), strict=True):
        span, whole = as_it_is(from_sdk(record, sequence=3)), from_sdk(real, sequence=3)  # type: ignore[arg-type]
        assert (span.name, span.trace_id, span.span_id, span.parent_id) == (
            whole.name,
            whole.trace_id,
            whole.span_id,
            whole.parent_id,
        )
        assert (span.start, span.end, span.sequence) == (whole.start, None, 3)
        assert dict(span.attributes) == {**whole.attributes, "logfire.span_type": "span"}


@pytest.mark.parametrize(
    ("parent", "attributes"),
    [(1, {"n": 1}), (1, {"logfire.span_type": "log"}), (None, {"logfire.span_type": "pending_span"})],
)
def test_any_other_span_is_as_it_came(parent: int | None, attributes: dict[str, str | int]) -> None:
    span = make("s", 2, parent, attributes=attributes)
    assert as_it_is(span) is span

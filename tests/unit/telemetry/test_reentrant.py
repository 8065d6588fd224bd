"""A span may end while its thread is in the middle of ending another: in a finalizer, or in a signal handler."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import set_span_in_context

from weaver_ai.telemetry.console import ConsoleSpans
from weaver_ai.telemetry.export import CountedSpans
from weaver_ai.telemetry.metrics import GenAIMetrics
from weaver_ai.telemetry.processors import ATTEMPT
from weaver_ai.telemetry.redaction import Redactor
from weaver_ai.telemetry.terminal import Console

PATIENCE = 30.0


def batch() -> tuple[SpanProcessor, Any]:
    made = CountedSpans(InMemorySpanExporter(), Redactor(), queue_size=8, delay=60_000)
    return made, made._batch_processor._queue


def counts_of_a_batch() -> tuple[SpanProcessor, Any]:
    made = CountedSpans(InMemorySpanExporter(), Redactor(), queue_size=1, delay=60_000)
    return made, made.counts


def console() -> tuple[SpanProcessor, Any]:
    made = ConsoleSpans(Console(io.StringIO(), colour=False))
    return made, made


def attempts() -> tuple[SpanProcessor, Any]:
    made = GenAIMetrics(MeterProvider())
    return made, made._failed


@pytest.mark.parametrize("build", [batch, counts_of_a_batch, console, attempts])
def test_a_span_that_ends_in_between_waits_for_nobody(build: Callable[[], tuple[SpanProcessor, Any]]) -> None:
    processor, held = build()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    ended = threading.Event()

    def end_in_between() -> None:
        above = tracer.start_span("above")
        with held._lock:
            for _ in range(2):
                tracer.start_span("x", context=set_span_in_context(above), attributes={ATTEMPT: 0}).end()
        above.end()
        ended.set()

    threading.Thread(target=end_in_between, daemon=True).start()
    assert ended.wait(PATIENCE)
    provider.shutdown()

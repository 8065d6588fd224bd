"""What capturing adds to a span, over a provider without processors.

    python benchmarks/per_span.py [spans] [rounds]

The ways take turns in one process; the smallest time of each counts. Reading is measured apart: the plugin
converts spans when the test asks, the exporters while the code under test runs.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from table import publish

from weaver_ai.testing import Spans
from weaver_ai.testing.capture import Capture

ATTRIBUTES = {"http.request.method": "GET", "http.route": "/orders/{id}", "http.response.status_code": 200}


@contextmanager
def nothing() -> Iterator[tuple[Tracer, Callable[[], object]]]:
    yield TracerProvider(shutdown_on_exit=False).get_tracer("x"), lambda: None


@contextmanager
def weaver() -> Iterator[tuple[Tracer, Callable[[], object]]]:
    capture = Capture()
    capture.start()
    spans = Spans(capture.record("benchmark", every_span=True))
    try:
        yield TracerProvider(shutdown_on_exit=False).get_tracer("x"), lambda: spans.all("one")
    finally:
        capture.end()
        capture.stop()


@contextmanager
def in_memory() -> Iterator[tuple[Tracer, Callable[[], object]]]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider.get_tracer("x"), lambda: [span for span in exporter.get_finished_spans() if span.name == "one"]


@contextmanager
def capfire() -> Iterator[tuple[Tracer, Callable[[], object]]]:
    import logfire
    from logfire.testing import TestExporter

    exporter = TestExporter()
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(exporter)])
    from opentelemetry import trace

    yield trace.get_tracer("x"), lambda: [s for s in exporter.exported_spans_as_dict() if s["name"] == "one"]  # type: ignore[misc]


WAYS = {
    "no processor": nothing,
    "weaver-ai: spans": weaver,
    "SimpleSpanProcessor + InMemorySpanExporter": in_memory,
    "logfire.testing: capfire": capfire,
}


def measure(way: str, spans: int) -> tuple[float, float]:
    """Microseconds a span: to make it, and to read it back by name."""
    with WAYS[way]() as (tracer, read):
        gc.collect()
        gc.disable()
        started = time.thread_time()
        for _ in range(spans):
            tracer.start_span("one", attributes=ATTRIBUTES).end()
        made = time.thread_time()
        read()
        done = time.thread_time()
        gc.enable()
    return (made - started) * 1e6 / spans, (done - made) * 1e6 / spans


def main() -> None:
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            times[way].append(measure(way, spans))
    best = {way: [min(column) for column in zip(*each, strict=True)] for way, each in times.items()}
    base = best["no processor"][0]
    ours, theirs = best["weaver-ai: spans"][0] - base, best["SimpleSpanProcessor + InMemorySpanExporter"][0] - base
    rows = [
        [way, f"{made:.1f} µs", f"{made - base:.1f} µs", f"{read:.2f} µs" if way != "no processor" else "-"]
        for way, (made, read) in best.items()
    ]
    publish(
        "per_span",
        "Cost a span",
        ["what captures", "a span", "over no processor", "to read it back"],
        rows,
        packages=["weaver-ai", "logfire", "opentelemetry-sdk"],
        verdict=f"Expected: no dearer than the in-memory exporter; {'holds' if ours <= theirs else 'does NOT hold'} "
        f"({ours / theirs:.2f} of it, {spans} spans, best of {rounds}).",
    )


if __name__ == "__main__":
    main()

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from weaver_ai.telemetry.api import ExporterHealth
from weaver_ai.telemetry.export import CountedSpans, combined_health
from weaver_ai.telemetry.redaction import Redactor


class Exporter(SpanExporter):
    """Does what `answer` does; `gate` holds it up."""

    def __init__(self, answer: Callable[[], SpanExportResult] = lambda: SpanExportResult.SUCCESS) -> None:
        self.answer = answer
        self.gate = threading.Event()
        self.gate.set()
        self.seen = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.gate.wait(10)
        self.seen += len(spans)
        return self.answer()

    def shutdown(self) -> None:
        self.gate.set()


@pytest.fixture
def build() -> Iterator[Callable[..., tuple[CountedSpans, Any]]]:
    made: list[CountedSpans] = []

    def start(exporter: Exporter, **options: Any) -> tuple[CountedSpans, Any]:
        batch = CountedSpans(exporter, Redactor(), queue_size=8, delay=60_000)
        provider = TracerProvider(shutdown_on_exit=False, **options)
        provider.add_span_processor(batch)
        made.append(batch)
        return batch, provider.get_tracer("t")

    yield start
    for each in made:
        each.shutdown()


def test_what_arrives_is_counted(build: Any) -> None:
    batch, tracer = build(Exporter())
    for _ in range(3):
        tracer.start_span("x").end()
    assert combined_health([batch]) == ExporterHealth("ok", queued=3)
    batch.force_flush()
    health = combined_health([batch])
    assert health == ExporterHealth("ok", exported=3, latency=health.latency)


def test_the_last_delivery_is_timed_and_a_failed_one_is_not(build: Any) -> None:
    slow = Exporter(lambda: time.sleep(0.05) or SpanExportResult.SUCCESS)
    batch, tracer = build(slow)
    quick, _ = build(Exporter())
    assert combined_health([batch, quick]).latency is None
    tracer.start_span("x").end()
    batch.force_flush()
    latency = combined_health([batch, quick]).latency
    assert latency is not None
    assert 0.04 < latency < 5
    slow.answer = refuses
    tracer.start_span("x").end()
    batch.force_flush()
    assert combined_health([batch, quick]).latency == latency


def test_a_full_queue_drops_and_says_so(build: Any) -> None:
    exporter = Exporter()
    batch, tracer = build(exporter)
    exporter.gate.clear()
    for _ in range(8):
        tracer.start_span("x").end()
    deadline = time.monotonic() + 10
    while batch.queued and time.monotonic() < deadline:  # the worker takes a full batch and hangs with it
        time.sleep(0.01)
    for _ in range(13):
        tracer.start_span("y").end()
    assert combined_health([batch]) == ExporterHealth(
        "degraded", queued=8, dropped=5, reason="the queue was full: telemetry is dropped"
    )
    exporter.gate.set()
    batch.force_flush()
    health = combined_health([batch])
    assert (health.exported, health.dropped, exporter.seen) == (16, 5, 16)


def test_unsampled_spans_are_not_counted(build: Any) -> None:
    batch, tracer = build(Exporter(), sampler=ALWAYS_OFF)
    tracer.start_span("x").end()
    assert combined_health([batch]) == ExporterHealth("ok")


def refuses() -> SpanExportResult:
    return SpanExportResult.FAILURE


def breaks() -> SpanExportResult:
    raise ConnectionError("https://me:hunter2@collector refused")


def explains() -> SpanExportResult:
    log = logging.getLogger("opentelemetry.exporter.test")
    log.warning("Transient error %s, retrying", "no route to https://me:hunter2@collector")
    log.error("Failed to export due to timeout")
    return SpanExportResult.FAILURE


@pytest.mark.parametrize(
    ("answer", "reason", "cause"),
    [
        (refuses, "the exporter could not deliver", "the exporter could not deliver"),
        (
            explains,
            "the exporter could not deliver",
            "Transient error no route to https://me:[redacted]@collector, retrying",
        ),
        (
            breaks,
            "ConnectionError: https://me:[redacted]@collector refused",
            "ConnectionError: https://me:[redacted]@collector refused",
        ),
    ],
)
def test_a_failing_exporter_is_said_once_and_its_recovery_once(
    build: Any, caplog: pytest.LogCaptureFixture, answer: Callable[[], SpanExportResult], reason: str, cause: str
) -> None:
    exporter = Exporter(answer)
    batch, tracer = build(exporter)
    for _ in range(2):
        tracer.start_span("x").end()
        batch.force_flush()
    assert combined_health([batch]) == ExporterHealth("degraded", failed=2, reason=reason)
    exporter.answer = lambda: SpanExportResult.SUCCESS
    tracer.start_span("x").end()
    batch.force_flush()
    health = combined_health([batch])
    assert health == ExporterHealth("ok", failed=2, exported=1, latency=health.latency)
    told = [record for record in caplog.records if record.name == "weaver_ai.telemetry"]
    assert [(record.levelno, record.getMessage()) for record in told] == [
        (logging.WARNING, f"export of traces fails: {cause}; requests go on, telemetry is lost"),
        (logging.WARNING, "export of traces works again"),
    ]


def test_no_exporter_is_off() -> None:
    assert combined_health([]) == ExporterHealth("off")

"""Telemetry with providers of its own: nothing global is set, and nothing stays current after a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from weaver_ai.settings import Settings, load_settings
from weaver_ai.telemetry import runtime
from weaver_ai.telemetry.known_secrets import known_secrets
from weaver_ai.telemetry.metrics import GenAIMetrics, MeasuringSampler, Prometheus
from weaver_ai.telemetry.pipeline import Pipeline
from weaver_ai.telemetry.processors import InboundLinks, RedactingLogs, RedactingSpans
from weaver_ai.telemetry.redaction import Redactor
from weaver_ai.telemetry.sampling import sampler_of
from weaver_ai.telemetry.sdk_telemetry import Providers, SdkTelemetry


@dataclass
class Captured:
    telemetry: SdkTelemetry
    span_exporter: InMemorySpanExporter
    log_exporter: InMemoryLogRecordExporter

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.span_exporter.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        (only,) = self.spans
        return only

    @property
    def logs(self) -> list[Any]:
        return [one.log_record for one in self.log_exporter.get_finished_logs()]

    @property
    def log(self) -> Any:
        (only,) = self.logs
        return only

    def metrics(self) -> list[str]:
        return self.telemetry.prometheus().decode().splitlines()


@pytest.fixture
def restored() -> Iterator[None]:
    before = runtime._active
    yield
    runtime._active = before


@pytest.fixture
def capture(restored: None) -> Iterator[Callable[..., Captured]]:
    """Make telemetry current with the settings given, with in-memory exporters behind weaver's processors."""
    stop: list[Callable[[], object]] = []

    def start(**overrides: Any) -> Captured:
        settings: Settings = load_settings(env_file=None, **overrides)
        redactor = Redactor(known_secrets(settings))
        pipeline = Pipeline(redactor, (RedactingSpans(redactor), InboundLinks()), (RedactingLogs(redactor),))
        prometheus = Prometheus()
        assert prometheus.reader is not None
        resource = Resource({"service.name": "unit"})
        meter = MeterProvider([prometheus.reader], resource=resource, shutdown_on_exit=False)
        tracer = TracerProvider(MeasuringSampler(sampler_of(settings)), resource=resource, shutdown_on_exit=False)
        span_exporter, log_exporter = InMemorySpanExporter(), InMemoryLogRecordExporter()
        for span_processor in (*pipeline.span_processors, GenAIMetrics(meter), SimpleSpanProcessor(span_exporter)):
            tracer.add_span_processor(span_processor)
        logger = LoggerProvider(resource, shutdown_on_exit=False)
        for log_processor in (*pipeline.log_processors, SimpleLogRecordProcessor(log_exporter)):
            logger.add_log_record_processor(log_processor)
        telemetry = SdkTelemetry(
            "opentelemetry", settings, "unit", pipeline, Providers(tracer, meter, logger, prometheus)
        )
        runtime.make_current(telemetry)
        stop.extend((tracer.shutdown, logger.shutdown, meter.shutdown))
        return Captured(telemetry, span_exporter, log_exporter)

    yield start
    for each in stop:
        each()


@pytest.fixture
def captured(capture: Callable[..., Captured]) -> Captured:
    return capture()

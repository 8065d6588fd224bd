"""Plain OpenTelemetry: the SDK's providers, set once per process, with a pipeline that can be replaced."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider as APIMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import DropAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler, SamplingResult

from weaver_ai.telemetry.metric_redaction import redact_readers
from weaver_ai.telemetry.metrics import GenAIMetrics, Prometheus
from weaver_ai.telemetry.pipeline import Pipeline
from weaver_ai.telemetry.processors import SwitchLogs, SwitchSpans
from weaver_ai.telemetry.runtime import current_telemetry
from weaver_ai.telemetry.sdk_telemetry import Providers

__all__ = ["host_has_provider", "install", "join_host", "metric_views"]


class _SwitchSampler(Sampler):
    def __init__(self) -> None:
        self.target: Sampler = ALWAYS_OFF

    def should_sample(self, parent_context: Context | None, *args: Any, **kwargs: Any) -> SamplingResult:
        return self.target.should_sample(parent_context, *args, **kwargs)

    def get_description(self) -> str:
        return self.target.get_description()


@dataclass
class _Installed:
    """The providers that this module set as the global ones; they stay for the life of the process."""

    tracer: trace.TracerProvider
    meter: APIMeterProvider
    logger: _logs.LoggerProvider
    spans: SwitchSpans
    logs: SwitchLogs
    sampler: _SwitchSampler
    prometheus: Prometheus
    genai: GenAIMetrics
    host_owned: bool = False
    latest: Pipeline | None = None
    switching: threading.Lock = field(default_factory=threading.Lock)

    def use(self, pipeline: Pipeline, sampler: Sampler) -> None:
        with self.switching:
            self.latest = pipeline
            self.sampler.target = sampler
            self.spans.targets = (*pipeline.span_processors, self.genai)
            self.logs.targets = pipeline.log_processors
        if isinstance(self.meter, MeterProvider):
            for reader in pipeline.metric_readers:
                self.meter.add_metric_reader(reader)
        redact_readers(self.meter, lambda: current_telemetry().redactor)

    def retire(self, pipeline: Pipeline) -> None:
        with self.switching:  # its caller doesn't wait for it for ever: by now a newer pipeline may be there
            if self.latest is pipeline:
                self.latest = None
                self.sampler.target = ALWAYS_OFF
                self.spans.targets = ()
                self.logs.targets = ()
        if isinstance(self.meter, MeterProvider):
            for reader in pipeline.metric_readers:
                self.meter.remove_metric_reader(reader)


_installed: _Installed | None = None


def metric_views() -> list[View]:
    """The SDK's metrics about itself are noise on a dashboard."""
    return [View(instrument_name="otel.sdk.*", aggregation=DropAggregation())]


def host_has_provider() -> bool:
    """Whether somebody else has set the global tracer provider."""
    current = trace.get_tracer_provider()
    if _installed is not None and _installed.tracer is current:
        return _installed.host_owned
    return not isinstance(current, trace.ProxyTracerProvider)


def install(pipeline: Pipeline, resource: Resource, sampler: Sampler) -> Providers:
    """Put `pipeline` behind the process's providers, which the first call makes with `resource`."""
    global _installed  # noqa: PLW0603 - OpenTelemetry's global providers can be set once per process
    if _installed is None:
        _installed = _make(resource)
    here = _installed
    here.use(pipeline, sampler)
    return Providers(here.tracer, here.meter, here.logger, here.prometheus, retire=partial(here.retire, pipeline))


def _make(resource: Resource) -> _Installed:
    spans, logs, sampler, prometheus = SwitchSpans(), SwitchLogs(), _SwitchSampler(), Prometheus()
    tracer = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
    tracer.add_span_processor(spans)
    trace.set_tracer_provider(tracer)
    meter = _meter_provider(resource, prometheus)
    logger = _logger_provider(resource, logs)
    return _Installed(tracer, meter, logger, spans, logs, sampler, prometheus, GenAIMetrics(meter))


def join_host(pipeline: Pipeline, resource: Resource) -> Providers:
    """Join the providers that the application has set: add redaction and metrics, leave exports to it."""
    global _installed  # noqa: PLW0603 - see install
    provider: Any = trace.get_tracer_provider()
    if _installed is None or _installed.tracer is not provider:
        spans, logs, prometheus = SwitchSpans(), SwitchLogs(), Prometheus()
        add = getattr(provider, "add_span_processor", None)
        if add is not None:
            add(spans)
        meter = _meter_provider(resource, prometheus)
        logger = _logger_provider(resource, logs)
        _installed = _Installed(
            provider, meter, logger, spans, logs, _SwitchSampler(), prometheus, GenAIMetrics(meter), host_owned=True
        )
    here = _installed
    here.use(pipeline, here.sampler.target)
    return Providers(
        here.tracer, here.meter, here.logger, here.prometheus, host_owned=True, retire=partial(here.retire, pipeline)
    )


def _meter_provider(resource: Resource, prometheus: Prometheus) -> APIMeterProvider:
    current: Any = metrics.get_meter_provider()
    if type(current).__name__ != "_ProxyMeterProvider":  # the API's placeholder has no public name
        if prometheus.reader is not None and hasattr(current, "add_metric_reader"):
            current.add_metric_reader(prometheus.reader)
        return current  # type: ignore[no-any-return]
    readers = [prometheus.reader] if prometheus.reader is not None else []
    made = MeterProvider(readers, resource=resource, shutdown_on_exit=False, views=metric_views())
    metrics.set_meter_provider(made)
    return made


def _logger_provider(resource: Resource, logs: SwitchLogs) -> _logs.LoggerProvider:
    current: Any = _logs.get_logger_provider()
    if type(current).__name__ != "ProxyLoggerProvider":  # the API's placeholder has no public name
        if hasattr(current, "add_log_record_processor"):
            current.add_log_record_processor(logs)
        return current  # type: ignore[no-any-return]
    made = LoggerProvider(resource, shutdown_on_exit=False)
    made.add_log_record_processor(logs)
    _logs.set_logger_provider(made)
    return made

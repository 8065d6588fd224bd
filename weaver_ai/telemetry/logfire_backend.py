"""Logfire: its providers, its exporter to the cloud and its view of open spans; the rest is weaver's pipeline."""

from __future__ import annotations

import atexit
import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import logfire
from logfire.sampling import SamplingOptions
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler

from weaver_ai.telemetry.api import ExporterHealth
from weaver_ai.telemetry.export import CountedLogs, CountedSpans, ExportCounts, count_losses
from weaver_ai.telemetry.metric_redaction import redact_readers
from weaver_ai.telemetry.metrics import GenAIMetrics, Prometheus
from weaver_ai.telemetry.otel_backend import metric_views
from weaver_ai.telemetry.pipeline import Pipeline
from weaver_ai.telemetry.processors import RedactingLogs, RedactingSpans, SwitchSpans
from weaver_ai.telemetry.redaction import Redactor
from weaver_ai.telemetry.runtime import current_telemetry
from weaver_ai.telemetry.sdk_telemetry import Providers

if TYPE_CHECKING:
    from logfire.types import ServerResponseCallbackHelper

__all__ = ["install", "is_installed"]

_SILENCE_SECONDS: Final = 60.0
_OTLP_VARIABLES: Final = tuple(
    f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT" for signal in ("", "TRACES_", "METRICS_", "LOGS_")
)
_WRAPPED: Final = (
    *("provider", "processor", "_active_span_processor", "_span_processors"),
    *("_multi_log_record_processor", "_log_record_processors"),
)

_ours: Any = None
_latest: object = None
"""Which of the installed pipelines Logfire was configured with last."""
_configuring = threading.Lock()
_spans: Final = SwitchSpans()
"""Behind each of Logfire's providers, for a span is ended by the one that began it, which may be a former one."""


def is_installed() -> bool:
    """Whether the global provider is the one that this module had Logfire set."""
    return _ours is not None and trace.get_tracer_provider() is _ours


def install(pipeline: Pipeline, resource: dict[str, str], sampler: Sampler, *, token: str | None) -> Providers:
    """Configure Logfire with `pipeline`; `token` None keeps everything in this process."""
    global _ours, _latest  # noqa: PLW0603 - Logfire's configuration is global
    cloud = _Cloud(pipeline.redactor) if token is not None else None
    prometheus = Prometheus()
    with _configuring:
        _configure(pipeline, resource, sampler, prometheus, token, cloud)
        _latest = pipeline
    _ours = trace.get_tracer_provider()
    meter = metrics.get_meter_provider()
    _spans.targets = (*pipeline.span_processors, GenAIMetrics(meter), *([cloud] if cloud else []))
    # Beside Logfire's own processor, not inside: Logfire doesn't hand `_on_ending` on, and changes spans.
    _ours.add_span_processor(_spans)
    logger = _logs.get_logger_provider()
    if cloud is not None:
        cloud.watch(_ours, logger)
    # Again, for processors that are added later: Logfire gives its own a copy of the record.
    logger.add_log_record_processor(RedactingLogs(pipeline.redactor))  # type: ignore[attr-defined] # as the SDK's

    def retire() -> None:
        with _configuring:  # its caller doesn't wait for it for ever: by now a newer pipeline may be there
            if _latest is pipeline:
                _spans.targets = ()
                _configure(Pipeline(pipeline.redactor, (), ()), resource, ALWAYS_OFF, Prometheus(), None, None)

    return Providers(
        _ours,
        meter,
        logger,
        prometheus,
        flush=logfire.force_flush if cloud else None,
        retire=retire,
        cloud_health=cloud.health if cloud else lambda: None,
    )


def _configure(  # noqa: PLR0917 - private, each of its own type
    pipeline: Pipeline,
    resource: dict[str, str],
    sampler: Sampler,
    prometheus: Prometheus,
    token: str | None,
    cloud: _Cloud | None,
) -> None:
    readers = [*pipeline.metric_readers, *([prometheus.reader] if prometheus.reader else [])]
    with _without_otlp_endpoints():
        logfire.configure(
            send_to_logfire=token is not None,
            token=token,
            service_name=resource["service.name"],
            service_version=resource.get("service.version"),
            environment=resource["deployment.environment.name"],
            resource_attributes=resource,
            console=False,  # weaver's console shows the same with either backend
            additional_span_processors=[RedactingSpans(pipeline.redactor)],  # before Logfire's pending spans
            metrics=logfire.MetricsOptions(additional_readers=readers, views=metric_views()),
            scrubbing=False,  # weaver's redaction has been there before
            inspect_arguments=False,
            sampling=SamplingOptions(head=sampler),
            add_baggage_to_attributes=False,
            distributed_tracing=True,
            advanced=logfire.AdvancedOptions(
                log_record_processors=list(pipeline.log_processors),
                server_response_hook=cloud.answered if cloud else None,
                emit_configuration_span=False,
            ),
        )
    redact_readers(metrics.get_meter_provider(), lambda: current_telemetry().redactor)
    proxies: tuple[Any, ...] = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
    for proxy in proxies:  # the SDK's providers behind these wait up to 30 seconds each at exit
        atexit.unregister(proxy.provider.shutdown)


_environment_lock = threading.Lock()


@contextmanager
def _without_otlp_endpoints() -> Iterator[None]:
    # Logfire adds exporters of its own for these variables; weaver's pipeline has them already, counted.
    with _environment_lock:
        kept = {name: os.environ.pop(name) for name in _OTLP_VARIABLES if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(kept)


def _batches(provider: object) -> Iterator[Any]:
    """The SDK's batch processors that Logfire put behind `provider`; there is no public way to them."""
    waiting, seen = [provider], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, (CountedSpans, CountedLogs)):
            continue
        seen.add(id(one))
        if isinstance(one, (BatchSpanProcessor, BatchLogRecordProcessor)):
            yield one._batch_processor
            continue
        for held in (getattr(one, name, None) for name in _WRAPPED):
            waiting += held if isinstance(held, (tuple, list)) else [held]


class _Cloud(SpanProcessor):
    """How the export to Logfire goes, as far as it can be seen from outside: its answers, and its queues.

    The counts of what was exported and failed are of requests, for an answer doesn't say how many spans it was for;
    what Logfire puts on disk to send it later is neither.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._exported = 0
        self._failed = 0
        self._reason: str | None = None
        self._waiting_since: float | None = None
        self._queues: list[tuple[Any, ExportCounts]] = []

    def watch(self, *providers: object) -> None:
        """Count what is lost in the queues before the exporters."""
        for processor in itertools.chain.from_iterable(map(_batches, providers)):
            counts = ExportCounts("telemetry", self._redactor)
            count_losses(processor, counts)
            self._queues.append((processor, counts))

    def on_end(self, span: ReadableSpan) -> None:
        sampled = span.context is not None and span.context.trace_flags.sampled
        if sampled and self._waiting_since is None:
            self._waiting_since = time.monotonic()

    def answered(self, helper: ServerResponseCallbackHelper) -> None:
        response = helper.response
        if not (response.request.url or "").rpartition("/v1/")[2].startswith(("traces", "logs", "metrics")):
            return
        if response.ok:
            self._exported += 1
            self._reason = None
            self._waiting_since = None
        else:
            self._failed += 1
            self._reason = self._redactor.text(f"Logfire answered {response.status_code} {response.reason}")

    def health(self) -> ExporterHealth:
        waiting = 0.0 if self._waiting_since is None else time.monotonic() - self._waiting_since
        reason = self._reason
        if reason is None and waiting > _SILENCE_SECONDS:
            reason = f"no answer from Logfire for {waiting:.0f} s"
        if reason is None:
            reason = next((trouble for _, counts in self._queues if (trouble := counts.trouble)), None)
        return ExporterHealth(
            "ok" if reason is None else "degraded",
            queued=sum(len(processor._queue) for processor, _ in self._queues),
            exported=self._exported,
            dropped=sum(counts.dropped for _, counts in self._queues),
            failed=self._failed,
            reason=reason,
        )

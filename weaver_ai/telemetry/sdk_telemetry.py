"""The telemetry object of both real backends; they differ in how the providers are made."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from weaver_ai.settings import Settings
from weaver_ai.telemetry.api import BackendName, ExporterHealth
from weaver_ai.telemetry.export import CountedLogs, CountedSpans, combined_health
from weaver_ai.telemetry.metrics import Prometheus
from weaver_ai.telemetry.pipeline import Pipeline
from weaver_ai.telemetry.redaction import Redactor
from weaver_ai.telemetry.spare_threads import SpareThreads, Step, within

__all__ = ["Providers", "SdkTelemetry"]


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Providers:
    """What a backend installs.

    Attributes:
        host_owned: the application set the tracer provider itself; weaver only joined it.
        flush: what there is to flush besides the pipeline's own batches, or None.
        retire: take the pipeline out of the providers; spans then go nowhere.
        cloud_health: the health of an exporter that isn't the pipeline's, or None.
    """

    tracer: TracerProvider
    meter: MeterProvider
    logger: LoggerProvider
    prometheus: Prometheus
    host_owned: bool = False
    flush: Step | None = None
    retire: Step = _nothing
    cloud_health: Callable[[], ExporterHealth | None] = _nothing


@dataclass
class SdkTelemetry:
    """See `weaver_ai.telemetry.api.Telemetry`."""

    name: BackendName
    settings: Settings
    service_name: str
    pipeline: Pipeline
    providers: Providers
    library_states: dict[str, str | None] = field(default_factory=dict)
    spare_threads: SpareThreads = field(default_factory=SpareThreads)
    retired: bool = False
    enabled: Final = True

    @property
    def environment(self) -> str:
        return self.settings.telemetry_environment

    @property
    def capture_payloads(self) -> bool:
        return self.settings.capture_payloads

    @property
    def trace_health(self) -> bool:
        return self.settings.telemetry_trace_health

    @property
    def host_owned(self) -> bool:
        return self.providers.host_owned

    @property
    def redactor(self) -> Redactor:
        return self.pipeline.redactor

    @property
    def tracer_provider(self) -> TracerProvider:
        return self.providers.tracer

    @property
    def meter_provider(self) -> MeterProvider:
        return self.providers.meter

    @property
    def logger_provider(self) -> LoggerProvider:
        return self.providers.logger

    @property
    def instrumented(self) -> tuple[str, ...]:
        return tuple(library for library, reason in self.library_states.items() if reason is None)

    @property
    def skipped(self) -> Mapping[str, str]:
        return MappingProxyType(
            {library: reason for library, reason in self.library_states.items() if reason is not None}
        )

    def __post_init__(self) -> None:
        self.spare_threads.hold(len(self.pipeline.batches) + len(self._other_flushes))

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        failed = self.exporter_health().failed
        steps = [*[batch.force_flush for batch in self.pipeline.batches], *self._other_flushes]
        began = time.monotonic()
        sent = within(timeout_seconds, *steps, start=self.spare_threads.start)
        written = self._console_within(timeout_seconds - (time.monotonic() - began))
        return sent and written and self.exporter_health().failed == failed

    def shutdown(self, timeout_seconds: float = 5.0) -> bool:
        if self.retired:
            return True
        self.retired = True
        start = self.spare_threads.start
        flushed = self.flush(timeout_seconds * 0.64)
        stopped = within(timeout_seconds * 0.16, *[batch.shutdown for batch in self.pipeline.batches], start=start)
        retired = within(timeout_seconds * 0.2, self.providers.retire, start=start)
        self._console_within(0.0, close=True)
        return retired and stopped and flushed

    def end(self, timeout_seconds: float = 5.0) -> None:
        """As `shutdown`, at the end of the process: without leaving anything usable behind."""
        if not self.retired:
            self.retired = True
            stops = [partial(_flush_and_stop, batch) for batch in self.pipeline.batches]
            began = time.monotonic()
            within(timeout_seconds, *stops, *self._other_flushes, start=self.spare_threads.start)
            self._console_within(timeout_seconds - (time.monotonic() - began), close=True)

    def _console_within(self, seconds: float, *, close: bool = False) -> bool:
        console = self.pipeline.console
        if console is None:
            return True
        return console.close(seconds) if close else console.flush(seconds)

    @property
    def _other_flushes(self) -> list[Step]:
        flush = self.providers.flush
        return [*[reader.force_flush for reader in self.pipeline.metric_readers], *([flush] if flush else [])]

    def exporter_health(self) -> ExporterHealth:
        own = combined_health(self.pipeline.batches)
        cloud = self.providers.cloud_health()
        if cloud is None:
            return own
        return ExporterHealth(
            state="degraded" if "degraded" in (own.state, cloud.state) else "ok",
            queued=own.queued + cloud.queued,
            exported=own.exported + cloud.exported,
            dropped=own.dropped + cloud.dropped,
            failed=own.failed + cloud.failed,
            reason=cloud.reason or own.reason,
            latency=own.latency if cloud.latency is None else max(cloud.latency, own.latency or 0.0),
        )

    def prometheus(self) -> bytes:
        return self.providers.prometheus.text()


def _flush_and_stop(batch: CountedSpans | CountedLogs) -> None:
    batch.force_flush()
    batch.shutdown()  # type: ignore[no-untyped-call] # the SDK's, for log records

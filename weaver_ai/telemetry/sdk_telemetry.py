"""The telemetry object of both real backends; they differ in how the providers are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from weaver_ai.settings import Settings
from weaver_ai.telemetry.api import BackendName, ExporterHealth
from weaver_ai.telemetry.export import combined_health, within
from weaver_ai.telemetry.metrics import Prometheus
from weaver_ai.telemetry.pipeline import Pipeline
from weaver_ai.telemetry.redaction import Redactor

__all__ = ["Providers", "SdkTelemetry"]


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Providers:
    """What a backend installs.

    Attributes:
        host_owned: the application set the tracer provider itself; weaver only joined it.
        flush: what there is to flush besides the pipeline's own batches.
        retire: take the pipeline out of the providers; spans then go nowhere.
        end: stop what would otherwise hold up the end of the process.
        cloud_health: the health of an exporter that isn't the pipeline's, or None.
    """

    tracer: TracerProvider
    meter: MeterProvider
    logger: LoggerProvider
    prometheus: Prometheus
    host_owned: bool = False
    flush: Callable[[], object] = _nothing
    retire: Callable[[], object] = _nothing
    end: Callable[[], object] = _nothing
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

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        readers = [reader.force_flush for reader in self.pipeline.metric_readers]
        batches = [batch.force_flush for batch in self.pipeline.batches]
        failed = self.exporter_health().failed
        return within(timeout_seconds, *batches, *readers, self.providers.flush) and (
            self.exporter_health().failed == failed
        )

    def shutdown(self, timeout_seconds: float = 5.0) -> bool:
        if self.retired:
            return True
        stopped = self._stop(timeout_seconds * 0.8)
        return within(timeout_seconds * 0.2, self.providers.retire) and stopped

    def end(self, timeout_seconds: float = 5.0) -> None:
        """As `shutdown`, at the end of the process: without leaving anything usable behind."""
        if not self.retired:
            self._stop(timeout_seconds * 0.8)
        within(timeout_seconds * 0.2, self.providers.end)

    def _stop(self, seconds: float) -> bool:
        self.retired = True
        flushed = self.flush(seconds * 0.8)
        return within(seconds * 0.2, *[batch.shutdown for batch in self.pipeline.batches]) and flushed

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

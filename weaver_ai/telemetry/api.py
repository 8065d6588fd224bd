"""What every backend offers, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from weaver_ai.telemetry.redaction import Redactor

__all__ = ["BackendName", "ExporterHealth", "ExporterState", "Telemetry"]

BackendName: TypeAlias = Literal["logfire", "opentelemetry", "off"]
ExporterState: TypeAlias = Literal["ok", "degraded", "off"]


@dataclass(frozen=True, slots=True)
class ExporterHealth:
    """How the export out of this process goes. The counts are of spans and log records together.

    Attributes:
        state: "off" without an exporter that leaves the process; "degraded" since the last export
            failed, or since the last 60 seconds saw a full queue.
        queued: waiting to be sent; bounded.
        exported: taken by the other side.
        dropped: lost to a full queue.
        failed: given to the exporter, which couldn't deliver them.
        reason: why the last failed export failed, redacted; None after a success.
        latency: seconds that the last batch took to be delivered, of the slower exporter; None before the first.
    """

    state: ExporterState
    queued: int = 0
    exported: int = 0
    dropped: int = 0
    failed: int = 0
    reason: str | None = None
    latency: float | None = None


class Telemetry(Protocol):
    """The telemetry of this process, as `configure_telemetry` chose it.

    Attributes:
        instrumented: the libraries that `instrument_all` has instrumented, by name.
        skipped: the libraries that it hasn't, each with the reason.
        host_owned: the providers are the application's own; weaver only joined them.
    """

    @property
    def name(self) -> BackendName: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def service_name(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def capture_payloads(self) -> bool: ...
    @property
    def trace_health(self) -> bool: ...
    @property
    def redactor(self) -> Redactor: ...
    @property
    def tracer_provider(self) -> TracerProvider: ...
    @property
    def meter_provider(self) -> MeterProvider: ...
    @property
    def logger_provider(self) -> LoggerProvider: ...
    @property
    def instrumented(self) -> tuple[str, ...]: ...
    @property
    def host_owned(self) -> bool: ...
    @property
    def skipped(self) -> Mapping[str, str]: ...

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Send what is queued; True if all of it left in time. Never raises, never takes longer."""
        ...

    def shutdown(self, timeout_seconds: float = 5.0) -> bool:
        """Flush, then stop the exporters for good; True if it was done in time. Never raises."""
        ...

    def exporter_health(self) -> ExporterHealth: ...

    def prometheus(self) -> bytes:
        """Every metric in Prometheus' text format 0.0.4, for GET /metrics."""
        ...

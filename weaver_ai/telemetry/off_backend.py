"""Telemetry switched off: no provider, no exporter, no cost."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

from weaver_ai.telemetry.api import BackendName, ExporterHealth
from weaver_ai.telemetry.redaction import Redactor

__all__ = ["OffTelemetry"]

_NOTHING: Mapping[str, str] = MappingProxyType({})


class OffTelemetry:
    """What `current_telemetry` gives before `configure_telemetry`, and when telemetry is disabled."""

    name: Final[BackendName] = "off"
    enabled: Final = False
    instrumented: tuple[str, ...] = ()
    skipped: Mapping[str, str] = _NOTHING
    trace_health: Final = False
    capture_payloads: Final = False
    host_owned: Final = False

    def __init__(
        self,
        service_name: str = "weaver-ai",
        environment: str = "development",
        redactor: Redactor | None = None,
    ) -> None:
        self.service_name = service_name
        self.environment = environment
        self.redactor = redactor or Redactor()
        self.tracer_provider = NoOpTracerProvider()
        self.meter_provider = NoOpMeterProvider()
        self.logger_provider = NoOpLoggerProvider()

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        del timeout_seconds
        return True

    def shutdown(self, timeout_seconds: float = 5.0) -> bool:
        del timeout_seconds
        return True

    def exporter_health(self) -> ExporterHealth:
        return ExporterHealth("off")

    def prometheus(self) -> bytes:
        return b"# telemetry is off (WEAVER_TELEMETRY_ENABLED=false)\n"

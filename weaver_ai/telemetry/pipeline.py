"""What stands behind the providers, made from the settings; the same for Logfire and plain OpenTelemetry."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import SpanProcessor

from weaver_ai.errors import SettingsError
from weaver_ai.settings import Settings
from weaver_ai.telemetry.console import ConsoleLogs, ConsoleSpans
from weaver_ai.telemetry.export import CountedLogs, CountedSpans
from weaver_ai.telemetry.otlp_headers import otlp_headers
from weaver_ai.telemetry.outlets import outlets_of
from weaver_ai.telemetry.processors import AttemptErrors, InboundLinks, RedactingLogs, RedactingSpans, ValidationErrors
from weaver_ai.telemetry.redaction import Redactor
from weaver_ai.telemetry.terminal import Console

__all__ = ["Pipeline", "build_pipeline"]

_log = logging.getLogger("weaver_ai.telemetry")
_OTLP_MISSING: Final = (
    "OTLP endpoint is set, but the exporter is not installed: nothing is sent - "
    "install with: pip install opentelemetry-exporter-otlp-proto-http"
)


_Batch = TypeVar("_Batch", CountedSpans, CountedLogs)


@dataclass
class Pipeline:
    """Processors and readers in the order in which they belong on a provider."""

    redactor: Redactor
    span_processors: tuple[SpanProcessor, ...]
    log_processors: tuple[LogRecordProcessor, ...]
    metric_readers: tuple[MetricReader, ...] = ()
    batches: tuple[CountedSpans | CountedLogs, ...] = field(default=())
    console: Console | None = None


def build_pipeline(settings: Settings, redactor: Redactor, *, host_owned: bool = False) -> Pipeline:
    """Redaction first, then the console, then OTLP where an endpoint is set.

    With providers of the application's own it is redaction only: where spans go is the application's choice.
    """
    spans: list[SpanProcessor] = [RedactingSpans(redactor), InboundLinks(), AttemptErrors()]
    logs: list[LogRecordProcessor] = [RedactingLogs(redactor), ValidationErrors()]
    if host_owned:
        return Pipeline(redactor, tuple(spans), tuple(logs))
    outlets = outlets_of(settings)
    for line in outlets.undone:
        _log.warning(line)
    minimal = settings.telemetry_environment == "production"
    console = Console(colour=_colour(settings))
    spans.append(ConsoleSpans(console, minimal=minimal and "traces" not in outlets.console))
    logs.append(ConsoleLogs(console, minimal=minimal and "logs" not in outlets.console))
    endpoints = outlets.endpoints
    if endpoints and importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        _log.warning(_OTLP_MISSING)
        endpoints = {}
    batches: list[CountedSpans | CountedLogs] = []
    readers: list[MetricReader] = []
    if traces := endpoints.get("traces"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional

        spans_to = OTLPSpanExporter(traces, headers=otlp_headers(settings, "traces"))
        batches.append(span_batch := _batch("OTEL_BSP", lambda: CountedSpans(spans_to, redactor)))
        spans.append(span_batch)
    if logs_endpoint := endpoints.get("logs"):
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415 - optional

        logs_to = OTLPLogExporter(logs_endpoint, headers=otlp_headers(settings, "logs"))
        batches.append(log_batch := _batch("OTEL_BLRP", lambda: CountedLogs(logs_to, redactor)))
        logs.append(log_batch)
    if metrics := endpoints.get("metrics"):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - optional
            OTLPMetricExporter,
        )

        readers.append(_Periodic(OTLPMetricExporter(metrics, headers=otlp_headers(settings, "metrics"))))
    if "metrics" in outlets.console:
        readers.append(_Periodic(ConsoleMetricExporter(sys.stderr)))
    return Pipeline(redactor, tuple(spans), tuple(logs), tuple(readers), tuple(batches), console)


def _batch(prefix: str, make: Callable[[], _Batch]) -> _Batch:
    """What `make` makes; of the SDK's variables it reads, one with a value that can't be is named."""
    try:
        return make()
    except ValueError as error:
        variable = str(error).partition(" ")[0].removesuffix("_millis").upper()
        raise SettingsError(f"{prefix}_{variable}: {error}") from None


class _Periodic(PeriodicExportingMetricReader):
    """One that can be taken off its provider without a warning.

    The SDK takes away what it collects with and then has it collect a last time, which it warns of.
    """

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        if self._collect is None:
            self._collect = lambda *_given, **_named: None  # type: ignore[assignment] # nothing is to be received
        super().shutdown(timeout_millis, **kwargs)


def _colour(settings: Settings) -> bool | None:
    if settings.no_color:
        return False
    return True if settings.force_color else None

"""What stands behind the providers, made from the settings; the same for Logfire and plain OpenTelemetry."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import SpanProcessor
from pydantic import SecretStr

from weaver_ai.settings import Settings
from weaver_ai.telemetry.console import ConsoleLogs, ConsoleSpans
from weaver_ai.telemetry.export import CountedLogs, CountedSpans
from weaver_ai.telemetry.outlets import outlets_of
from weaver_ai.telemetry.processors import AttemptErrors, InboundLinks, RedactingLogs, RedactingSpans, ValidationErrors
from weaver_ai.telemetry.redaction import Redactor, is_secret_key
from weaver_ai.telemetry.terminal import Console

__all__ = ["Pipeline", "build_pipeline", "known_secrets"]

_log = logging.getLogger("weaver_ai.telemetry")
_OTLP_MISSING: Final = (
    "OTLP endpoint is set, but the exporter is not installed: nothing is sent - "
    "install with: pip install opentelemetry-exporter-otlp-proto-http"
)


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
    headers = otlp_headers(settings)
    if traces := endpoints.get("traces"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional

        batches.append(span_batch := CountedSpans(OTLPSpanExporter(traces, headers=headers), redactor))
        spans.append(span_batch)
    if logs_endpoint := endpoints.get("logs"):
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415 - optional

        batches.append(log_batch := CountedLogs(OTLPLogExporter(logs_endpoint, headers=headers), redactor))
        logs.append(log_batch)
    if metrics := endpoints.get("metrics"):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - optional
            OTLPMetricExporter,
        )

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(metrics, headers=headers)))
    if "metrics" in outlets.console:
        readers.append(PeriodicExportingMetricReader(ConsoleMetricExporter(sys.stderr)))
    return Pipeline(redactor, tuple(spans), tuple(logs), tuple(readers), tuple(batches), console)


def otlp_headers(settings: Settings) -> dict[str, str] | None:
    """OTEL_EXPORTER_OTLP_HEADERS from the settings; None leaves the exporter to read the environment itself."""
    if settings.otel_exporter_otlp_headers is None:
        return None
    from opentelemetry.util.re import parse_env_headers  # noqa: PLC0415 - only where headers are set

    return dict(parse_env_headers(settings.otel_exporter_otlp_headers.get_secret_value(), liberal=True))


def known_secrets(settings: Settings) -> list[str]:
    """The values of the settings' own secrets, the passwords inside URLs and headers among them."""
    found: list[str] = []
    for value in dict(settings).values():
        for item in value if isinstance(value, tuple) else (value,):
            text = item.get_secret_value() if isinstance(item, SecretStr) else item
            if isinstance(item, SecretStr):
                found.append(text)
            if isinstance(text, str) and "://" in text:
                found += _secrets_of_url(text)
    for header in (otlp_headers(settings) or {}).values():
        found += [header, *header.split()[1:]]
    return list(dict.fromkeys(secret for secret in found if secret))


def _secrets_of_url(url: str) -> Iterator[str]:
    """Its password and those in its query, as they are written and as they are meant."""
    rest = url.partition("://")[2]
    written = [rest.rpartition("@")[0].partition(":")[2]] if "@" in rest else []
    query = (pair.partition("=") for pair in url.partition("?")[2].split("&"))
    written += [value for key, _, value in query if is_secret_key(unquote(key))]
    for password in written:
        yield from (password, unquote(password))


def _colour(settings: Settings) -> bool | None:
    if settings.no_color:
        return False
    return True if settings.force_color else None

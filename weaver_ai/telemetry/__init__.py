"""Telemetry: Logfire, plain OpenTelemetry, or off, behind one interface."""

from weaver_ai.telemetry import names
from weaver_ai.telemetry.api import ExporterHealth, Telemetry
from weaver_ai.telemetry.configure import configure_telemetry
from weaver_ai.telemetry.exceptions import error_type, mark_error
from weaver_ai.telemetry.instrument import fastapi_telemetry, instrument_all, uninstrument_all
from weaver_ai.telemetry.logs import bind_log_context, log_error, log_info, log_warning
from weaver_ai.telemetry.runtime import current_telemetry
from weaver_ai.telemetry.spans import start_span
from weaver_ai.telemetry.validation import record_validation_errors

__all__ = [
    "ExporterHealth",
    "Telemetry",
    "bind_log_context",
    "configure_telemetry",
    "current_telemetry",
    "error_type",
    "fastapi_telemetry",
    "instrument_all",
    "log_error",
    "log_info",
    "log_warning",
    "mark_error",
    "names",
    "record_validation_errors",
    "start_span",
    "uninstrument_all",
]

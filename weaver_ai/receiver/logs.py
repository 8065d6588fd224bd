"""From OTLP's JSON encoding to log records.

Source: opentelemetry-proto, `ExportLogsServiceRequest`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from weaver_ai.spans.model import Attributes, AttributeValue, Scope
from weaver_ai.spans.otlp_fields import (
    InvalidOtlp,
    any_value,
    as_object,
    attributes_in,
    identity,
    integer,
    objects,
    scope_in,
    string,
    word,
)

__all__ = ["LogRecord", "logs_of_json"]

_RANGES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_SEVERITIES = ("UNSPECIFIED", *(f"{name}{number}" for name in _RANGES for number in ("", 2, 3, 4)))


@dataclass(frozen=True, slots=True, eq=False)
class LogRecord:
    """One log record. Equal only to itself.

    Attributes:
        severity: the number, from 1 (trace) to 24 (fatal); 0 if none was given.
        severity_text: what the source calls it.
        time: nanoseconds since the epoch; when it was observed, if it doesn't say when it happened.
    """

    body: AttributeValue = None
    severity: int = 0
    severity_text: str | None = None
    time: int = 0
    event_name: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    attributes: Attributes = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    resource: Attributes = field(default_factory=dict)


def logs_of_json(request: object, *, reject: Callable[[InvalidOtlp], None]) -> list[LogRecord]:
    """The log records of a decoded `ExportLogsServiceRequest`, in the order they stand there.

    Args:
        request: what `json.loads` gives.
        reject: told of each record that is wrong in itself, which is then left out.

    Raises:
        InvalidOtlp: what holds the records has the wrong type.
    """
    logs: list[LogRecord] = []
    for resource_logs in objects(as_object(request, "request"), "resourceLogs"):
        resource = attributes_in(as_object(resource_logs.get("resource", {}), "resource"))
        for scope_logs in objects(resource_logs, "scopeLogs"):
            scope = scope_in(scope_logs)
            for entry in objects(scope_logs, "logRecords"):
                try:
                    logs.append(_log(entry, resource, scope))
                except InvalidOtlp as error:
                    reject(error)
    return logs


def _log(entry: Mapping[str, object], resource: Attributes, scope: Scope) -> LogRecord:
    return LogRecord(
        body=any_value(as_object(entry.get("body", {}), "body")),
        severity=_SEVERITIES.index(word(entry, "severityNumber", _SEVERITIES, "SEVERITY_NUMBER_")),
        severity_text=string(entry, "severityText") or None,
        time=integer(entry, "timeUnixNano") or integer(entry, "observedTimeUnixNano"),
        event_name=string(entry, "eventName") or None,
        trace_id=identity(entry, "traceId", 32),
        span_id=identity(entry, "spanId", 16),
        attributes=attributes_in(entry),
        scope=scope,
        resource=resource,
    )

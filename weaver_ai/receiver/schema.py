"""The messages of OTLP, as far as anything here reads them.

Source: opentelemetry-proto; a test compares each field with the descriptors of the package of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

__all__ = ["MESSAGES", "Field", "Kind"]

Kind: TypeAlias = Literal[
    "string", "hex", "bytes", "bool", "int64", "enum", "fixed64", "sfixed64", "fixed32", "double", "message"
]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message.

    Attributes:
        name: in JSON.
        kind: its type on the wire; `hex` is bytes that JSON writes in hexadecimal, others are base64 there.
        message: the name of the message that it holds.
        oneof: the name of the group of which at most one field is set.
    """

    name: str
    kind: Kind
    message: str = ""
    is_repeated: bool = False
    oneof: str = ""


def _one(name: str, message: str, oneof: str = "") -> Field:
    return Field(name, "message", message, oneof=oneof)


def _many(name: str, message: str) -> Field:
    return Field(name, "message", message, is_repeated=True)


_ATTRIBUTES: Final = _many("attributes", "common.v1.KeyValue")
_RESOURCE: Final = _one("resource", "resource.v1.Resource")
_SCOPE: Final = _one("scope", "common.v1.InstrumentationScope")
_TEMPORALITY: Final = Field("aggregationTemporality", "enum")
_START: Final = Field("startTimeUnixNano", "fixed64")
_TIME: Final = Field("timeUnixNano", "fixed64")
_SUM: Final = Field("sum", "double", oneof="_sum")
_COUNT: Final = Field("count", "fixed64")

MESSAGES: Final[Mapping[str, Mapping[int, Field]]] = MappingProxyType(
    {
        "collector.trace.v1.ExportTraceServiceRequest": {1: _many("resourceSpans", "trace.v1.ResourceSpans")},
        "collector.logs.v1.ExportLogsServiceRequest": {1: _many("resourceLogs", "logs.v1.ResourceLogs")},
        "collector.metrics.v1.ExportMetricsServiceRequest": {1: _many("resourceMetrics", "metrics.v1.ResourceMetrics")},
        "resource.v1.Resource": {1: _ATTRIBUTES},
        "common.v1.InstrumentationScope": {1: Field("name", "string"), 2: Field("version", "string")},
        "common.v1.KeyValue": {1: Field("key", "string"), 2: _one("value", "common.v1.AnyValue")},
        "common.v1.AnyValue": {
            1: Field("stringValue", "string", oneof="value"),
            2: Field("boolValue", "bool", oneof="value"),
            3: Field("intValue", "int64", oneof="value"),
            4: Field("doubleValue", "double", oneof="value"),
            5: _one("arrayValue", "common.v1.ArrayValue", oneof="value"),
            6: _one("kvlistValue", "common.v1.KeyValueList", oneof="value"),
            7: Field("bytesValue", "bytes", oneof="value"),
        },
        "common.v1.ArrayValue": {1: _many("values", "common.v1.AnyValue")},
        "common.v1.KeyValueList": {1: _many("values", "common.v1.KeyValue")},
        "trace.v1.ResourceSpans": {1: _RESOURCE, 2: _many("scopeSpans", "trace.v1.ScopeSpans")},
        "trace.v1.ScopeSpans": {1: _SCOPE, 2: _many("spans", "trace.v1.Span")},
        "trace.v1.Span": {
            1: Field("traceId", "hex"),
            2: Field("spanId", "hex"),
            4: Field("parentSpanId", "hex"),
            5: Field("name", "string"),
            6: Field("kind", "enum"),
            7: _START,
            8: Field("endTimeUnixNano", "fixed64"),
            9: _ATTRIBUTES,
            11: _many("events", "trace.v1.Span.Event"),
            13: _many("links", "trace.v1.Span.Link"),
            15: _one("status", "trace.v1.Status"),
            16: Field("flags", "fixed32"),
        },
        "trace.v1.Span.Event": {1: _TIME, 2: Field("name", "string"), 3: _ATTRIBUTES},
        "trace.v1.Span.Link": {1: Field("traceId", "hex"), 2: Field("spanId", "hex"), 4: _ATTRIBUTES},
        "trace.v1.Status": {2: Field("message", "string"), 3: Field("code", "enum")},
        "logs.v1.ResourceLogs": {1: _RESOURCE, 2: _many("scopeLogs", "logs.v1.ScopeLogs")},
        "logs.v1.ScopeLogs": {1: _SCOPE, 2: _many("logRecords", "logs.v1.LogRecord")},
        "logs.v1.LogRecord": {
            1: _TIME,
            2: Field("severityNumber", "enum"),
            3: Field("severityText", "string"),
            5: _one("body", "common.v1.AnyValue"),
            6: _ATTRIBUTES,
            9: Field("traceId", "hex"),
            10: Field("spanId", "hex"),
            11: Field("observedTimeUnixNano", "fixed64"),
            12: Field("eventName", "string"),
        },
        "metrics.v1.ResourceMetrics": {1: _RESOURCE, 2: _many("scopeMetrics", "metrics.v1.ScopeMetrics")},
        "metrics.v1.ScopeMetrics": {1: _SCOPE, 2: _many("metrics", "metrics.v1.Metric")},
        "metrics.v1.Metric": {
            1: Field("name", "string"),
            3: Field("unit", "string"),
            5: _one("gauge", "metrics.v1.Gauge", oneof="data"),
            7: _one("sum", "metrics.v1.Sum", oneof="data"),
            9: _one("histogram", "metrics.v1.Histogram", oneof="data"),
            10: _one("exponentialHistogram", "metrics.v1.ExponentialHistogram", oneof="data"),
            11: _one("summary", "metrics.v1.Summary", oneof="data"),
        },
        "metrics.v1.Gauge": {1: _many("dataPoints", "metrics.v1.NumberDataPoint")},
        "metrics.v1.Sum": {
            1: _many("dataPoints", "metrics.v1.NumberDataPoint"),
            2: _TEMPORALITY,
            3: Field("isMonotonic", "bool"),
        },
        "metrics.v1.Histogram": {1: _many("dataPoints", "metrics.v1.HistogramDataPoint"), 2: _TEMPORALITY},
        "metrics.v1.ExponentialHistogram": {
            1: _many("dataPoints", "metrics.v1.ExponentialHistogramDataPoint"),
            2: _TEMPORALITY,
        },
        "metrics.v1.Summary": {1: _many("dataPoints", "metrics.v1.SummaryDataPoint")},
        "metrics.v1.NumberDataPoint": {
            2: _START,
            3: _TIME,
            4: Field("asDouble", "double", oneof="value"),
            6: Field("asInt", "sfixed64", oneof="value"),
            7: _ATTRIBUTES,
        },
        "metrics.v1.HistogramDataPoint": {2: _START, 3: _TIME, 4: _COUNT, 5: _SUM, 9: _ATTRIBUTES},
        "metrics.v1.ExponentialHistogramDataPoint": {1: _ATTRIBUTES, 2: _START, 3: _TIME, 4: _COUNT, 5: _SUM},
        "metrics.v1.SummaryDataPoint": {
            2: _START,
            3: _TIME,
            4: _COUNT,
            5: Field("sum", "double"),
            7: _ATTRIBUTES,
        },
    }
)
"""By name, each field by its number. Names lack the package's `opentelemetry.proto.`."""

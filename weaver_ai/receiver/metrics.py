"""From OTLP's JSON encoding to the data points of metrics.

Source: opentelemetry-proto, `ExportMetricsServiceRequest`. Buckets, quantiles and exemplars are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from weaver_ai.spans.model import Attributes, Scope
from weaver_ai.spans.otlp_fields import (
    InvalidOtlp,
    as_object,
    attributes_in,
    boolean,
    double,
    integer,
    objects,
    scope_in,
    string,
    word,
)

__all__ = ["DataPoint", "PointKind", "points_of_json"]

PointKind: TypeAlias = Literal["gauge", "counter", "up_down_counter", "histogram"]

_TEMPORALITIES: Final = ("UNSPECIFIED", "DELTA", "CUMULATIVE")
_HISTOGRAMS: Final = ("histogram", "exponentialHistogram", "summary")


@dataclass(frozen=True, slots=True, eq=False)
class DataPoint:
    """What one time series said in one export. Equal only to itself.

    Attributes:
        value: a gauge's last value; a sum; of a histogram, or a summary, the sum of what was recorded.
        count: how many measurements a histogram holds; None for the other kinds.
        is_delta: it tells of the time since the last export, not since `start`.
        start: nanoseconds since the epoch.
    """

    name: str
    kind: PointKind
    value: float
    unit: str = ""
    count: int | None = None
    is_delta: bool = False
    start: int = 0
    time: int = 0
    attributes: Attributes = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    resource: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    unit: str
    kind: PointKind
    is_delta: bool
    scope: Scope
    resource: Attributes


def points_of_json(request: object, *, reject: Callable[[InvalidOtlp], None]) -> list[DataPoint]:
    """The data points of a decoded `ExportMetricsServiceRequest`, in the order they stand there.

    Args:
        request: what `json.loads` gives.
        reject: told of each point that is wrong in itself, which is then left out.

    Raises:
        InvalidOtlp: what holds the points has the wrong type.
    """
    points: list[DataPoint] = []
    for metric, entry in _entries(as_object(request, "request")):
        try:
            points.append(_point(metric, entry))
        except InvalidOtlp as error:
            reject(error)
    return points


def _entries(request: Mapping[str, object]) -> Iterator[tuple[_Metric, Mapping[str, object]]]:
    for resource_metrics in objects(request, "resourceMetrics"):
        resource = attributes_in(as_object(resource_metrics.get("resource", {}), "resource"))
        for scope_metrics in objects(resource_metrics, "scopeMetrics"):
            scope = scope_in(scope_metrics)
            for entry in objects(scope_metrics, "metrics"):
                for kind, data in _data(entry):
                    temporality = word(data, "aggregationTemporality", _TEMPORALITIES, "AGGREGATION_TEMPORALITY_")
                    metric = _Metric(
                        string(entry, "name"), string(entry, "unit"), kind, temporality == "DELTA", scope, resource
                    )
                    for point in objects(data, "dataPoints"):
                        yield metric, point


def _data(entry: Mapping[str, object]) -> Iterator[tuple[PointKind, Mapping[str, object]]]:
    if "gauge" in entry:
        yield "gauge", as_object(entry["gauge"], "gauge")
    if "sum" in entry:
        data = as_object(entry["sum"], "sum")
        is_monotonic = "isMonotonic" in data and boolean(data, "isMonotonic")
        yield ("counter" if is_monotonic else "up_down_counter"), data
    for name in _HISTOGRAMS:
        if name in entry:
            yield "histogram", as_object(entry[name], name)


def _point(metric: _Metric, entry: Mapping[str, object]) -> DataPoint:
    counts = metric.kind == "histogram"
    return DataPoint(
        name=metric.name,
        kind=metric.kind,
        unit=metric.unit,
        value=_sum(entry) if counts else _number(entry),
        count=integer(entry, "count") if counts else None,
        is_delta=metric.is_delta,
        start=integer(entry, "startTimeUnixNano"),
        time=integer(entry, "timeUnixNano"),
        attributes=attributes_in(entry),
        scope=metric.scope,
        resource=metric.resource,
    )


def _sum(entry: Mapping[str, object]) -> float:
    return double(entry, "sum") if "sum" in entry else 0.0


def _number(entry: Mapping[str, object]) -> float:
    return integer(entry, "asInt") if "asInt" in entry else double(entry, "asDouble") if "asDouble" in entry else 0

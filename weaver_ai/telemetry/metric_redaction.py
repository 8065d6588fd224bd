"""Labels of metrics without secrets, for every reader of a provider: `/metrics`, OTLP, Logfire, the application's.

A label is redacted as it is read, not as it is measured: that costs a scrape some microseconds, and a request nothing.
Series that differ in nothing but their secrets are one series afterwards, for Prometheus refuses two of one name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics.export import HistogramDataPoint, Metric, MetricsData, NumberDataPoint, Sum

from weaver_ai.telemetry.redaction import Redactor

__all__ = ["redact_readers", "redacted_metrics"]


def redact_readers(meter_provider: object, redactor: Callable[[], Redactor]) -> None:
    """Have the readers that `meter_provider` has by now receive their metrics redacted; twice does it once.

    There is no public way to them, nor to change what all of them get.
    """
    provider = getattr(meter_provider, "provider", meter_provider)  # Logfire's has the SDK's inside
    consumer = getattr(provider, "_measurement_consumer", None)
    readers: Mapping[Any, object] = getattr(consumer, "_reader_storages", {})
    for reader in tuple(readers):
        receive = reader._receive_metrics
        if not isinstance(receive, _Redacted):
            reader._receive_metrics = _Redacted(receive, redactor)


class _Redacted:
    def __init__(self, receive: Callable[..., None], redactor: Callable[[], Redactor]) -> None:
        self._receive = receive
        self._redactor = redactor

    def __call__(self, metrics_data: MetricsData, *arguments: Any, **options: Any) -> None:
        self._receive(redacted_metrics(metrics_data, self._redactor()), *arguments, **options)


def redacted_metrics(data: MetricsData, redactor: Redactor) -> MetricsData:
    """`data` with the labels of every point redacted."""
    return replace(
        data,
        resource_metrics=[
            replace(
                of_resource,
                scope_metrics=[
                    replace(of_scope, metrics=[_metric(metric, redactor) for metric in of_scope.metrics])
                    for of_scope in of_resource.scope_metrics
                ],
            )
            for of_resource in data.resource_metrics
        ],
    )


def _metric(metric: Metric, redactor: Redactor) -> Metric:
    data: Any = metric.data
    points: Sequence[Any] = data.data_points
    shown = [_point(point, redactor) for point in points]
    if all(new is old for new, old in zip(shown, points, strict=True)):
        return metric
    merged: dict[str, Any] = {}
    for point in shown:
        labels = repr(sorted((point.attributes or {}).items()))
        before = merged.get(labels)
        merged[labels] = point if before is None else _together(before, point, added=isinstance(data, Sum))
    return replace(metric, data=replace(data, data_points=list(merged.values())))


def _point(point: Any, redactor: Redactor) -> Any:
    changed: dict[str, Any] = {}
    if (labels := redactor.attributes(point.attributes)) is not None:
        changed["attributes"] = labels
    exemplars = [_exemplar(exemplar, redactor) for exemplar in point.exemplars]
    if any(new is not old for new, old in zip(exemplars, point.exemplars, strict=True)):
        changed["exemplars"] = exemplars
    return replace(point, **changed) if changed else point


def _exemplar(exemplar: Any, redactor: Redactor) -> Any:
    """What a view has taken from the labels stands here."""
    labels = redactor.attributes(exemplar.filtered_attributes)
    return exemplar if labels is None else replace(exemplar, filtered_attributes=labels)


def _together(one: Any, other: Any, *, added: bool) -> Any:
    """Two points as one: counts are added, of what can't be added the later one stays."""
    if isinstance(other, NumberDataPoint) and added:
        return replace(other, value=one.value + other.value)
    if isinstance(other, HistogramDataPoint) and one.explicit_bounds == other.explicit_bounds:
        return replace(
            other,
            count=one.count + other.count,
            sum=one.sum + other.sum,
            bucket_counts=[a + b for a, b in zip(one.bucket_counts, other.bucket_counts, strict=True)],
            min=min(one.min, other.min),
            max=max(one.max, other.max),
            exemplars=[*one.exemplars, *other.exemplars],
        )
    return other

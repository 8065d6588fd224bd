from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.trace import TracerProvider

from weaver_ai.telemetry.metric_redaction import redact_readers
from weaver_ai.telemetry.metrics import Prometheus
from weaver_ai.telemetry.redaction import REDACTED, Redactor

KEYS = ["sk-" + "proj-" + letter * 16 + "1234" for letter in "abc"]


class Measured:
    def __init__(self, *views: View) -> None:
        self.prometheus, self.memory = Prometheus(), InMemoryMetricReader()
        assert self.prometheus.reader is not None
        self.provider = MeterProvider([self.prometheus.reader, self.memory], views=views, shutdown_on_exit=False)
        for _ in range(2):
            redact_readers(self.provider, Redactor)
        self.meter = self.provider.get_meter("test")

    def points(self) -> list[Any]:
        data = self.memory.get_metrics_data()
        assert data is not None
        return [
            point
            for of_resource in data.resource_metrics
            for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics
            for point in metric.data.data_points
        ]

    def lines(self, name: str) -> list[str]:
        return [line for line in self.prometheus.text().decode().splitlines() if line.startswith(name)]


@pytest.fixture
def measured() -> Iterable[Measured]:
    made = Measured()
    yield made
    made.provider.shutdown()


def test_counts_of_labels_that_were_secrets_are_one_series(measured: Measured) -> None:
    counter = measured.meter.create_counter("calls")
    for key in KEYS:
        counter.add(2, {"by": key, "model": "m"})
    counter.add(1, {"by": "me", "model": "m"})
    assert [(dict(point.attributes), point.value) for point in measured.points()] == [
        ({"by": REDACTED, "model": "m"}, 6),
        ({"by": "me", "model": "m"}, 1),
    ]
    assert [line.partition("{")[2].split(",otel")[0] for line in measured.lines("calls_total")] == [
        'by="[redacted]",model="m"',
        'by="me",model="m"',
    ]
    assert [line.rpartition(" ")[2] for line in measured.lines("calls_total")] == ["6.0", "1.0"]


def test_histograms_are_added_bucket_by_bucket(measured: Measured) -> None:
    histogram = measured.meter.create_histogram("sizes", explicit_bucket_boundaries_advisory=[1, 10])
    for size, key in enumerate(KEYS, start=1):
        histogram.record(size * 5, {"password": key})
    (point,) = measured.points()
    assert (dict(point.attributes), list(point.bucket_counts)) == ({"password": REDACTED}, [0, 2, 1])
    assert (point.count, point.sum, point.min, point.max) == (3, 30, 5, 15)


def test_of_what_cannot_be_added_one_stays() -> None:
    measured = Measured(View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation()))
    histogram = measured.meter.create_histogram("sizes")
    for key in KEYS:
        histogram.record(5, {"by": key})
    (point,) = measured.points()
    assert (dict(point.attributes), point.count) == ({"by": REDACTED}, 1)
    measured.provider.shutdown()


def test_gauges_and_observed_values(measured: Measured) -> None:
    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(at, {"by": key}) for at, key in enumerate(KEYS)]

    measured.meter.create_observable_gauge("level", [observe])
    (point,) = measured.points()
    assert (dict(point.attributes), point.value) == ({"by": REDACTED}, 2)


def test_labels_that_hold_no_secret_are_what_they_were(measured: Measured) -> None:
    measured.meter.create_counter("tokens").add(3, {"gen_ai.token.type": "input", "code": 200})
    (point,) = measured.points()
    assert dict(point.attributes) == {"gen_ai.token.type": "input", "code": 200}


def test_half_a_surrogate_does_not_end_the_text(measured: Measured) -> None:
    measured.meter.create_counter("calls").add(1, {"by": "\ud800"})
    assert 'by="\ufffd"' in measured.lines("calls_total")[0]


def test_what_a_view_takes_from_the_labels_is_redacted_in_exemplars() -> None:
    measured = Measured(View(instrument_name="calls", attribute_keys=set()))
    with TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("work"):
        measured.meter.create_counter("calls").add(1, {"by": KEYS[0]})
    (point,) = measured.points()
    assert [dict(exemplar.filtered_attributes) for exemplar in point.exemplars] == [{"by": REDACTED}]
    measured.provider.shutdown()

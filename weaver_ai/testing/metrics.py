"""The `metrics` fixture's object: what instruments measured in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, final

from weaver_ai.spans import Scope
from weaver_ai.spans.values import show
from weaver_ai.testing.asserting.promises import Promise, Promises
from weaver_ai.testing.asserting.signals import (
    Condition,
    Eventually,
    Signal,
    Text,
    Waiting,
    conditions_on_attributes,
    text,
)
from weaver_ai.testing.capture.metric_taps import Measurement, observe
from weaver_ai.testing.capture.recording import Recording

if TYPE_CHECKING:
    from weaver_ai.receiver.metrics import DataPoint

__all__ = ["Kind", "Metric", "Metrics", "MetricsEventually", "MetricsWaiting", "Value"]

Kind: TypeAlias = Literal["counter", "up_down_counter", "histogram", "gauge"]

_KINDS: Mapping[str, Kind] = {
    "Counter": "counter",
    "ObservableCounter": "counter",
    "UpDownCounter": "up_down_counter",
    "ObservableUpDownCounter": "up_down_counter",
    "Histogram": "histogram",
    "Gauge": "gauge",
    "ObservableGauge": "gauge",
}
Value: TypeAlias = float | Callable[[float], object]
"""A number is exact; a predicate says whether the value will do."""

_Key: TypeAlias = tuple[str, str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One time series: an instrument, and one set of attributes. Equal only to itself.

    Attributes:
        value: what it grew by in this test (counters), the sum of what was recorded (histograms), or the
            last value (gauges).
        values: each measurement, in order; of an observable instrument, the one value that it has now; of another
            process, the value of each export.
        recorded: how many measurements a histogram of another process had; None for all others.
    """

    name: str
    kind: Kind
    unit: str
    attributes: Mapping[str, object]
    scope: Scope
    value: float
    values: tuple[float, ...]
    recorded: int | None = None

    @property
    def count(self) -> int:
        """How many measurements there were; of another process, but for histograms, how many exports."""
        return len(self.values) if self.recorded is None else self.recorded


@final
class Metrics(Signal[Metric]):
    """What the code under test measured since the test began, whichever provider it went to.

    It is what the instruments were given: before views, aggregation and export; and what other processes sent to
    `otlp`, where series that differ only in their resource are one, and those of this process are others.
    Every verb takes the instrument's name (exact, `*` for any run of characters, a compiled regex, or a predicate;
    lower case, as the SDK makes it), attributes, as for spans, and what the series' `value` is, or a predicate on it.

    Example:
        >>> metrics.one("gen_ai.client.token.usage", {"gen_ai.token.type": "input"}).value
        12
    """

    noun = "metric"

    def __init__(self, recording: Recording, *, promises: Promises | None = None) -> None:
        super().__init__(recording.subscribe_to_all, promises)
        self._recording = recording
        self._before = {_key(measurement): measurement.value for measurement in observe()}

    def one(self, name: Text, attributes: Mapping[str, object] | None = None, *, value: Value | None = None) -> Metric:
        """The only series that is so; with none or several the test fails."""
        __tracebackhide__ = True
        return self._one(_asked("one", name, attributes, value))

    def first(
        self, name: Text, attributes: Mapping[str, object] | None = None, *, value: Value | None = None
    ) -> Metric:
        """The series that was measured first, of at least one."""
        __tracebackhide__ = True
        return self._some(_asked("first", name, attributes, value))[0]

    def some(
        self, name: Text, attributes: Mapping[str, object] | None = None, *, value: Value | None = None
    ) -> list[Metric]:
        """At least one series."""
        __tracebackhide__ = True
        return self._some(_asked("some", name, attributes, value))

    def all(
        self, name: Text = "*", attributes: Mapping[str, object] | None = None, *, value: Value | None = None
    ) -> list[Metric]:
        """Any number of series."""
        return self._find(_asked("all", name, attributes, value))

    def none(self, name: Text, attributes: Mapping[str, object] | None = None, *, value: Value | None = None) -> None:
        """Fails if there is such a series."""
        __tracebackhide__ = True
        self._none(_asked("none", name, attributes, value))

    def count(
        self, name: Text = "*", attributes: Mapping[str, object] | None = None, *, value: Value | None = None
    ) -> int:
        """How many series there are."""
        return len(self._find(_asked("count", name, attributes, value)))

    def total(self, name: Text, attributes: Mapping[str, object] | None = None) -> float:
        """The sum of `value` over at least one series, whatever their other attributes."""
        __tracebackhide__ = True
        return sum(metric.value for metric in self._some(_asked("total", name, attributes)))

    @property
    def eventually(self) -> MetricsEventually:
        """The verbs that wait, for async tests: `await metrics.eventually.one("orders", value=3)`."""
        return MetricsEventually(self)

    @property
    def wait(self) -> MetricsWaiting:
        """The verbs that wait, for tests without an event loop: `metrics.wait.one("orders", value=3)`."""
        return MetricsWaiting(self)

    def _items(self) -> list[Metric]:
        series: dict[_Key, list[Measurement]] = {}
        for measurement in tuple(self._recording.measurements):
            series.setdefault(_key(measurement), []).append(measurement)
        found = [_series(measurements) for measurements in series.values()]
        return [*found, *self._observed(), *_arrived(self._recording.remote.points)]

    def _observed(self) -> Iterator[Metric]:
        for measurement in observe():
            metric = _series([measurement])
            before = 0.0 if metric.kind == "gauge" else self._before.get(_key(measurement), 0.0)
            if metric.kind == "gauge" or measurement.value != before:
                yield _series([measurement], before)

    def _line(self, item: Metric) -> str:
        unit = f" {item.unit}" if item.unit else ""
        return f"{item.name} {item.value:g}{unit} ({item.kind}){f' {show(item.attributes)}' if item.attributes else ''}"


@final
class MetricsEventually(Eventually[Metric]):
    """`await metrics.eventually.one("orders", value=3)`; `metrics.eventually(timeout=30)` waits longer than 5 seconds.

    A measurement wakes it. An observable instrument, which says nothing of itself, is read whenever something else
    is recorded, and at the end.
    """

    def one(
        self, name: Text, attributes: Mapping[str, object] | None = None, *, value: Value | None = None
    ) -> Promise[Metric]:
        """The series that is so, once it is; fails at once when there are several."""
        __tracebackhide__ = True
        asked = _asked("eventually.one", name, attributes, value)
        return self._promise("one", asked, self._one(asked))

    def first(
        self, name: Text, attributes: Mapping[str, object] | None = None, *, value: Value | None = None
    ) -> Promise[Metric]:
        """The series that was measured first, as soon as one is so."""
        __tracebackhide__ = True
        asked = _asked("eventually.first", name, attributes, value)
        return self._promise("first", asked, self._first(asked))

    def some(
        self, name: Text, attributes: Mapping[str, object] | None = None, *, value: Value | None = None
    ) -> Promise[list[Metric]]:
        """The series that are so, as soon as there is one."""
        __tracebackhide__ = True
        asked = _asked("eventually.some", name, attributes, value)
        return self._promise("some", asked, self._some(asked))


@final
class MetricsWaiting(Waiting[Metric]):
    """`metrics.wait.one("orders", value=3)`, as `eventually`; `metrics.wait(30)` waits longer than five seconds."""

    def one(self, name: Text, attributes: Mapping[str, object] | None = None, *, value: Value | None = None) -> Metric:
        """The series that is so, once it is; fails at once when there are several."""
        __tracebackhide__ = True
        return self._come(self._one(_asked("wait.one", name, attributes, value)))

    def first(
        self, name: Text, attributes: Mapping[str, object] | None = None, *, value: Value | None = None
    ) -> Metric:
        """The series that was measured first, as soon as one is so."""
        __tracebackhide__ = True
        return self._come(self._first(_asked("wait.first", name, attributes, value)))

    def some(
        self, name: Text, attributes: Mapping[str, object] | None = None, *, value: Value | None = None
    ) -> list[Metric]:
        """The series that are so, as soon as there is one."""
        __tracebackhide__ = True
        return self._come(self._some(_asked("wait.some", name, attributes, value)))


def _asked(verb: str, name: Text, attributes: object, value: Value | None = None) -> list[Condition[Metric]]:
    made: list[Condition[Metric]] = [text("name", name, lambda metric: metric.name)]
    if value is not None:
        made.append(Condition("value", value, lambda metric: metric.value))
    return [*made, *conditions_on_attributes(verb, attributes, lambda metric: metric.attributes)]


def _key(measurement: Measurement) -> _Key:
    instrument = measurement.instrument
    return instrument.instrumentation_scope.name, instrument.name, _pairs(measurement.attributes or {})


def _pairs(attributes: Mapping[str, object]) -> frozenset[tuple[str, str]]:
    return frozenset((key, repr(value)) for key, value in attributes.items())


def _series(measurements: Sequence[Measurement], before: float = 0.0) -> Metric:
    last = measurements[-1]
    instrument = last.instrument
    kind = _KINDS[type(instrument).__name__.removeprefix("_")]
    values = tuple(measurement.value for measurement in measurements)
    return Metric(
        name=instrument.name,
        kind=kind,
        unit=instrument.unit,
        attributes=dict(last.attributes or {}),
        scope=Scope(instrument.instrumentation_scope.name, instrument.instrumentation_scope.version),
        value=values[-1] if kind == "gauge" else sum(values) - before,
        values=values,
    )


def _arrived(points: Sequence[DataPoint]) -> Iterator[Metric]:
    series: dict[_Key, list[DataPoint]] = {}
    for point in tuple(points):
        series.setdefault((point.scope.name, point.name, _pairs(point.attributes)), []).append(point)
    for exported in series.values():
        last = exported[-1]
        counted = exported if last.kind == "gauge" else _totals(exported)
        yield Metric(
            name=last.name,
            kind=last.kind,
            unit=last.unit,
            attributes=last.attributes,
            scope=last.scope,
            value=max(counted, key=lambda point: point.time).value
            if last.kind == "gauge"
            else sum(point.value for point in counted),
            values=tuple(point.value for point in exported),
            recorded=sum(point.count or 0 for point in counted) if last.kind == "histogram" else None,
        )


def _totals(points: Sequence[DataPoint]) -> list[DataPoint]:
    """Those that add up to the whole: each delta, and of each cumulative stream what it said last."""
    cumulative = {
        (_pairs(point.resource), point.start): point
        for point in sorted(points, key=lambda point: point.time)
        if not point.is_delta
    }
    return [*(point for point in points if point.is_delta), *cumulative.values()]

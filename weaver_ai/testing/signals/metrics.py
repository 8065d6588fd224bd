"""The `metrics` fixture's object: what instruments measured in a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, TypeAlias, Unpack, final

from opentelemetry.trace import get_current_span

from weaver_ai.spans import Scope
from weaver_ai.spans.relations import Target, described, is_target
from weaver_ai.spans.tree import Forest, Key
from weaver_ai.spans.values import show
from weaver_ai.testing.asserting.match import Expected, target_of
from weaver_ai.testing.asserting.promises import Promise, Promises
from weaver_ai.testing.capture.metric_taps import Measurement, observe, why_no_metrics
from weaver_ai.testing.signals.metric_patterns import Kind, Metric, MetricPattern, Question, Value, metric, pattern_of
from weaver_ai.testing.signals.patterns import Asked, Text
from weaver_ai.testing.signals.signal import Eventually, Signal, Waiting

if TYPE_CHECKING:
    from weaver_ai.receiver.metrics import DataPoint
    from weaver_ai.testing.capture.recording import Recording

__all__ = ["Kind", "Metric", "MetricPattern", "Metrics", "MetricsEventually", "MetricsWaiting", "Value", "metric"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

_KINDS: Mapping[str, Kind] = {
    "Counter": "counter",
    "ObservableCounter": "counter",
    "UpDownCounter": "up_down_counter",
    "ObservableUpDownCounter": "up_down_counter",
    "Histogram": "histogram",
    "Gauge": "gauge",
    "ObservableGauge": "gauge",
}
_Key: TypeAlias = tuple[str, str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class _Part:
    """Which measurements count.

    Attributes:
        began: how many there were before.
        ended: how many there were at the end; None: it goes on.
        before: what observable instruments said at the beginning.
        after: what they said at the end.
        within: the span in which, or below which, they were taken.
    """

    before: Mapping[_Key, float]
    began: int | None = None
    ended: int | None = None
    after: Sequence[Measurement] | None = None
    within: Target | None = None


@final
class Metrics(Signal[Metric]):
    """What the code under test measured since the test began, whichever provider it went to.

    It is what the instruments were given: before views, aggregation and export; and what other processes sent to
    `otlp`, where series that differ only in their resource are one, and those of this process are others.
    Every verb takes the same question: the instrument's name (exact, `*` for any run of characters, a compiled regex,
    or a predicate; lower case, as the SDK makes it) or a `metric(...)`, a mapping of attributes, as for spans, and
    conditions by keyword. See `Question`.

    Example:
        >>> metrics.one("gen_ai.client.token.usage", {"gen_ai.token.type": "input"}).value
        12
    """

    noun: str = "metric"

    def __init__(self, recording: Recording, *, promises: Promises | None = None) -> None:
        super().__init__(recording.subscribe_to_all, promises)
        self._recording = recording
        self._part = _Part(_observed_values())

    def one(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> Metric:
        """The only series that is so; with none or several the test fails."""
        metrics, asked = self._ask("one", name, attributes, conditions)
        return metrics._one(asked.conditions)

    def first(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> Metric:
        """The series that was measured first, of at least one."""
        metrics, asked = self._ask("first", name, attributes, conditions)
        return metrics._some(asked.conditions)[0]

    def some(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> list[Metric]:
        """At least one series."""
        metrics, asked = self._ask("some", name, attributes, conditions)
        return metrics._some(asked.conditions)

    def all(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> list[Metric]:
        """Any number of series."""
        metrics, asked = self._ask("all", name, attributes, conditions)
        return metrics._find(asked.conditions)

    def none(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> None:
        """Fails if there is such a series."""
        metrics, asked = self._ask("none", name, attributes, conditions)
        metrics._none(asked.conditions)

    def count(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> int:
        """How many series there are."""
        metrics, asked = self._ask("count", name, attributes, conditions)
        return len(metrics._find(asked.conditions))

    def total(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> float:
        """The sum of `value` over at least one series, whatever their other attributes."""
        metrics, asked = self._ask("total", name, attributes, conditions)
        return sum(metric.value for metric in metrics._some(asked.conditions))

    def in_order(self, *names: object) -> NoReturn:
        """Refused: a series is measured many times, before and after others.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            "metrics have no order: a series is measured many times. metrics.one(...).values has the measurements of "
            "one in order, metrics.scope() those of a part of the test; spans and logs have in_order"
        )

    @contextmanager
    def scope(self) -> Iterator[Metrics]:
        """Only what is measured inside: `with metrics.scope() as act: ...; act.one("orders", value=1)`.

        What another process measured isn't in it: its exports don't say when. A failure says so.
        """
        inner = self._narrowed(replace(self._part, before=_observed_values(), began=len(self._recording.measurements)))
        try:
            yield inner
        finally:
            ended, after = len(self._recording.measurements), tuple(observe())
            inner._part = replace(inner._part, ended=ended, after=after)

    @property
    def eventually(self) -> MetricsEventually:
        """The verbs that wait, for async tests: `await metrics.eventually.one("orders", value=3)`."""
        return MetricsEventually(self)

    @property
    def wait(self) -> MetricsWaiting:
        """The verbs that wait, for tests without an event loop: `metrics.wait.one("orders", value=3)`."""
        return MetricsWaiting(self)

    def _ask(self, verb: str, name: object, attributes: object, given: Question) -> tuple[Metrics, MetricPattern]:
        """What is looked for, and where."""
        pattern = pattern_of(verb, name, attributes, given)
        if "within" not in given:
            return self, pattern
        return self._narrowed(replace(self._part, within=target_of(verb, given["within"]))), pattern

    def _narrowed(self, part: _Part) -> Metrics:
        metrics = copy(self)
        metrics._part = part
        return metrics

    def _where(self) -> str:
        return "" if self._part.within is None else f" within {described(self._part.within)}"

    def __repr__(self) -> str:
        return "<metrics>"  # to count them would call the observable instruments

    def _items(self) -> list[Metric]:
        series: dict[_Key, list[Measurement]] = {}
        for measurement in self._measured():
            series.setdefault(_key(measurement), []).append(measurement)
        found = [_series(measurements) for measurements in series.values()]
        if self._part.within is not None:
            return found
        others = _arrived(self._recording.remote.points) if self._part.began is None else ()
        return [*found, *self._observed(), *others]

    def _measured(self) -> Sequence[Measurement]:
        part = self._part
        measured = tuple(self._recording.measurements)[part.began or 0 : part.ended]
        if part.within is None:
            return measured
        forest = Forest(self._recording.snapshot())
        return [each for each in measured if _is_within(part.within, self._span_of(each), forest)]

    def _span_of(self, measurement: Measurement) -> Key:
        ids = get_current_span(measurement.context).get_span_context()
        return self._recording.renamed(measurement.context) or (f"{ids.trace_id:032x}", f"{ids.span_id:016x}")

    def _observed(self) -> Iterator[Metric]:
        for measurement in observe() if self._part.after is None else self._part.after:
            metric = _series([measurement])
            before = 0.0 if metric.kind == "gauge" else self._part.before.get(_key(measurement), 0.0)
            if metric.kind == "gauge" or measurement.value != before:
                yield _series([measurement], before)

    def _line(self, item: Metric) -> str:
        unit = f" {item.unit}" if item.unit else ""
        return f"{item.name} {item.value:g}{unit} ({item.kind}){f' {show(item.attributes)}' if item.attributes else ''}"

    def _why_empty(self, asked: Asked[Metric]) -> Iterator[str]:
        if self._part.began is not None or self._part.within is not None:
            yield from self._left_out(asked)
        if not self._recording.measurements:
            yield from why_no_metrics()
        yield from self._recording.remote.refusals()

    def _left_out(self, asked: Asked[Metric]) -> Iterator[str]:
        """The series that is meant, if another process measured it."""
        part, unsaid = ("scope()", "when") if self._part.within is None else ("within=", "in which span")
        for series in _arrived(self._recording.remote.points):
            if all(condition.holds(series) for condition in asked if condition.label != "value"):
                yield (
                    f"{part} leaves out what other processes measured, for their exports don't say {unsaid}; "
                    f"in the whole test there is {self._line(series)}"
                )
                return


@final
class MetricsEventually(Eventually[Metric]):
    """`await metrics.eventually.one("orders", value=3)`; `metrics.eventually(timeout=30)` waits longer than 5 seconds.

    A measurement wakes it. An observable instrument, which says nothing of itself, is read whenever something else
    is recorded, and at the end.
    """

    def __init__(self, metrics: Metrics, timeout: float = 5.0) -> None:
        super().__init__(metrics, timeout)
        self._metrics = metrics

    def one(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> Promise[Metric]:
        """The series that is so, once it is; fails at once when there are several."""
        metrics, asked = self._metrics._ask("eventually.one", name, attributes, conditions)
        wish = MetricsEventually(metrics, self._timeout)._one(asked.conditions)
        return self._promise("one", asked.asked(), wish)

    def first(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> Promise[Metric]:
        """The series that was measured first, as soon as one is so."""
        metrics, asked = self._metrics._ask("eventually.first", name, attributes, conditions)
        wish = MetricsEventually(metrics, self._timeout)._first(asked.conditions)
        return self._promise("first", asked.asked(), wish)

    def some(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> Promise[list[Metric]]:
        """The series that are so, as soon as there is one."""
        metrics, asked = self._metrics._ask("eventually.some", name, attributes, conditions)
        wish = MetricsEventually(metrics, self._timeout)._some(asked.conditions)
        return self._promise("some", asked.asked(), wish)


@final
class MetricsWaiting(Waiting[Metric]):
    """`metrics.wait.one("orders", value=3)`, as `eventually`; `metrics.wait(30)` waits longer than five seconds."""

    def __init__(self, metrics: Metrics, timeout: float = 5.0) -> None:
        super().__init__(metrics, timeout)
        self._metrics = metrics

    def one(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> Metric:
        """The series that is so, once it is; fails at once when there are several."""
        metrics, asked = self._metrics._ask("wait.one", name, attributes, conditions)
        return self._come(MetricsWaiting(metrics, self._timeout)._one(asked.conditions))

    def first(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> Metric:
        """The series that was measured first, as soon as one is so."""
        metrics, asked = self._metrics._ask("wait.first", name, attributes, conditions)
        return self._come(MetricsWaiting(metrics, self._timeout)._first(asked.conditions))

    def some(
        self,
        name: Text | MetricPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Question],
    ) -> list[Metric]:
        """The series that are so, as soon as there is one."""
        metrics, asked = self._metrics._ask("wait.some", name, attributes, conditions)
        return self._come(MetricsWaiting(metrics, self._timeout)._some(asked.conditions))


def _is_within(target: Target, span: Key, forest: Forest) -> bool:
    position = forest.position(span)
    return position is not None and any(
        is_target(target, each, forest) for each in (position, *forest.ancestors(position))
    )


def _observed_values() -> Mapping[_Key, float]:
    return {_key(measurement): measurement.value for measurement in observe()}


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

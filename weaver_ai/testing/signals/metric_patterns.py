"""A time series as data, and what a test writes to say which one it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict, Unpack, final, get_args

from weaver_ai.spans import Scope
from weaver_ai.spans.query import SpanPattern
from weaver_ai.testing.asserting.keywords import known, one_of
from weaver_ai.testing.asserting.match import Expected, Identified, What
from weaver_ai.testing.signals.patterns import (
    Condition,
    Pattern,
    Text,
    conditions_on_attributes,
    text,
)
from weaver_ai.testing.signals.patterns import Value as Equal

__all__ = ["Conditions", "Kind", "Metric", "MetricPattern", "Question", "Value", "metric", "pattern_of"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

Kind: TypeAlias = Literal["counter", "up_down_counter", "histogram", "gauge"]

Value: TypeAlias = float | Callable[[float], object]
"""A number is exact; a predicate says whether the value will do."""


class Conditions(TypedDict, total=False):
    """The keywords that every question takes besides `name` and `attributes`; all of those given must hold.

    Attributes:
        value: what the series' value is, or a predicate on it.
        kind: the kind of instrument, observable or not.
        unit: the instrument's.
        scope: name of the instrumentation scope.
    """

    value: Value
    kind: Kind
    unit: Text
    scope: Text


class Question(Conditions, total=False):
    """As `Conditions`; and what is counted at all.

    Attributes:
        within: only what was measured in this span or below it. An observable instrument measures in none.
    """

    within: What | Identified


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
class MetricPattern(Pattern[Metric]):
    """A time series to look for; made by `metric`. Patterns combine with `&`, `|` and `~`."""

    function: str = "metric"


def metric(
    name: Text | MetricPattern | None = None,
    attributes: Mapping[str, Expected] | None = None,
    **conditions: Unpack[Conditions],
) -> MetricPattern:
    """A time series to look for, where one question isn't enough.

    Raises:
        TypeError: an unknown condition, or none at all (`metric("*")` is any series).

    Example:
        >>> metrics.none(metric(kind="counter") & ~metric("http.*"))
    """
    pattern = pattern_of("metric", name, attributes, conditions, narrowed=False)
    if not pattern.conditions:
        raise TypeError("metric() needs a condition; metric('*') is any series")
    return pattern


def pattern_of(
    verb: str, name: object, attributes: object, given: Question | Conditions, *, narrowed: bool = True
) -> MetricPattern:
    """What a verb's arguments stand for, but for `within`; without any, any series.

    Raises:
        TypeError: a keyword that is no condition, or an argument of the wrong type.
        ValueError: a kind that doesn't exist.
    """
    if "within" in given and not narrowed:
        raise TypeError(f"{verb}() takes no within=: it is what a verb counts, as in metrics.one(..., within=...)")
    known(verb, given, [*Conditions.__annotations__, *(("within",) if narrowed else ())], ["name", "attributes"])
    made: list[Condition[Metric]] = []
    if isinstance(name, MetricPattern):
        made.extend(name.conditions)
    elif isinstance(name, Pattern | SpanPattern):
        raise TypeError(f"{verb}() can't look for {name!r}; it takes a name or metric(...)")
    elif isinstance(name, Mapping):
        raise TypeError(f"{verb}() takes the name first; write {verb}(attributes={{...}}) to leave it out")
    elif name is not None:
        if not isinstance(name, str | re.Pattern) and not callable(name):
            raise TypeError(f"{verb}() can't look for {name!r}; it takes a name, a regex, a predicate or metric(...)")
        made.append(text("name", name, lambda metric: metric.name, argument="first"))
    made.extend(_of_keywords(verb, given))
    return MetricPattern([*made, *conditions_on_attributes(verb, attributes, lambda metric: metric.attributes)])


def _of_keywords(verb: str, given: Question | Conditions) -> Iterator[Condition[Metric]]:
    if "value" in given:
        yield Equal("value", given["value"], lambda metric: metric.value)
    if "kind" in given:
        kind = one_of(verb, "kind", given["kind"], get_args(Kind))
        yield Equal("kind", kind, lambda metric: metric.kind)
    if "unit" in given:
        yield text("unit", given["unit"], lambda metric: metric.unit)
    if "scope" in given:
        yield text("scope", given["scope"], lambda metric: metric.scope.name)

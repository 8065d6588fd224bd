"""A log record as data, and what a test writes to say which one it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypedDict, Unpack, final, get_args

from weaver_ai.spans import Scope, Span
from weaver_ai.spans.query import SpanPattern
from weaver_ai.spans.tree import Forest
from weaver_ai.spans.values import MISSING, show
from weaver_ai.testing.asserting.keywords import known, one_of
from weaver_ai.testing.asserting.match import Expected, Identified, What, target_of
from weaver_ai.testing.signals.patterns import (
    Condition,
    InSpan,
    Pattern,
    Place,
    Text,
    Value,
    conditions_on_attributes,
    text,
)

__all__ = ["Conditions", "Log", "LogPattern", "Severity", "line_of", "log", "pattern_of", "severity_of"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

Severity: TypeAlias = Literal["unspecified", "trace", "debug", "info", "warn", "error", "fatal"]


class Conditions(TypedDict, total=False):
    """The keywords that every question takes besides `body` and `attributes`; all of those given must hold.

    Attributes:
        severity: the name of its range.
        event_name: the name of the event that it is.
        scope: name of the instrumentation scope.
        span: the span in which it was written; None: in none.
        within: the span in which it was written, or one above that.
    """

    severity: Severity
    event_name: Text
    scope: Text
    span: What | Identified | Callable[[str], object] | None
    within: What | Identified


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Log:
    """One log record. Equal only to itself.

    Attributes:
        severity: the name of the range that `severity_number` lies in (logs data model, SeverityNumber).
        time: nanoseconds since the epoch; when it was observed, if it doesn't say when it happened.
    """

    body: object
    severity: Severity = "unspecified"
    severity_number: int = 0
    attributes: Mapping[str, object] = field(default_factory=dict)
    event_name: str | None = None
    time: int = 0
    scope: Scope = field(default_factory=Scope)
    trace_id: str | None = None
    span_id: str | None = None
    _forest: Callable[[], Forest] = field(default=lambda: Forest(()))

    @property
    def span(self) -> Span | None:
        """The span of this test in which it was written, as it is now; None if it was written in none."""
        forest, position = _place(self) or (None, None)
        return None if forest is None or position is None else forest.spans[position]

    def __repr__(self) -> str:
        return f"<log {line_of(self)}>"


@final
class LogPattern(Pattern[Log]):
    """A log to look for; made by `log`. Patterns combine with `&`, `|` and `~`."""

    function: str = "log"


def log(
    body: Text | LogPattern | None = None,
    attributes: Mapping[str, Expected] | None = None,
    **conditions: Unpack[Conditions],
) -> LogPattern:
    """A log to look for, where one question isn't enough: in `in_order`, or combined with others.

    Raises:
        TypeError: an unknown condition, or none at all (`log("*")` is any whose body is a text).

    Example:
        >>> logs.none(log(severity="error") & ~log("retry *", within="refund"))
    """
    pattern = pattern_of("log", body, attributes, conditions)
    if not pattern.conditions:
        raise TypeError("log() needs a condition")
    return pattern


def pattern_of(verb: str, body: object, attributes: object, given: Conditions) -> LogPattern:
    """What a verb's arguments stand for; without any, any log.

    Raises:
        TypeError: a keyword that is no condition, or an argument of the wrong type.
        ValueError: a severity that doesn't exist.
    """
    known(verb, given, list(Conditions.__annotations__), ["body", "attributes"])
    made: list[Condition[Log]] = []
    if isinstance(body, LogPattern):
        made.extend(body.conditions)
    elif isinstance(body, Pattern | SpanPattern):
        raise TypeError(f"{verb}() can't look for {body!r}; it takes a body or log(...)")
    elif body is not None:
        made.append(text("body", body, lambda log: log.body, argument="first"))
    made.extend(_of_keywords(verb, given))
    return LogPattern([*made, *conditions_on_attributes(verb, attributes, lambda log: log.attributes)])


def _of_keywords(verb: str, given: Conditions) -> Iterator[Condition[Log]]:
    if "severity" in given:
        severity = one_of(verb, "severity", given["severity"], get_args(Severity))
        yield Value("severity", severity, lambda log: log.severity)
    if "event_name" in given:
        yield text("event_name", given["event_name"], lambda log: log.event_name)
    if "scope" in given:
        yield text("scope", given["scope"], lambda log: log.scope.name)
    if "span" in given:
        yield _in_span(verb, given["span"])
    if "within" in given:
        yield InSpan("within", target_of(verb, given["within"]), _place, above=True)


def _in_span(verb: str, value: object) -> Condition[Log]:
    if value is None:
        return InSpan("span", None, _place, above=False)
    if isinstance(value, str | re.Pattern | SpanPattern | Identified):
        return InSpan("span", target_of(verb, value), _place, above=False)
    return text("span", value, lambda log: log.span.name if log.span else MISSING)


def _place(log: Log) -> Place | None:
    if log.trace_id is None or log.span_id is None:
        return None
    forest = log._forest()
    return forest, forest.position((log.trace_id, log.span_id))


def line_of(log: Log) -> str:
    """The log record in one line: severity, body, attributes, span."""
    attributes = f" {show(log.attributes)}" if log.attributes else ""
    where = f" in {log.span.name!r}" if log.span else ""
    return f"{log.severity:<5} {show(log.body)}{attributes}{where}"


def severity_of(number: int) -> Severity:
    """The name of the range that a severity number lies in."""
    ranges: Sequence[Severity] = get_args(Severity)
    return ranges[(number + 3) // 4]

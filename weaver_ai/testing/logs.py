"""The `logs` fixture's object: the OpenTelemetry log records of a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, Unpack, final, get_args

from weaver_ai.spans import Scope, Span
from weaver_ai.spans.values import MISSING, show
from weaver_ai.testing.asserting.keywords import known, one_of
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
from weaver_ai.testing.capture.recording import Recording

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord

    from weaver_ai.receiver.logs import LogRecord

__all__ = ["Conditions", "Log", "Logs", "LogsEventually", "LogsWaiting", "Severity", "lines_of"]

Severity: TypeAlias = Literal["unspecified", "trace", "debug", "info", "warn", "error", "fatal"]

_SEVERITIES: Sequence[Severity] = ("trace", "debug", "info", "warn", "error", "fatal")


class Conditions(TypedDict, total=False):
    """The conditions that every verb takes besides `body` and `attributes`."""

    severity: Severity | None
    event_name: str | None
    span: Text | None


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """One log record. Equal only to itself.

    Attributes:
        severity: the name of the range that `severity_number` lies in (logs data model, SeverityNumber).
        time: nanoseconds since the epoch; when it was observed, if it doesn't say when it happened.
        span: the span of this test in which it was written, as it is now; None if it was written in none.
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
    span: Span | None = None


@final
class Logs(Signal[Log]):
    """What the code under test logged through OpenTelemetry, whichever provider it went to, and what other
    processes sent to `otlp`.

    Every verb takes the same conditions. `body` and `span` (the name of the span it was written in): exact,
    `*` for any run of characters, a compiled regex, or a predicate. `attributes`: as for spans.

    Example:
        >>> logs.one("refund *", {"order": 7}, severity="warn", span="execute_tool refund")
    """

    noun = "log"

    def __init__(self, recording: Recording, *, promises: Promises | None = None) -> None:
        super().__init__(recording.subscribe_to_all, promises)
        self._recording = recording

    def one(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> Log:
        """The only log that is so; with none or several the test fails."""
        __tracebackhide__ = True
        return self._one(_asked("one", body, attributes, conditions))

    def first(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> Log:
        """The earliest of at least one."""
        __tracebackhide__ = True
        return self._some(_asked("first", body, attributes, conditions))[0]

    def some(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> list[Log]:
        """At least one, in the order in which they were written."""
        __tracebackhide__ = True
        return self._some(_asked("some", body, attributes, conditions))

    def all(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> list[Log]:
        """Any number, in the order in which they were written."""
        return self._find(_asked("all", body, attributes, conditions))

    def none(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> None:
        """Fails if there is one."""
        __tracebackhide__ = True
        self._none(_asked("none", body, attributes, conditions))

    def count(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> int:
        """How many there are."""
        return len(self._find(_asked("count", body, attributes, conditions)))

    @property
    def eventually(self) -> LogsEventually:
        """The verbs that wait, for async tests: `await logs.eventually.one("paid")`."""
        return LogsEventually(self)

    @property
    def wait(self) -> LogsWaiting:
        """The verbs that wait, for tests without an event loop: `logs.wait.one("paid")`."""
        return LogsWaiting(self)

    def _items(self) -> list[Log]:
        return _logs(self._recording)

    def _line(self, item: Log) -> str:
        return _line(item)


@final
class LogsEventually(Eventually[Log]):
    """`await logs.eventually.one(...)`; `logs.eventually(timeout=30)` waits longer than five seconds."""

    def one(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> Promise[Log]:
        """The log that is so, once it is written; fails at once when there are several."""
        __tracebackhide__ = True
        asked = _asked("eventually.one", body, attributes, conditions)
        return self._promise("one", asked, self._one(asked))

    def first(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> Promise[Log]:
        """The earliest that is so, as soon as there is one."""
        __tracebackhide__ = True
        asked = _asked("eventually.first", body, attributes, conditions)
        return self._promise("first", asked, self._first(asked))

    def some(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> Promise[list[Log]]:
        """Those that are so, as soon as there is one."""
        __tracebackhide__ = True
        asked = _asked("eventually.some", body, attributes, conditions)
        return self._promise("some", asked, self._some(asked))


@final
class LogsWaiting(Waiting[Log]):
    """`logs.wait.one(...)`; `logs.wait(30)` waits longer than five seconds."""

    def one(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> Log:
        """The log that is so, once it is written; fails at once when there are several."""
        __tracebackhide__ = True
        return self._come(self._one(_asked("wait.one", body, attributes, conditions)))

    def first(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> Log:
        """The earliest that is so, as soon as there is one."""
        __tracebackhide__ = True
        return self._come(self._first(_asked("wait.first", body, attributes, conditions)))

    def some(
        self, body: Text | None = None, attributes: Mapping[str, object] | None = None, **conditions: Unpack[Conditions]
    ) -> list[Log]:
        """Those that are so, as soon as there is one."""
        __tracebackhide__ = True
        return self._come(self._some(_asked("wait.some", body, attributes, conditions)))


def lines_of(recording: Recording) -> list[str]:
    """Each log record in one line."""
    return [_line(log) for log in _logs(recording)]


def _logs(recording: Recording) -> list[Log]:
    spans = {(span.trace_id, span.span_id): span for span in recording.snapshot()}
    logs = [_read(record, spans) for record in tuple(recording.logs)]
    if not recording.remote.logs:
        return logs
    logs += [_arrived(record, spans) for record in tuple(recording.remote.logs)]
    return sorted(logs, key=lambda log: log.time)


def _line(log: Log) -> str:
    attributes = f" {show(log.attributes)}" if log.attributes else ""
    where = f" in {log.span.name!r}" if log.span else ""
    return f"{log.severity:<5} {show(log.body)}{attributes}{where}"


def _asked(verb: str, body: Text | None, attributes: object, given: Conditions) -> list[Condition[Log]]:
    known(verb, given, list(Conditions.__annotations__), ["body", "attributes"])
    made: list[Condition[Log]] = []
    if body is not None:
        made.append(text("body", body, lambda log: log.body))
    if (severity := given.get("severity")) is not None:
        one_of(verb, "severity", severity, get_args(Severity))
        made.append(Condition("severity", severity, lambda log: log.severity))
    if (event_name := given.get("event_name")) is not None:
        made.append(text("event_name", event_name, lambda log: log.event_name))
    if (span := given.get("span")) is not None:
        made.append(text("span", span, lambda log: log.span.name if log.span else MISSING))
    return [*made, *conditions_on_attributes(verb, attributes, lambda log: log.attributes)]


def _read(record: ReadWriteLogRecord, spans: Mapping[tuple[str, str], Span]) -> Log:
    written = record.log_record
    trace_id = f"{written.trace_id:032x}" if written.trace_id else None
    span_id = f"{written.span_id:016x}" if written.span_id else None
    number = written.severity_number.value if written.severity_number else 0
    scope = record.instrumentation_scope
    return Log(
        body=written.body,
        severity=_range(number),
        severity_number=number,
        attributes=dict(written.attributes or {}),
        event_name=written.event_name,
        time=written.timestamp or written.observed_timestamp or 0,
        scope=Scope(scope.name, scope.version) if scope else Scope(),
        trace_id=trace_id,
        span_id=span_id,
        span=spans.get((trace_id, span_id)) if trace_id and span_id else None,
    )


def _arrived(record: LogRecord, spans: Mapping[tuple[str, str], Span]) -> Log:
    return Log(
        body=record.body,
        severity=_range(record.severity),
        severity_number=record.severity,
        attributes=record.attributes,
        event_name=record.event_name,
        time=record.time,
        scope=record.scope,
        trace_id=record.trace_id,
        span_id=record.span_id,
        span=spans.get((record.trace_id, record.span_id)) if record.trace_id and record.span_id else None,
    )


def _range(number: int) -> Severity:
    return _SEVERITIES[(number - 1) // 4] if number else "unspecified"

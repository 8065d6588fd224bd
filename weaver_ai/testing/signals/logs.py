"""The `logs` fixture's object: the OpenTelemetry log records of a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, Unpack, final

from weaver_ai.spans import Scope
from weaver_ai.spans.growing import Growing
from weaver_ai.spans.tree import Forest
from weaver_ai.spans.values import clip
from weaver_ai.testing.asserting.match import Expected
from weaver_ai.testing.asserting.promises import Promise, Promises
from weaver_ai.testing.signals.log_patterns import (
    Conditions,
    Log,
    LogPattern,
    Severity,
    line_of,
    log,
    pattern_of,
    severity_of,
)
from weaver_ai.testing.signals.logs_elsewhere import elsewhere
from weaver_ai.testing.signals.patterns import Asked, Text
from weaver_ai.testing.signals.signal import Eventually, Signal, Waiting

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord

    from weaver_ai.receiver.logs import LogRecord
    from weaver_ai.testing.capture.recording import Recording

__all__ = ["Conditions", "Log", "LogPattern", "Logs", "LogsEventually", "LogsWaiting", "Severity", "lines_of", "log"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates


@final
class Logs(Signal[Log]):
    """What the code under test logged through OpenTelemetry, whichever provider it went to, and what other
    processes sent to `otlp`; in the order in which it was written.

    Every verb takes the same question: a body (exact, `*` for any run of characters, a compiled regex, or a
    predicate) or a `log(...)`, a mapping of attributes, as for spans, and conditions by keyword. See `Conditions`.

    Example:
        >>> logs.one("refund *", {"order": 7}, severity="warn", span="execute_tool refund")
    """

    noun: str = "log"

    def __init__(self, recording: Recording, *, promises: Promises | None = None) -> None:
        super().__init__(recording.subscribe_to_all, promises)
        self._recording = recording
        self._growing = Growing()
        self._forest: tuple[int, Forest] | None = None
        self._own: list[Log] = []
        self._others: list[Log] = []
        self._began: tuple[_Moment, _Moment | None] | None = None

    def one(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Log:
        """The only log that is so; with none or several the test fails."""
        return self._one(pattern_of("one", body, attributes, conditions).conditions)

    def first(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Log:
        """The earliest of at least one."""
        return self._some(pattern_of("first", body, attributes, conditions).conditions)[0]

    def some(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> list[Log]:
        """At least one, in the order in which they were written."""
        return self._some(pattern_of("some", body, attributes, conditions).conditions)

    def all(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> list[Log]:
        """Any number, in the order in which they were written."""
        return self._find(pattern_of("all", body, attributes, conditions).conditions)

    def none(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> None:
        """Fails if there is one."""
        self._none(pattern_of("none", body, attributes, conditions).conditions)

    def count(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> int:
        """How many there are."""
        return len(self._find(pattern_of("count", body, attributes, conditions).conditions))

    def in_order(self, *bodies: Text | LogPattern) -> list[Log]:
        """Logs that are so were written one after the other, with others in between or not."""
        return self._in_order([step.conditions for step in _steps("in_order", bodies)])

    @contextmanager
    def scope(self) -> Iterator[Logs]:
        """Only what is written inside: `with logs.scope() as act: ...; act.one("paid")`."""
        inner = Logs(self._recording, promises=self._promises)
        first = self._now()
        inner._began = first, None
        try:
            yield inner
        finally:
            inner._began = first, self._now()

    @property
    def eventually(self) -> LogsEventually:
        """The verbs that wait, for async tests: `await logs.eventually.one("paid")`."""
        return LogsEventually(self)

    @property
    def wait(self) -> LogsWaiting:
        """The verbs that wait, for tests without an event loop: `logs.wait.one("paid")`."""
        return LogsWaiting(self)

    def _now(self) -> _Moment:
        return len(self._recording.logs), self._recording.now()

    def _items(self) -> list[Log]:
        self._forest = None  # an open span can get attributes, which no version tells
        records, arrived = tuple(self._recording.logs), tuple(self._recording.remote.logs)
        self._own = [*self._own, *map(self._read, records[len(self._own) :])]
        self._others = [*self._others, *map(self._arrived, arrived[len(self._others) :])]
        own, others = self._own, self._others
        if self._began is not None:
            (first, began), last = self._began
            own = own[first : last[0] if last else None]
            others = [log for log in others if began <= log.time and (last is None or log.time < last[1])]
        return sorted([*own, *others], key=lambda log: log.time) if others else own

    def _read(self, record: ReadWriteLogRecord) -> Log:
        written, scope = record.log_record, record.instrumentation_scope
        number = written.severity_number.value if written.severity_number else 0
        trace_id = f"{written.trace_id:032x}" if written.trace_id else None
        span_id = f"{written.span_id:016x}" if written.span_id else None
        trace_id, span_id = self._recording.renamed(written.context) or (trace_id, span_id)
        return Log(
            body=written.body,
            severity=severity_of(number),
            severity_number=number,
            attributes=dict(written.attributes or {}),
            event_name=written.event_name,
            time=written.timestamp or written.observed_timestamp or 0,
            scope=Scope(scope.name, scope.version) if scope else Scope(),
            trace_id=trace_id,
            span_id=span_id,
            _forest=self._seen,
        )

    def _arrived(self, record: LogRecord) -> Log:
        return Log(
            body=record.body,
            severity=severity_of(record.severity),
            severity_number=record.severity,
            attributes=record.attributes,
            event_name=record.event_name,
            time=record.time,
            scope=record.scope,
            trace_id=record.trace_id,
            span_id=record.span_id,
            _forest=self._seen,
        )

    def _seen(self) -> Forest:
        version, known = self._recording.version, self._forest
        if known is None or known[0] != version:
            known = self._forest = version, self._growing.forest(self._recording.snapshot())
        return known[1]

    def _line(self, item: Log) -> str:
        return line_of(item)

    def _why_empty(self, asked: Asked[Log]) -> Iterator[str]:
        yield from elsewhere(self._recording, asked)
        if not self._recording.logs:
            from weaver_ai.testing.capture.log_taps import why_no_logs  # noqa: PLC0415 # loads the SDK's logs

            yield from why_no_logs()
        yield from self._recording.remote.refusals()

    def __repr__(self) -> str:
        logs = self._items()
        listed = ", ".join(clip(repr(log.body), 40) for log in logs[:4]) + (", ..." if len(logs) > 4 else "")  # noqa: PLR2004 # as for spans
        return f"<logs: {len(logs)}{' ' + listed if listed else ''}>"


@final
class LogsEventually(Eventually[Log]):
    """`await logs.eventually.one(...)`; `logs.eventually(timeout=30)` waits longer than five seconds."""

    def one(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Promise[Log]:
        """The log that is so, once it is written; fails at once when there are several."""
        asked = pattern_of("eventually.one", body, attributes, conditions)
        return self._promise("one", asked.asked(), self._one(asked.conditions))

    def first(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Promise[Log]:
        """The earliest that is so, as soon as there is one."""
        asked = pattern_of("eventually.first", body, attributes, conditions)
        return self._promise("first", asked.asked(), self._first(asked.conditions))

    def some(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Promise[list[Log]]:
        """Those that are so, as soon as there is one."""
        asked = pattern_of("eventually.some", body, attributes, conditions)
        return self._promise("some", asked.asked(), self._some(asked.conditions))

    def in_order(self, *bodies: Text | LogPattern) -> Promise[list[Log]]:
        """As `in_order`, once all of them are written."""
        steps = _steps("eventually.in_order", bodies)
        asked = ", ".join(step.asked() for step in steps)
        return self._promise("in_order", asked, self._in_order([step.conditions for step in steps]))


@final
class LogsWaiting(Waiting[Log]):
    """`logs.wait.one(...)`; `logs.wait(30)` waits longer than five seconds."""

    def one(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Log:
        """The log that is so, once it is written; fails at once when there are several."""
        return self._come(self._one(pattern_of("wait.one", body, attributes, conditions).conditions))

    def first(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Log:
        """The earliest that is so, as soon as there is one."""
        return self._come(self._first(pattern_of("wait.first", body, attributes, conditions).conditions))

    def some(
        self,
        body: Text | LogPattern | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> list[Log]:
        """Those that are so, as soon as there is one."""
        return self._come(self._some(pattern_of("wait.some", body, attributes, conditions).conditions))

    def in_order(self, *bodies: Text | LogPattern) -> list[Log]:
        """As `in_order`, once all of them are written."""
        return self._come(self._in_order([step.conditions for step in _steps("wait.in_order", bodies)]))


def lines_of(recording: Recording) -> list[str]:
    """Each log record in one line."""
    return [line_of(log) for log in Logs(recording).all()]


def _steps(verb: str, bodies: Sequence[Text | LogPattern]) -> list[LogPattern]:
    if not bodies:
        raise TypeError(f"{verb}() needs a body")
    steps = [pattern_of(verb, body, None, {}) for body in bodies]
    if not all(step.conditions for step in steps):
        raise TypeError(f"{verb}() can't look for None")
    return steps


_Moment: TypeAlias = tuple[int, int]
"""How many logs of this process there were, and the time by which those of others are dated."""

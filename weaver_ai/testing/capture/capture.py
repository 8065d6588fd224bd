"""Whose span is it: the session-wide sink that gives each span to the test in which it began."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import get_current_span

from weaver_ai.testing.capture import taps
from weaver_ai.testing.capture.origin import BODY, Captured, Origin, captured_of
from weaver_ai.testing.capture.recording import Recording
from weaver_ai.testing.capture.stand_ins import replace_trace_proxies
from weaver_ai.testing.capture.why_empty import why_empty
from weaver_ai.testing.patches import Patches

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord

    from weaver_ai.testing.capture.metric_taps import Measurement

__all__ = ["Capture"]


class Capture:
    """Captures for one pytest session, from `start` to `stop`.

    Each span goes to the origin of its live parent, else to that of its trace, else to the test whose
    body started the task that it began in, else to what runs now. A span whose origin is a test that
    is over is a stray of the running one.
    """

    def __init__(self) -> None:
        self.every_span: bool = False
        self._session = Origin("the session", "session")
        self._now = self._session
        self._recording: Recording | None = None
        self._traces: dict[int, Origin] = {}
        self._roots: deque[tuple[Span, Origin]] = deque()
        self._proxies = Patches()
        self._signals: set[taps.Signal] = set()

    @property
    def now(self) -> Origin:
        """What runs."""
        return self._now

    @property
    def recording(self) -> Recording | None:
        """That of the running test, if it has one."""
        return self._recording

    def start(self) -> None:
        """Tap, and give code without a provider one, for the whole session: an app that a fixture of the
        session makes mustn't depend on which test came first.
        """
        taps.push(self)
        replace_trace_proxies(self._proxies)

    def stop(self) -> None:
        """Leave everything as it was."""
        self._proxies.undo()
        taps.pop(self)

    def add(self, signal: taps.Signal) -> None:
        """Capture this signal too, from here to the end of the session."""
        if signal in self._signals:
            return
        self._signals.add(signal)
        taps.tap(signal)
        if signal == "logs":
            from weaver_ai.testing.capture.log_taps import replace_log_proxies  # noqa: PLC0415 # loads the SDK's logs

            replace_log_proxies(self._proxies)
        else:
            from weaver_ai.testing.capture.metric_taps import replace_metric_proxies  # noqa: PLC0415 # loads the SDK's metrics

            replace_metric_proxies(self._proxies)

    def begin(self, node_id: str) -> None:
        """From now on, spans belong to this test."""
        self._now = Origin(node_id, "test")

    def record(self, node_id: str, *, every_span: bool) -> Recording:
        """Keep the spans of this test, which runs already, from here on."""
        if not self._now.is_test:
            self.begin(node_id)
        self.every_span = every_span
        self._recording = Recording(self._now, explain=why_empty)
        return self._recording

    def end(self) -> None:
        """What this test began and has not ended is late from now on."""
        for captured in self._recording.open if self._recording else ():
            captured.left_open = True
        self._file_roots()
        self._now.closed = True
        self._now = self._session
        self._recording = None
        self.every_span = False

    @contextmanager
    def fixture(self, name: str, scope: str) -> Iterator[None]:
        """Around the set-up of a fixture that outlives the test: its spans belong to no test."""
        before, self._now = self._now, Origin(f"{scope} fixture {name!r}", "fixture")
        try:
            yield
        finally:
            self._now = before

    # The sink

    def started(self, span: Span, parent_context: Context | None) -> None:
        if span.parent is None:
            captured = Captured(span, self._root(), None)
            self._roots.append((span, captured.origin))
        else:
            parent = captured_of(get_current_span(parent_context))
            captured = Captured(span, self._origin(span.parent.trace_id, parent), parent)
        recording = self._recording
        if recording is None:
            return
        if captured.origin is recording.origin:
            recording.began(captured, span)
        elif captured.origin.is_test:
            recording.strayed(captured, span, late=False)
        else:
            recording.outside += 1

    def ended(self, span: Span) -> None:
        captured: Captured | None = getattr(span, "_weaver_captured", None)
        if captured is None or captured.ended:
            return
        captured.ended = True
        recording = self._recording
        if recording is None:
            return
        if captured.origin is recording.origin:
            recording.finished(captured)
        elif captured.origin.is_test and not captured.left_open:
            recording.strayed(captured, span, late=True)

    def handed_on(self, span: ReadableSpan) -> None:
        if self._recording is not None:
            self._recording.handed.append(span)

    def logged(self, record: ReadWriteLogRecord) -> None:
        if self._recording is not None and self._of_running_test(record.log_record.context):
            self._recording.logged(record)

    def measured(self, measurement: Measurement) -> None:
        if self._recording is not None and self._of_running_test(measurement.context):
            self._recording.measured(measurement)

    def discarded(self, name: str) -> None:
        if self._recording is not None:
            self._recording.discarded.append(name)

    def sampled_out(self, name: str, *, kept: bool) -> None:
        if self._recording is None:
            return
        if kept:
            self._recording.forced += 1
        else:
            self._recording.dropped.append(name)

    def _of_running_test(self, context: Context | None) -> bool:
        captured = captured_of(get_current_span(context))
        origin = captured.origin if captured and captured.origin.is_test else self._root()
        return origin is self._now

    def _origin(self, trace_id: int, parent: Captured | None) -> Origin:
        if parent is None:
            self._file_roots()
        found = parent.origin if parent else self._traces.get(trace_id)
        if found is not None and found.is_test:
            return found
        origin = self._root()
        if found is None:
            self._traces[trace_id] = origin
        return origin

    def _root(self) -> Origin:
        body = BODY.get()
        return body if body is not None and body.closed else self._now

    def _file_roots(self) -> None:
        """Note whose the traces are that began; put off until somebody asks, for it costs as much as the rest."""
        with suppress(IndexError):  # empty, maybe because another thread was quicker
            while True:
                span, origin = self._roots.popleft()
                self._traces[span.get_span_context().trace_id] = origin

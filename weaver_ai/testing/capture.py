"""Whose span is it: the session-wide sink that gives each span to the test in which it began."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import get_current_span

from weaver_ai.testing import taps
from weaver_ai.testing.fallback import replace_proxies
from weaver_ai.testing.origin import ATTRIBUTE, BODY, Captured, Origin, captured_of
from weaver_ai.testing.patches import Patches
from weaver_ai.testing.recording import Recording
from weaver_ai.testing.why import why_empty

__all__ = ["Capture"]


class Capture:
    """Captures for one pytest session, from `start` to `stop`.

    Each span goes to the origin of its live parent, else to that of its trace, else to the test whose
    body started the task that it began in, else to what runs now. A span whose origin is a test that
    is over is a stray of the running one.
    """

    def __init__(self, *, every_span: bool = True) -> None:
        self.every_span = every_span
        self._session = Origin("the session", "session")
        self._now = self._session
        self._recording: Recording | None = None
        self._traces: dict[int, Origin] = {}
        self._fallback = Patches()

    @property
    def recording(self) -> Recording | None:
        """Of the test that runs, if it asked for one."""
        return self._recording

    def start(self) -> None:
        taps.push(self)

    def stop(self) -> None:
        taps.pop(self)

    def begin(self, node_id: str, *, record: bool) -> Origin:
        """From now on, spans belong to this test."""
        self._now = Origin(node_id, "test")
        if record:
            self.record()
        return self._now

    def record(self) -> Recording:
        """Record from here on, if this test doesn't record already."""
        if self._recording is None:
            self._recording = Recording(self._now, explain=why_empty)
            replace_proxies(self._fallback, lambda: self._recording is not None)
        return self._recording

    def end(self) -> None:
        """What this test began and has not ended is late from now on."""
        self._now.closed = True
        self._now = self._session
        self._recording = None
        self._fallback.undo()

    @contextmanager
    def body(self) -> Iterator[None]:
        """Around the test function: tasks that it starts carry the test with them."""
        token = BODY.set(self._now)
        try:
            yield
        finally:
            BODY.reset(token)

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
        origin = self._origin(span, parent_context)
        captured = Captured(span, origin)
        setattr(span, ATTRIBUTE, captured)
        recording = self._recording
        if recording is None:
            return
        if origin is recording.origin:
            recording.began(captured)
        elif origin.is_test:
            recording.strays.append(captured)
        else:
            recording.outside += 1

    def ended(self, span: Span) -> None:
        captured = captured_of(span)
        if captured is None:
            return
        captured.ended = True
        recording = self._recording
        if recording is None:
            return
        if captured.origin is recording.origin:
            recording.finished(captured)
        elif captured.origin.is_test and not captured.left_open and captured not in recording.strays:
            recording.strays.append(captured)

    def handed_on(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        recording = self._recording
        if context is None or recording is None:
            return
        captured = recording.find(context.trace_id, context.span_id)
        if captured is None:
            return
        if captured.handed is None:
            captured.handed = span
        elif span is not captured.handed:
            captured.rewritten = span

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

    def _origin(self, span: Span, parent_context: Context | None) -> Origin:
        parent = span.parent
        if parent is None:
            origin = self._root()
            self._traces[span.get_span_context().trace_id] = origin
            return origin
        live = captured_of(get_current_span(parent_context))
        found = live.origin if live else self._traces.get(parent.trace_id)
        if found is not None and found.is_test:
            return found
        origin = self._root()
        if found is None:
            self._traces[parent.trace_id] = origin
        return origin

    def _root(self) -> Origin:
        body = BODY.get()
        return body if body is not None and body.closed else self._now

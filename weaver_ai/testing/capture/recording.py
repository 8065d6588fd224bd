"""The spans of one test, open ones included, as a source for assertions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from time import monotonic_ns, time_ns  # by name, where a test that stops the clock leaves `monotonic_ns` as it is
from typing import TYPE_CHECKING
from uuid import uuid4

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import get_current_span

from weaver_ai.spans import Span
from weaver_ai.spans.sdk import from_sdk
from weaver_ai.spans.tree import Key, key_of
from weaver_ai.testing.capture.origin import Captured, Origin, captured_of
from weaver_ai.testing.capture.remote import Remote

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord

    from weaver_ai.receiver.delivery import Delivery
    from weaver_ai.testing.capture.metric_taps import Measurement

__all__ = ["Recording"]


class Recording:
    """What began in one test.

    Lists only grow, and by `append`, which no thread can tear; so nothing here locks, and a fork can't
    inherit a held lock.

    Attributes:
        strays: spans that belong to an earlier test and began or ended in this one.
        dropped: names of the spans that the provider's sampler left out of the record.
        forced: how many it would have left out, had the recording not asked for every span.
        discarded: names of spans that were started on a tracer that is off.
        handed: the versions of ended spans that processors were given, of this test and of others.
        last_context: the OpenTelemetry context in which the test's body ended; None while it runs.
        logs: log records, as the last processor left them.
        measurements: what instruments were given, in order.
        outside: how many spans began in fixtures of a wider scope while this test was set up.
        remote: what other processes sent to this test.
        began_at: nanoseconds since the epoch, by the clock that was there then.
    """

    def __init__(self, origin: Origin, *, explain: Callable[[Recording], Sequence[str]] | None = None) -> None:
        self.origin = origin
        self.strays: list[Captured] = []
        self.dropped: list[str] = []
        self.forced = 0
        self.discarded: list[str] = []
        self.outside = 0
        self.last_context: Mapping[str, object] | None = None
        self.logs: list[ReadWriteLogRecord] = []
        self.measurements: list[Measurement] = []
        self.remote: Remote = Remote()
        self.began_at: int = time_ns()
        self._began_steady = monotonic_ns()
        self._marks: list[tuple[int, int]] = []
        self._explain = explain
        self._captured: list[Captured] = []
        self._held: list[ReadableSpan] = []
        self._ended: list[Captured] = []
        self.handed: list[object] = []  # people test their processors with anything
        self._indexed = self._matched = 0
        self._index: dict[tuple[int, int], list[Captured]] = {}
        self._known: tuple[list[Span | None], list[int]] = [], []
        self._listeners: dict[object, Callable[[], None]] = {}
        self._signal_listeners: dict[object, Callable[[], None]] = {}  # of all signals; each is in the other too

    @property
    def version(self) -> int:
        return len(self._captured) + len(self._ended) + len(self.remote.spans)

    @property
    def next_sequence(self) -> int:
        """Also marks this moment, so that spans of other processes have their place before or after it."""
        began = len(self._captured)
        self._marks.append((began, self.now()))
        return began + len(self._marks) - 1

    def now(self) -> int:
        """Nanoseconds since the epoch by which spans of other processes are dated, whose clock no test stops."""
        return self.began_at + monotonic_ns() - self._began_steady

    def unsettled(self) -> bool:
        """Whether more is to come: a span is open, or one of another process lacks its parent."""
        return bool(self.open or (self.remote.spans and (self.remote_open() or self.remote_orphans())))

    @property
    def open(self) -> list[Captured]:
        """Those that have not ended, in the order in which they began."""
        return [captured for captured in self._captured if not captured.ended and not captured.is_phantom]

    @property
    def sampled_out(self) -> list[str]:
        """Names of the spans that samplers left out of the record."""
        return [*self.dropped, *(captured.name for captured in self.everything() if captured.is_phantom)]

    def everything(self) -> Sequence[Captured]:
        """All of them, in the order in which they began."""
        return tuple(self._captured)

    def orphans(self) -> Iterator[Captured]:
        """Those whose parent is said to be in this process and was never recorded; a remote one may be anywhere."""
        known = {_key(captured.span) for captured in self.everything()}
        for captured in self.everything():
            named = captured.span.parent
            if named is None or named.is_remote or captured.parent is not None:
                continue
            if (named.trace_id, named.span_id) not in known:
                yield captured

    def began(self, captured: Captured, span: ReadableSpan) -> None:
        self._held.append(span)
        self._captured.append(captured)
        if self._listeners:
            self._wake()

    def strayed(self, captured: Captured, span: ReadableSpan, *, late: bool) -> None:
        """A span of an earlier test began here, or ended here."""
        if captured not in self.strays:
            captured.ended_late = late
            self._held.append(span)
            self.strays.append(captured)

    def finished(self, captured: Captured) -> None:
        self._ended.append(captured)
        if self._listeners:
            self._wake()

    def logged(self, record: ReadWriteLogRecord) -> None:
        self.logs.append(record)
        if self._signal_listeners:
            self._wake_of_signals()

    def measured(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)
        if self._signal_listeners:
            self._wake_of_signals()

    def arrived(self, delivery: Delivery) -> None:
        """Another process sent this."""
        self.remote.take(delivery)
        self._wake()

    def remote_spans(self) -> list[Span]:
        """What other processes sent; not what this one sent to itself."""
        return self._of_others(self._own()) if self.remote.spans else []

    def remote_open(self) -> list[Span]:
        """Those that only their pending record tells of."""
        return [span for span in self.remote_spans() if span.is_open]

    def remote_orphans(self) -> list[Span]:
        """Those whose parent should have come from the same process."""
        return list(self.remote.orphans({key_of(span) for span in self.snapshot()})) if self.remote.spans else []

    def snapshot(self) -> Sequence[Span]:
        own = self._own()
        return [*own, *self._of_others(own)] if self.remote.spans else own

    def _own(self) -> list[Span]:
        """Those of this process; one that has ended is the same object from then on.

        Only what began or could change since the last time is read. Two threads may do so at once: the state is
        replaced whole, and either's is right.
        """
        captured = self.everything()
        self._identify()
        self._match_versions()
        known, unsettled = self._known
        spans, left = known.copy(), []
        spans.extend([None] * (len(captured) - len(spans)))
        for place in (*unsettled, *range(len(known), len(spans))):
            span = spans[place] = self._read(captured[place], place)
            if span is None or span.is_open:
                left.append(place)
        self._known = spans, left
        return list(filter(None, spans))

    def _of_others(self, own: Sequence[Span]) -> list[Span]:
        known = {key_of(span) for span in own}
        others = [span for span in self.remote.latest() if key_of(span) not in known]
        return [replace(span, sequence=self._sequence_at(span.start)) for span in others]

    def _sequence_at(self, time: int) -> int:
        """That of the last mark before that time; -1 before the first."""
        passed = [began + number for number, (began, marked) in enumerate(tuple(self._marks)) if marked <= time]
        return passed[-1] if passed else -1

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        key = object()
        self._listeners[key] = wake

        def unsubscribe() -> None:
            self._listeners.pop(key, None)

        return unsubscribe

    def subscribe_to_all(self, wake: Callable[[], None]) -> Callable[[], None]:
        """As `subscribe`, and after each log record and measurement."""
        key = object()
        self._listeners[key] = self._signal_listeners[key] = wake

        def unsubscribe() -> None:
            self._listeners.pop(key, None)
            self._signal_listeners.pop(key, None)

        return unsubscribe

    def renamed(self, context: Context | None) -> Key | None:
        """The ids that the snapshot has for the span that is current there, if they aren't its own."""
        captured = None if context is None else captured_of(get_current_span(context))
        if captured is None:
            return None
        self._identify()
        return None if captured.renamed is None else captured.renamed[:2]

    def why_empty(self) -> Sequence[str]:
        return [*self.remote.why_empty(), *(self._explain(self) if self._explain else ())]

    def _identify(self) -> None:
        """Give those that began since the last time ids of their own, where an earlier one has the same."""
        first = self._indexed
        began = self._captured[first:]
        for captured in began:
            namesakes = self._index.setdefault(_key(captured.span), [])
            if captured in namesakes:  # another thread was quicker
                continue
            above = self._above(captured)
            if namesakes or (above is not None and above.renamed):
                captured.renamed = _renamed(captured.span, above)
            namesakes.append(captured)
        self._indexed = first + len(began)

    def _above(self, captured: Captured) -> Captured | None:
        """Its parent; where only ids tell of it, the latest that has them."""
        named = captured.span.parent
        if captured.parent is not None or named is None:
            return captured.parent
        found = self._index.get((named.trace_id, named.span_id))
        return found[-1] if found else None

    def _match_versions(self) -> None:
        """Find the spans of the versions that processors were given since the last time.

        The first version of a span that any processor gets is the SDK's own; one that shares neither its
        name nor its attributes was made by a processor in between.
        """
        first = self._matched
        versions = self.handed[first:]
        for version in versions:
            if not isinstance(version, ReadableSpan):
                continue
            found = self._index.get(_key(version), ())
            if not any(_is_own(captured.span, version) for captured in found):
                for captured in [each for each in found if each.span.start_time == version.start_time][-1:]:
                    captured.rewritten = version
        self._matched = first + len(versions)

    def _read(self, captured: Captured, place: int) -> Span | None:
        if captured.is_phantom:
            return None
        ended = captured.ended
        sequence = place + bisect_right(self._marks, place, key=itemgetter(0))
        span = from_sdk(captured.latest, sequence=sequence, open=not ended)
        if captured.renamed is None:
            return span
        trace_id, span_id, parent_id = captured.renamed
        return replace(span, trace_id=trace_id, span_id=span_id, parent_id=parent_id)

    def _wake(self) -> None:
        for listener in tuple(self._listeners.values()):
            listener()

    def _wake_of_signals(self) -> None:
        for listener in tuple(self._signal_listeners.values()):
            listener()


def _key(span: ReadableSpan) -> tuple[int, int]:
    return (span.context.trace_id, span.context.span_id) if span.context else (0, 0)


def _renamed(span: ReadableSpan, above: Captured | None) -> tuple[str, str, str | None]:
    """Ids that nobody has, below the parent that was meant. Not by `random`, which somebody may have seeded."""
    trace_id = f"{span.context.trace_id:032x}" if span.context and span.parent else uuid4().hex
    parent_id = f"{span.parent.span_id:016x}" if span.parent else None
    if above is not None and above.renamed:
        trace_id, parent_id, _ = above.renamed
    return trace_id, uuid4().hex[:16], parent_id


def _is_own(live: ReadableSpan, version: ReadableSpan) -> bool:
    """Whether the version is the SDK's own copy of the ended span: they share their parts."""
    return (
        version._attributes is live._attributes
        and version._events is live._events
        and version._status is live._status
        and version.name == live.name
    )

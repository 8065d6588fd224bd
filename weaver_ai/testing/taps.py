"""Where spans are born and handed on: the SDK's classes, tapped for as long as somebody captures.

A span processor sees one provider, and only from the moment it was added. The methods tapped here are
the ones that every span of every provider goes through, whoever made the provider and whenever, shut
down or not, whatever its processors are wrapped in (docs/decisions/0501-tap-the-classes.md). A tap
calls the original exactly once, with the caller's arguments, and returns what it returned.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import export
from opentelemetry.trace import NoOpTracer

from weaver_ai.testing.patches import Patches
from weaver_ai.testing.sampling import Verdicts, replace_samplers

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord

    from weaver_ai.testing.metric_taps import Measurement

__all__ = ["Signal", "Sink", "current", "pop", "push", "tap"]


class Sink(Verdicts, Protocol):
    """What a tap tells. Called in the thread that emits, so it must be quick and must not raise."""

    def started(self, span: sdk.Span, parent_context: Context | None) -> None:
        """The span has started; its processors know."""
        ...

    def ended(self, span: sdk.Span) -> None:
        """The span has ended; its processors are done with it."""
        ...

    def handed_on(self, span: sdk.ReadableSpan) -> None:
        """A processor was given this version of an ended span; a wrapper before it may have rewritten it."""
        ...

    def discarded(self, name: str) -> None:
        """A span was started on a no-op tracer."""
        ...

    def logged(self, record: ReadWriteLogRecord) -> None:
        """The processors are done with this log record; the last version that any of them was given."""
        ...

    def measured(self, measurement: Measurement) -> None:
        """An instrument took a measurement."""
        ...


Signal: TypeAlias = Literal["logs", "metrics"]

_sinks: list[Sink] = []
_patches = Patches()
_tapped: set[Signal] = set()


def push(sink: Sink) -> None:
    """Tell `sink`, and nobody else until it's popped: a session inside a session has its own spans."""
    if not _sinks:
        _install()
    _sinks.append(sink)


def pop(sink: Sink) -> None:
    """Stop telling `sink`; with the last sink gone, the SDK's classes are as they were."""
    _sinks.remove(sink)
    if not _sinks:
        _patches.undo()
        _tapped.clear()


def tap(signal: Signal) -> None:
    """Tell of this signal too, until the last sink is gone. Only then is its part of the SDK imported."""
    if signal in _tapped:
        return
    if signal == "logs":
        from weaver_ai.testing.log_taps import tap_logs  # noqa: PLC0415 # see above

        tap_logs(_patches, current)
    else:
        from weaver_ai.testing.metric_taps import tap_metrics  # noqa: PLC0415

        tap_metrics(_patches, current)
    _tapped.add(signal)


def current() -> Sink | None:
    """Who is told, if anybody."""
    return _sinks[-1] if _sinks else None


def _install() -> None:
    replace_samplers(_patches, current)
    _patches.replace(sdk.Span, "start", _tap_start)
    _patches.replace(sdk.Span, "end", _tap_end)
    _patches.replace(NoOpTracer, "start_span", _tap_noop)
    for processor in (
        sdk.SynchronousMultiSpanProcessor,
        sdk.ConcurrentMultiSpanProcessor,
        export.SimpleSpanProcessor,
        export.BatchSpanProcessor,
    ):
        _patches.replace(processor, "on_end", _tap_on_end)


def _tap_start(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def start(self: sdk.Span, start_time: int | None = None, parent_context: Context | None = None) -> None:
        first = self.start_time is None
        original(self, start_time, parent_context)
        if first and _sinks:
            _sinks[-1].started(self, parent_context)

    return start


def _tap_end(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def end(self: sdk.Span, end_time: int | None = None) -> None:
        first = self.end_time is None
        try:
            original(self, end_time)
        finally:
            if first and _sinks:
                _sinks[-1].ended(self)

    return end


def _tap_on_end(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def on_end(self: sdk.SpanProcessor, span: sdk.ReadableSpan) -> None:
        if _sinks:
            _sinks[-1].handed_on(span)
        original(self, span)

    return on_end


def _tap_noop(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start_span(self: NoOpTracer, name: str, *args: Any, **kwargs: Any) -> Any:
        if _sinks:
            _sinks[-1].discarded(name)
        return original(self, name, *args, **kwargs)

    return start_span

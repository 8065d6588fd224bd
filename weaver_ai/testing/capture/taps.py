"""Where spans are born and handed on: the SDK's classes, tapped for as long as somebody captures.

A span processor sees one provider, and only from the moment it was added. The methods tapped here are
the ones that every span of every provider goes through, whoever made the provider and whenever, shut
down or not, whatever its processors are wrapped in (docs/decisions/0501-tap-the-classes.md). A tap
calls the original exactly once, with the caller's arguments, and returns what it returned.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, Span

from weaver_ai.testing.capture.sink import Sink
from weaver_ai.testing.patches import Patches

__all__ = ["Signal", "current", "pop", "push", "tap"]


Signal: TypeAlias = Literal["logs", "metrics"]

_sinks: list[Sink] = []
_sink: Sink | None = None  # the last of them: read twice and more for each span
_patches = Patches()
_tapped: set[Signal] = set()


def push(sink: Sink) -> None:
    """Tell `sink`, and nobody else until it's popped: a session inside a session has its own spans."""
    if not _sinks:
        _install()
    _sinks.append(sink)
    _choose()


def pop(sink: Sink) -> None:
    """Stop telling `sink`; with the last sink gone, the SDK's classes are as they were."""
    _sinks.remove(sink)
    _choose()
    if not _sinks:
        _patches.undo()
        _tapped.clear()


def tap(signal: Signal) -> None:
    """Tell of this signal too, until the last sink is gone. Only then is its part of the SDK imported."""
    if signal in _tapped:
        return
    if signal == "logs":
        from weaver_ai.testing.capture.log_taps import tap_logs  # noqa: PLC0415 # see above

        tap_logs(_patches, current)
    else:
        from weaver_ai.testing.capture.metric_taps import tap_metrics  # noqa: PLC0415

        tap_metrics(_patches, current)
    _tapped.add(signal)


def current() -> Sink | None:
    """Who is told, if anybody."""
    return _sink


def _choose() -> None:
    global _sink  # noqa: PLW0603 # one a process, as the classes it is about
    _sink = _sinks[-1] if _sinks else None


def _install() -> None:
    _patches.replace(sdk.Tracer, "start_span", _tap_start)
    _patches.replace(sdk.Span, "end", _tap_end)
    _patches.replace(NoOpTracer, "start_span", _tap_noop)
    for processor in (
        sdk.SynchronousMultiSpanProcessor,
        sdk.ConcurrentMultiSpanProcessor,
        export.SimpleSpanProcessor,
        export.BatchSpanProcessor,
    ):
        _patches.replace(processor, "on_end", _tap_on_end)


def _tap_start(original: Callable[..., Span]) -> Callable[..., Span]:
    @functools.wraps(original)
    def start_span(self: sdk.Tracer, name: str, context: Context | None = None, *args: Any, **kwargs: Any) -> Span:
        span = original(self, name, context, *args, **kwargs)
        sink = _sink
        if sink is None:
            return span
        if span.__class__ is NonRecordingSpan:
            span = _left_out(original, self, sink, span, name, context, *args, **kwargs)
            if span.__class__ is NonRecordingSpan:
                return span
        sink.started(span, context)  # type: ignore[arg-type] # a tracer of the SDK has no third kind
        return span

    return start_span


def _left_out(
    original: Callable[..., Span], tracer: sdk.Tracer, sink: Sink, span: Span, name: str, *args: Any, **kwargs: Any
) -> Span:
    """The span that was left out; recorded by a twin of its tracer whose sampler keeps all, if every span is wanted."""
    if not tracer._is_enabled():
        sink.discarded(name)
        return span
    sink.sampled_out(name, kept=sink.every_span)
    if not sink.every_span:
        return span
    twin = copy.copy(tracer)
    twin.sampler = ALWAYS_ON
    return original(twin, name, *args, **kwargs)


def _tap_end(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def end(self: sdk.Span, end_time: int | None = None) -> None:
        try:
            original(self, end_time)
        finally:
            if (sink := _sink) is not None:
                sink.ended(self)

    return end


def _tap_on_end(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def on_end(self: sdk.SpanProcessor, span: sdk.ReadableSpan) -> None:
        if (sink := _sink) is not None:
            sink.handed_on(span)
        original(self, span)

    return on_end


def _tap_noop(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start_span(self: NoOpTracer, name: str, *args: Any, **kwargs: Any) -> Any:
        if (sink := _sink) is not None:
            sink.discarded(name)
        return original(self, name, *args, **kwargs)

    return start_span

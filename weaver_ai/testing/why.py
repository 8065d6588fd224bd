"""Why a test captured nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from weaver_ai.testing.recording import Recording

__all__ = ["why_empty"]


def why_empty(recording: Recording) -> Sequence[str]:
    """The reasons that show, likeliest first; one that says so if none does."""
    return list(_reasons(recording)) or ["no tracer was asked for a span during the test"]


def _reasons(recording: Recording) -> Iterator[str]:
    if recording.sampled_out:
        yield f"sampled out: {_spans(len(recording.sampled_out))} ({_names(recording.sampled_out)})"
    if recording.discarded:
        yield f"started on a no-op tracer: {_spans(len(recording.discarded))} ({_names(recording.discarded)})"
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider | trace.ProxyTracerProvider):
        kind = type(provider)
        yield f"the global provider is {kind.__module__}.{kind.__qualname__}, not the OpenTelemetry SDK's"
    if recording.strays:
        origins = sorted({captured.origin.name for captured in recording.strays})
        yield f"{_spans(len(recording.strays))} came late from {', '.join(origins)}"
    if recording.outside:
        yield f"{_spans(recording.outside)} began in fixtures of a wider scope, before the test"


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count} spans"


def _names(names: Sequence[str], limit: int = 3) -> str:
    different = list(dict.fromkeys(names))
    shown = ", ".join(repr(name) for name in different[:limit])
    return shown if len(different) <= limit else f"{shown}, and {len(different) - limit} more"

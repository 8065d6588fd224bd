"""Why a test captured nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider

from weaver_ai.testing.capture.apps import bypassed_apps
from weaver_ai.testing.capture.living import living
from weaver_ai.testing.capture.recording import Recording
from weaver_ai.testing.capture.stand_ins import stand_in

__all__ = ["off", "why_empty"]

_SUPPRESSED = ("suppress_instrumentation", "suppress_http_instrumentation")


def why_empty(recording: Recording) -> Sequence[str]:
    """The reasons that show, likeliest first; one that says so if none does."""
    return list(_reasons(recording)) or ["no tracer was asked for a span during the test"]


def _reasons(recording: Recording) -> Iterator[str]:
    if recording.sampled_out:
        yield f"sampled out: {_spans(len(recording.sampled_out))} ({_names(recording.sampled_out)})"
    if recording.discarded:
        yield f"started on a tracer that is off: {_spans(len(recording.discarded))} ({_names(recording.discarded)})"
    yield from _providers()
    yield from _suppressed(context.get_current() if recording.last_context is None else recording.last_context)
    yield from _transports()
    yield from bypassed_apps()
    if recording.strays:
        origins = sorted({captured.origin.name for captured in recording.strays})
        yield f"{_spans(len(recording.strays))} came late from {', '.join(origins)}"
    if recording.outside:
        belong = "belongs" if recording.outside == 1 else "belong"
        yield f"{_spans(recording.outside)} began in fixtures of a wider scope, and {belong} to no test"


def _providers() -> Iterator[str]:
    return off(trace.get_tracer_provider(), TracerProvider, trace.ProxyTracerProvider, "tracer", "provider")


def off(provider: object, sdk: type, proxy: type, noun: str, called: str) -> Iterator[str]:
    """Why nothing comes from the global provider of a signal, if it is that."""
    if isinstance(inner := getattr(provider, "provider", None), sdk):  # Logfire's, which hands on
        provider = inner
    if isinstance(provider, proxy):
        provider = stand_in(sdk)
    if isinstance(provider, sdk):
        if getattr(provider, "_disabled", False):
            yield f"OTEL_SDK_DISABLED is set, so the SDK's {noun}s are no-ops"
    else:
        kind = type(provider)
        yield f"the global {called} is {kind.__module__}.{kind.__qualname__}, not the OpenTelemetry SDK's"


def _suppressed(current: Mapping[str, object]) -> Iterator[str]:
    # The keys end in a random UUID, but for an old one that is still in use.
    names = {key[:-37] if key[:-37] in _SUPPRESSED else key for key, value in current.items() if value}
    if names.intersection(_SUPPRESSED):
        yield "instrumentation is suppressed in the current context"


def _transports() -> Iterator[str]:
    for library in ("httpx", "httpx2"):
        module = sys.modules.get(library)
        if module is None or f"opentelemetry.instrumentation.{library}" not in sys.modules:
            continue
        if any(True for _ in living(module.MockTransport)):
            yield (
                f"an {library}.MockTransport stands in for the transport that the instrumentation of {library} wraps"
            )


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count} spans"


def _names(names: Sequence[str], limit: int = 3) -> str:
    different = list(dict.fromkeys(names))
    shown = ", ".join(repr(name) for name in different[:limit])
    return shown if len(different) <= limit else f"{shown}, and {len(different) - limit} more"

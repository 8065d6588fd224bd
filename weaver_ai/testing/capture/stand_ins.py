"""Providers for code that never set one, behind OpenTelemetry's own proxies.

The global providers stay unset, so that the code under test can still set its own, once, as in
production, and every tracer follows it. Until then the proxies, which would drop everything, hand it to
one provider of this process that has no processors (docs/decisions/0502-providers-behind-the-proxies.md).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from weaver_ai.testing.patches import Patches

__all__ = ["replace_trace_proxies", "stand_in"]


class StandInTracerProvider(trace.ProxyTracerProvider):
    """The proxy while a test records. By its name alone it isn't one that FastAPI takes for unconfigured."""


def replace_trace_proxies(patches: Patches) -> None:
    """Let proxy tracers, those included that were made at import, fall back to a working provider."""
    provider: TracerProvider = stand_in(TracerProvider)

    def wrap(original: property) -> property:
        def tracer(self: Any) -> trace.Tracer:
            found: trace.Tracer = original.__get__(self)
            if not isinstance(found, trace.NoOpTracer) or not _unset():
                return found
            return provider.get_tracer(
                self._instrumenting_module_name,
                self._instrumenting_library_version,
                self._schema_url,
                self._attributes,
            )

        return property(tracer)

    patches.replace(trace.ProxyTracer, "_tracer", wrap)
    patches.replace_class(trace._PROXY_TRACER_PROVIDER, StandInTracerProvider)


def _unset() -> bool:
    return isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@cache
def stand_in(provider: Callable[..., Any]) -> Any:
    """The one provider of this class in this process that nobody set; never shut down, for it holds nothing."""
    return provider(shutdown_on_exit=False)

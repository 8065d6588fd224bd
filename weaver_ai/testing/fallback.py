"""A provider for code that never set one, behind OpenTelemetry's own proxies.

The global provider stays unset, so that the code under test can still set its own, once, as in
production, and every tracer follows it. Until then the proxies, which would drop every span, hand them to
one provider of this process that has no processors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from weaver_ai.testing.patches import Patches

__all__ = ["replace_proxies"]


class StandInTracerProvider(trace.ProxyTracerProvider):
    """The proxy while a test records. By its name alone it isn't one that FastAPI takes for unconfigured."""


@cache
def _provider() -> TracerProvider:
    return TracerProvider(shutdown_on_exit=False)


def replace_proxies(patches: Patches, recording: Callable[[], bool]) -> None:
    """Let proxy tracers, those included that were made at import, fall back to a working provider."""
    patches.replace(trace.ProxyTracer, "_tracer", lambda original: property(_tracer_or(original.fget, recording)))
    proxy = trace._PROXY_TRACER_PROVIDER  # the one object that stands for "nobody set a provider"
    patches.replace_class(proxy, StandInTracerProvider)


def _tracer_or(original: Callable[[Any], trace.Tracer], recording: Callable[[], bool]) -> Callable[[Any], trace.Tracer]:
    def tracer(self: Any) -> trace.Tracer:
        found = original(self)
        if not isinstance(found, trace.NoOpTracer) or not recording() or not _unset():
            return found
        return _provider().get_tracer(
            self._instrumenting_module_name,
            self._instrumenting_library_version,
            self._schema_url,
            self._attributes,
        )

    return tracer


def _unset() -> bool:
    return isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)

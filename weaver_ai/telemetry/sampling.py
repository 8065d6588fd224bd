"""Which traces are kept."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

from weaver_ai.settings import Settings

__all__ = ["sampler_of"]


def sampler_of(settings: Settings) -> Sampler:
    """WEAVER_TELEMETRY_SAMPLE_RATE where it is set, else OTEL_TRACES_SAMPLER; decided at the root of a trace."""
    if "telemetry_sample_rate" not in settings.model_fields_set:
        return TracerProvider(shutdown_on_exit=False).sampler  # what the SDK reads from its own variables
    rate = settings.telemetry_sample_rate
    return ParentBased(ALWAYS_ON if rate == 1 else TraceIdRatioBased(rate))

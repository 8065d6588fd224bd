"""Every span is recorded while a test records, whatever its provider's sampler says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from weaver_ai.testing.patches import Patches

__all__ = ["Verdicts", "replace_samplers"]


class Verdicts(Protocol):
    """Who decides, and who hears what was decided."""

    @property
    def every_span(self) -> bool:
        """Whether to record what the provider's sampler wants left out."""
        ...

    def sampled_out(self, name: str, *, kept: bool) -> None:
        """The provider's sampler wants the span left out; `kept` says that it's recorded all the same."""
        ...


def replace_samplers(patches: Patches, current: Callable[[], Verdicts | None]) -> None:
    """Put a decision in front of the sampler of each tracer, those included that exist already."""
    patches.replace(Tracer, "sampler", lambda _: _SamplerOfTracer(current))


class _SamplerOfTracer:
    """`Tracer.sampler` as a data descriptor: the instance's own value stays in its `__dict__`, untouched."""

    def __init__(self, current: Callable[[], Verdicts | None]) -> None:
        self._current = current

    def __get__(self, tracer: Tracer | None, owner: type[Tracer]) -> Any:
        if tracer is None:
            return self
        own: Sampler = vars(tracer)["sampler"]
        verdicts = self._current()
        return own if verdicts is None else _RecordingSampler(own, verdicts)

    def __set__(self, tracer: Tracer, sampler: Sampler) -> None:
        vars(tracer)["sampler"] = sampler


class _RecordingSampler(Sampler):
    """The tracer's own sampler, asked first: its attributes and trace state are kept."""

    __slots__ = ("_own", "_verdicts")

    def __init__(self, own: Sampler, verdicts: Verdicts) -> None:
        self._own = own
        self._verdicts = verdicts

    def should_sample(  # noqa: PLR0917 # the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        result = self._own.should_sample(parent_context, trace_id, name, kind, attributes, links)
        if result.decision is Decision.RECORD_AND_SAMPLE:
            return result
        kept = self._verdicts.every_span
        if kept or result.decision is Decision.DROP:
            self._verdicts.sampled_out(name, kept=kept)
        if not kept:
            return result
        return SamplingResult(Decision.RECORD_AND_SAMPLE, result.attributes or attributes, result.trace_state)

    def get_description(self) -> str:
        return self._own.get_description()

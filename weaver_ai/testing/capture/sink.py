"""Who is told what the taps see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.metrics._internal.measurement import Measurement

__all__ = ["Sink"]


class Sink(Protocol):
    """What a tap tells. Called in the thread that emits, so it must be quick and must not raise."""

    @property
    def every_span(self) -> bool:
        """Whether to record what the provider's sampler wants left out."""
        ...

    def sampled_out(self, name: str, *, kept: bool) -> None:
        """The provider's sampler wants the span left out; `kept` says that it's recorded all the same."""
        ...

    def started(self, span: sdk.Span, parent_context: Context | None) -> None:
        """The span has started; its processors know."""
        ...

    def ended(self, span: sdk.Span) -> None:
        """The span has ended, now or earlier; its processors are done with it."""
        ...

    def handed_on(self, span: sdk.ReadableSpan) -> None:
        """A processor was given this version of an ended span; a wrapper before it may have rewritten it."""
        ...

    def discarded(self, name: str) -> None:
        """A span was started on a no-op tracer, or on one that a configurator disabled."""
        ...

    def logged(self, record: ReadWriteLogRecord) -> None:
        """The processors are done with this log record; the last version that any of them was given."""
        ...

    def measured(self, measurement: Measurement) -> None:
        """An instrument took a measurement."""
        ...

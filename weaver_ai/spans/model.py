"""A span as data: what OpenTelemetry says of it, without the SDK.

Source: OpenTelemetry specification, trace API (span, status, links, events) and the OTLP data model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = ["AttributeValue", "Attributes", "Event", "Link", "Scope", "Span", "SpanKind", "Status", "StatusCode"]

# The specification's AnyValue: attributes may nest.
AttributeValue: TypeAlias = (
    str | bool | int | float | bytes | Sequence["AttributeValue"] | Mapping[str, "AttributeValue"] | None
)
Attributes: TypeAlias = Mapping[str, AttributeValue]
SpanKind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
StatusCode: TypeAlias = Literal["unset", "ok", "error"]

_NO_ATTRIBUTES: Attributes = MappingProxyType({})


def _no_attributes() -> Attributes:  # before 3.12 a mappingproxy has no hash, so it can't be a plain default
    return _NO_ATTRIBUTES


@dataclass(frozen=True, slots=True)
class Status:
    """How the span ended; `description` is only ever set on an error."""

    code: StatusCode = "unset"
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one moment of a span; `time` in nanoseconds since the epoch."""

    name: str
    time: int
    attributes: Attributes = field(default_factory=_no_attributes)


@dataclass(frozen=True, slots=True)
class Link:
    """A pointer to a span that this one has to do with, without being its child."""

    trace_id: str
    span_id: str
    attributes: Attributes = field(default_factory=_no_attributes)


@dataclass(frozen=True, slots=True)
class Scope:
    """The instrumentation scope: the library that made the span."""

    name: str = ""
    version: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """One span. Equal only to itself: two spans of the same shape are still two spans.

    Attributes:
        trace_id: 32 lower-case hexadecimal digits.
        span_id: 16 lower-case hexadecimal digits.
        parent_id: the parent's `span_id`, or None for a root.
        start: nanoseconds since the epoch.
        end: nanoseconds since the epoch, or None while the span is open.
        sequence: the order in which spans began in the process that recorded them; breaks ties of `start`.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None = None
    kind: SpanKind = "internal"
    start: int = 0
    end: int | None = None
    status: Status = field(default_factory=Status)
    attributes: Attributes = field(default_factory=_no_attributes)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    scope: Scope = field(default_factory=Scope)
    resource: Attributes = field(default_factory=_no_attributes)
    sequence: int = 0

    @property
    def duration(self) -> float | None:
        """Seconds from start to end, or None while the span is open."""
        return None if self.end is None else (self.end - self.start) / 1e9

    @property
    def is_open(self) -> bool:
        return self.end is None

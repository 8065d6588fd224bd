"""A span as data: what OpenTelemetry says of it, without the SDK.

Source: OpenTelemetry specification, trace API (span, status, links, events) and the OTLP data model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

__all__ = ["AttributeValue", "Attributes", "Event", "Link", "Scope", "Span", "SpanKind", "Status", "StatusCode"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

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
    """How the span ended; `description` is only ever set on an error.

    Equal to its code as well: `span.status == "error"`, or OpenTelemetry's `StatusCode.ERROR`.

    Raises:
        ValueError: it is compared with a string that is no code; `!=` would hold for every span.
    """

    code: StatusCode = "unset"
    description: str | None = None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Status):
            return (self.code, self.description) == (other.code, other.description)
        if isinstance(other, str):
            return self.code == _status_code(other)
        if isinstance(other, Enum) and type(other).__name__ == "StatusCode":
            return self.code == other.name.lower()
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.code)


def _status_code(text: str) -> str:
    codes: tuple[str, ...] = get_args(StatusCode)
    if text in codes:
        return text
    hint = f"did you mean {text.lower()!r}?" if text.lower() in codes else f"it is one of {', '.join(codes)}"
    raise ValueError(f"there is no status {text!r}; {hint}")


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

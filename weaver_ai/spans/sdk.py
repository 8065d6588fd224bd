"""From a span of the OpenTelemetry SDK to a `Span`. The SDK is described by protocols, never imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from weaver_ai.spans.model import Attributes, Event, Link, Scope, Span, SpanKind, Status, StatusCode

__all__ = ["SdkSpan", "from_sdk"]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Context(Protocol):
    @property
    def trace_id(self) -> int: ...
    @property
    def span_id(self) -> int: ...


class _Status(Protocol):
    @property
    def status_code(self) -> _Named: ...
    @property
    def description(self) -> str | None: ...


class _Event(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def attributes(self) -> Attributes | None: ...


class _Link(Protocol):
    @property
    def context(self) -> _Context: ...
    @property
    def attributes(self) -> Attributes | None: ...


class _Scope(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str | None: ...


class _Resource(Protocol):
    @property
    def attributes(self) -> Attributes: ...


class SdkSpan(Protocol):
    """What `from_sdk` reads of `opentelemetry.sdk.trace.ReadableSpan`."""

    @property
    def name(self) -> str: ...
    @property
    def parent(self) -> _Context | None: ...
    @property
    def kind(self) -> _Named: ...
    @property
    def start_time(self) -> int | None: ...
    @property
    def end_time(self) -> int | None: ...
    @property
    def status(self) -> _Status: ...
    @property
    def attributes(self) -> Attributes | None: ...
    @property
    def events(self) -> Sequence[_Event]: ...
    @property
    def links(self) -> Sequence[_Link]: ...
    @property
    def resource(self) -> _Resource: ...
    @property
    def instrumentation_scope(self) -> _Scope | None: ...
    def get_span_context(self) -> _Context | None: ...


_KINDS: Mapping[str, SpanKind] = {
    "INTERNAL": "internal",
    "SERVER": "server",
    "CLIENT": "client",
    "PRODUCER": "producer",
    "CONSUMER": "consumer",
}
_STATUS_CODES: Mapping[str, StatusCode] = {"UNSET": "unset", "OK": "ok", "ERROR": "error"}
_NO_ATTRIBUTES: Attributes = MappingProxyType({})
_NO_SCOPE = Scope()
_NOTHING_SAID = Status("unset", None)
_scope = lru_cache(256)(Scope)  # a process has few


def from_sdk(span: SdkSpan, *, sequence: int, open: bool = False) -> Span:  # noqa: A002 # the word for it everywhere
    """Copy what the SDK's span says now; later changes of an open span don't show in the copy.

    Args:
        span: any `ReadableSpan`, also one that a processor got in `on_start`.
        sequence: the order in which it began among the spans of this process.
        open: the span has not ended, whatever its `end_time` says.

    Raises:
        ValueError: the span has no context, so it was never recorded.
    """
    context = span.get_span_context()
    if context is None:
        raise ValueError(f"span {span.name!r} has no context")
    scope = span.instrumentation_scope
    return Span(
        name=span.name,
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=None if span.parent is None else f"{span.parent.span_id:016x}",
        kind=_KINDS[span.kind.name],
        start=span.start_time or 0,
        end=None if open else span.end_time,
        status=_status(span.status),
        attributes=_copy(span.attributes),
        events=tuple(map(_event, span.events)),
        links=tuple(map(_link, span.links)),
        scope=_NO_SCOPE if scope is None else _scope(scope.name, scope.version),
        resource=span.resource.attributes,
        sequence=sequence,
    )


def _status(status: _Status) -> Status:
    code, description = _STATUS_CODES[status.status_code.name], status.description
    return _NOTHING_SAID if code == "unset" and description is None else Status(code, description)


def _event(event: _Event) -> Event:
    return Event(event.name, event.timestamp, _copy(event.attributes))


def _link(link: _Link) -> Link:
    return Link(f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}", _copy(link.attributes))


def _copy(attributes: Attributes | None) -> Attributes:
    return MappingProxyType(dict(attributes)) if attributes else _NO_ATTRIBUTES

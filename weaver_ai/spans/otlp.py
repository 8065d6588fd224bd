"""From OTLP's JSON encoding to spans.

Source: opentelemetry-proto, `ExportTraceServiceRequest`, in the JSON mapping that the OTLP specification
gives: ids are hexadecimal, 64-bit integers are strings or numbers, enumerations are numbers (names are
taken too), fields that aren't known are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from weaver_ai.spans.model import Attributes, Event, Link, Scope, Span, SpanKind, Status, StatusCode
from weaver_ai.spans.otlp_fields import (
    InvalidOtlp,
    as_object,
    attributes_in,
    hexadecimal,
    identity,
    integer,
    objects,
    scope_in,
    string,
    word,
)

__all__ = ["InvalidOtlp", "spans_of_json"]

_KINDS: Final[Sequence[SpanKind]] = ("internal", "internal", "server", "client", "producer", "consumer")
_CODES: Final[Sequence[StatusCode]] = ("unset", "ok", "error")


def spans_of_json(
    request: object, *, sequence: int = 0, reject: Callable[[InvalidOtlp], None] | None = None
) -> list[Span]:
    """The spans of a decoded `ExportTraceServiceRequest`, in the order they stand there.

    Args:
        request: what `json.loads` gives.
        sequence: that of the first span; the others follow.
        reject: told of each span that is wrong in itself, which is then left out.

    Raises:
        InvalidOtlp: a field has the wrong type; nothing of the request is used then.
    """
    spans: list[Span] = []
    for resource_spans in objects(as_object(request, "request"), "resourceSpans"):
        resource = attributes_in(as_object(resource_spans.get("resource", {}), "resource"))
        for scope_spans in objects(resource_spans, "scopeSpans"):
            scope = scope_in(scope_spans)
            for entry in objects(scope_spans, "spans"):
                try:
                    spans.append(_span(entry, resource, scope, sequence + len(spans)))
                except InvalidOtlp as error:
                    if reject is None:
                        raise
                    reject(error)
    return spans


def _span(entry: Mapping[str, object], resource: Attributes, scope: Scope, sequence: int) -> Span:
    end = integer(entry, "endTimeUnixNano")
    status = as_object(entry.get("status", {}), "status")
    return Span(
        name=string(entry, "name"),
        trace_id=hexadecimal(entry, "traceId", 32),
        span_id=hexadecimal(entry, "spanId", 16),
        parent_id=identity(entry, "parentSpanId", 16),
        kind=word(entry, "kind", _KINDS, "SPAN_KIND_"),
        start=integer(entry, "startTimeUnixNano"),
        end=end or None,
        status=Status(word(status, "code", _CODES, "STATUS_CODE_"), string(status, "message") or None),
        attributes=attributes_in(entry),
        events=tuple(
            Event(string(event, "name"), integer(event, "timeUnixNano"), attributes_in(event))
            for event in objects(entry, "events")
        ),
        links=tuple(
            Link(hexadecimal(link, "traceId", 32), hexadecimal(link, "spanId", 16), attributes_in(link))
            for link in objects(entry, "links")
        ),
        scope=scope,
        resource=resource,
        sequence=sequence,
    )

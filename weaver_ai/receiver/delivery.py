"""One export request, read: what arrived, and what of it was wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from weaver_ai.receiver.logs import LogRecord, logs_of_json
from weaver_ai.receiver.metrics import DataPoint, points_of_json
from weaver_ai.receiver.pending import as_it_is
from weaver_ai.receiver.wire import read_message
from weaver_ai.spans import Span
from weaver_ai.spans.otlp import InvalidOtlp, spans_of_json
from weaver_ai.spans.otlp_fields import as_object, integer, objects
from weaver_ai.spans.tree import Key

__all__ = ["Delivery", "Encoding", "Signal", "read_delivery"]

Signal: TypeAlias = Literal["traces", "logs", "metrics"]
Encoding: TypeAlias = Literal["protobuf", "json"]

_MESSAGES: Final[Mapping[Signal, str]] = {
    "traces": "collector.trace.v1.ExportTraceServiceRequest",
    "logs": "collector.logs.v1.ExportLogsServiceRequest",
    "metrics": "collector.metrics.v1.ExportMetricsServiceRequest",
}
_TELLS_WHERE: Final = 0x100  # of the flags of a span: whether the next bit means anything
_ELSEWHERE: Final = 0x200


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """What one request brought.

    Attributes:
        parents_elsewhere: the spans whose parent is in another process than they are.
        wrong: for each span, record or point that was left out, why.
    """

    spans: Sequence[Span] = ()
    logs: Sequence[LogRecord] = ()
    points: Sequence[DataPoint] = ()
    parents_elsewhere: frozenset[Key] = frozenset()
    wrong: Sequence[str] = field(default_factory=list)


def read_delivery(signal: Signal, encoding: Encoding, body: bytes) -> Delivery:
    """Decode the body of a request, uncompressed.

    A pending record of Logfire comes as the open span that it stands for.

    Raises:
        InvalidOtlp: it isn't such a request.
    """
    request = read_message(body, _MESSAGES[signal]) if encoding == "protobuf" else _json(body)
    wrong: list[str] = []
    reject: Callable[[InvalidOtlp], None] = lambda error: wrong.append(str(error))  # noqa: E731 # it has a type
    try:
        if signal == "logs":
            return Delivery(logs=logs_of_json(request, reject=reject), wrong=wrong)
        if signal == "metrics":
            return Delivery(points=points_of_json(request, reject=reject), wrong=wrong)
        spans = [as_it_is(span) for span in spans_of_json(request, reject=reject)]
        return Delivery(spans=spans, parents_elsewhere=frozenset(_parents_elsewhere(request)), wrong=wrong)
    except RecursionError as error:
        raise InvalidOtlp("values are nested too deep") from error


def _json(body: bytes) -> object:
    try:
        return json.loads(body, object_pairs_hook=_fields)
    except (ValueError, RecursionError) as error:
        raise InvalidOtlp(f"the body is not JSON: {error}") from error


def _fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Without null, which in protobuf's JSON is a field that isn't set."""
    return {name: value for name, value in pairs if value is not None}


def _parents_elsewhere(request: object) -> Iterator[Key]:
    """By the flags of a span; where its SDK doesn't set them, by its kind."""
    for resource_spans in objects(as_object(request, "request"), "resourceSpans"):
        for scope_spans in objects(resource_spans, "scopeSpans"):
            for entry in objects(scope_spans, "spans"):
                flags = integer(entry, "flags")
                kind = entry.get("kind")
                is_entry = kind in {2, 5, "SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER"}
                if flags & _ELSEWHERE if flags & _TELLS_WHERE else is_entry:
                    yield str(entry.get("traceId", "")).lower(), str(entry.get("spanId", "")).lower()

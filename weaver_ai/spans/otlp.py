"""From OTLP's JSON encoding to spans.

Source: opentelemetry-proto, `ExportTraceServiceRequest`, in the JSON mapping that the OTLP specification
gives: ids are hexadecimal, 64-bit integers are strings or numbers, enumerations are numbers (names are
taken too), fields that aren't known are ignored.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from weaver_ai.spans.model import Attributes, AttributeValue, Event, Link, Scope, Span, SpanKind, Status, StatusCode

__all__ = ["InvalidOtlp", "spans_of_json"]

_KINDS: Final[Sequence[SpanKind]] = ("internal", "internal", "server", "client", "producer", "consumer")
_CODES: Final[Sequence[StatusCode]] = ("unset", "ok", "error")
_NAMES: Final = {
    **{f"SPAN_KIND_{kind.upper()}": number for number, kind in enumerate(_KINDS) if number},
    **{f"STATUS_CODE_{code.upper()}": number for number, code in enumerate(_CODES)},
}

Word = TypeVar("Word", SpanKind, StatusCode)


class InvalidOtlp(ValueError):
    """The data isn't an OTLP trace request; the message says which field is wrong."""


def spans_of_json(request: object, *, sequence: int = 0) -> list[Span]:
    """The spans of a decoded `ExportTraceServiceRequest`, in the order they stand there.

    Args:
        request: what `json.loads` gives.
        sequence: that of the first span; the others follow.

    Raises:
        InvalidOtlp: a field has the wrong type; nothing of the request is used then.
    """
    spans: list[Span] = []
    for resource_spans in _objects(_object(request, "request"), "resourceSpans"):
        resource = _attributes(_object(resource_spans.get("resource", {}), "resource"))
        for scope_spans in _objects(resource_spans, "scopeSpans"):
            scope = _scope(_object(scope_spans.get("scope", {}), "scope"))
            for entry in _objects(scope_spans, "spans"):
                spans.append(_span(entry, resource, scope, sequence + len(spans)))
    return spans


def _span(entry: Mapping[str, object], resource: Attributes, scope: Scope, sequence: int) -> Span:
    end = _integer(entry, "endTimeUnixNano")
    status = _object(entry.get("status", {}), "status")
    return Span(
        name=_string(entry, "name"),
        trace_id=_hex(entry, "traceId", 32),
        span_id=_hex(entry, "spanId", 16),
        parent_id=_hex(entry, "parentSpanId", 16) if entry.get("parentSpanId") else None,
        kind=_word(entry, "kind", _KINDS),
        start=_integer(entry, "startTimeUnixNano"),
        end=end or None,
        status=Status(_word(status, "code", _CODES), _string(status, "message") or None),
        attributes=_attributes(entry),
        events=tuple(
            Event(_string(event, "name"), _integer(event, "timeUnixNano"), _attributes(event))
            for event in _objects(entry, "events")
        ),
        links=tuple(
            Link(_hex(link, "traceId", 32), _hex(link, "spanId", 16), _attributes(link))
            for link in _objects(entry, "links")
        ),
        scope=scope,
        resource=resource,
        sequence=sequence,
    )


def _scope(entry: Mapping[str, object]) -> Scope:
    return Scope(_string(entry, "name"), _string(entry, "version") or None)


def _attributes(entry: Mapping[str, object]) -> Attributes:
    return _pairs(_objects(entry, "attributes"))


def _pairs(entries: Iterator[Mapping[str, object]]) -> Attributes:
    return {_string(pair, "key"): _value(_object(pair.get("value", {}), "value")) for pair in entries}


def _value(value: Mapping[str, object]) -> AttributeValue:
    """An AnyValue: at most one of its fields is set; with none it is empty."""
    for field in value:
        if field not in _READERS:
            raise InvalidOtlp(f"no attribute has a value like {field}={value[field]!r:.40}")
        return _READERS[field](value, field)
    return None


def _boolean(entry: Mapping[str, object], field: str) -> bool:
    value = entry.get(field)
    if not isinstance(value, bool):
        raise InvalidOtlp(f"{field} is a boolean, not {value!r:.40}")
    return value


def _double(entry: Mapping[str, object], field: str) -> float:
    value = entry.get(field)
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # NaN and Infinity are strings in JSON
        except ValueError:
            pass
    raise InvalidOtlp(f"{field} is a number, not {value!r:.40}")


def _bytes(entry: Mapping[str, object], field: str) -> bytes:
    try:
        return base64.b64decode(_string(entry, field), validate=True)
    except binascii.Error as error:
        raise InvalidOtlp(f"{field} is not base64") from error


def _array(entry: Mapping[str, object], field: str) -> AttributeValue:
    return tuple(_value(item) for item in _objects(_object(entry[field], field), "values"))


def _mapping(entry: Mapping[str, object], field: str) -> AttributeValue:
    return _pairs(_objects(_object(entry[field], field), "values"))


def _object(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidOtlp(f"{field} is an object, not {value!r:.40}")
    return value


def _objects(entry: Mapping[str, object], field: str) -> Iterator[Mapping[str, object]]:
    values = entry.get(field) or []
    if not isinstance(values, list):
        raise InvalidOtlp(f"{field} is an array, not {values!r:.40}")
    return (_object(value, field) for value in values)


def _string(entry: Mapping[str, object], field: str) -> str:
    value = entry.get(field, "")
    if not isinstance(value, str):
        raise InvalidOtlp(f"{field} is a string, not {value!r:.40}")
    return value


def _integer(entry: Mapping[str, object], field: str) -> int:
    value = entry.get(field, 0)
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return int(value)
        except ValueError:
            pass
    raise InvalidOtlp(f"{field} is an integer, not {value!r:.40}")


def _hex(entry: Mapping[str, object], field: str, digits: int) -> str:
    value = _string(entry, field).lower()
    if len(value) != digits or not set(value) <= set("0123456789abcdef"):
        raise InvalidOtlp(f"{field} has {digits} hexadecimal digits, unlike {value!r:.40}")
    return value


def _word(entry: Mapping[str, object], field: str, words: Sequence[Word]) -> Word:
    number = entry.get(field, 0)
    number = _NAMES.get(number, 0) if isinstance(number, str) else number
    if not isinstance(number, int):
        raise InvalidOtlp(f"{field} is a number, not {number!r:.40}")
    return words[number] if 0 <= number < len(words) else words[0]


_READERS: Final[Mapping[str, Callable[[Mapping[str, object], str], AttributeValue]]] = {
    "stringValue": _string,
    "boolValue": _boolean,
    "intValue": _integer,
    "doubleValue": _double,
    "bytesValue": _bytes,
    "arrayValue": _array,
    "kvlistValue": _mapping,
}

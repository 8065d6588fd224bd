"""The fields of OTLP's JSON encoding, each read strictly: what has the wrong type is named.

Source: the OTLP specification, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from weaver_ai.spans.model import Attributes, AttributeValue, Scope

__all__ = [
    "InvalidOtlp",
    "any_value",
    "as_object",
    "attributes_in",
    "boolean",
    "double",
    "hexadecimal",
    "identity",
    "integer",
    "objects",
    "scope_in",
    "string",
    "word",
]


Word = TypeVar("Word", bound=str)


class InvalidOtlp(ValueError):
    """The data isn't an OTLP request; the message says which field is wrong."""


def scope_in(entry: Mapping[str, object]) -> Scope:
    """Of an object that has a scope, as `scopeSpans` has."""
    scope = as_object(entry.get("scope", {}), "scope")
    return Scope(string(scope, "name"), string(scope, "version") or None)


def attributes_in(entry: Mapping[str, object], field: str = "attributes") -> Attributes:
    return _pairs(objects(entry, field))


def _pairs(entries: Iterator[Mapping[str, object]]) -> Attributes:
    return {string(pair, "key"): any_value(as_object(pair.get("value", {}), "value")) for pair in entries}


def any_value(value: Mapping[str, object]) -> AttributeValue:
    """An `AnyValue`: at most one of its fields is set; with none that is known it is empty."""
    for field in value:
        if field in _READERS:
            return _READERS[field](value, field)
    return None


def boolean(entry: Mapping[str, object], field: str) -> bool:
    value = entry.get(field)
    if not isinstance(value, bool):
        raise InvalidOtlp(f"{field} is a boolean, not {value!r:.40}")
    return value


def double(entry: Mapping[str, object], field: str) -> float:
    value = entry.get(field)
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # NaN and Infinity are strings in JSON
        except ValueError:
            pass
    raise InvalidOtlp(f"{field} is a number, not {value!r:.40}")


def _bytes(entry: Mapping[str, object], field: str) -> bytes:
    try:
        return base64.b64decode(string(entry, field), validate=True)
    except binascii.Error as error:
        raise InvalidOtlp(f"{field} is not base64") from error


def _array(entry: Mapping[str, object], field: str) -> AttributeValue:
    return tuple(any_value(item) for item in objects(as_object(entry[field], field), "values"))


def _mapping(entry: Mapping[str, object], field: str) -> AttributeValue:
    return _pairs(objects(as_object(entry[field], field), "values"))


def as_object(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidOtlp(f"{field} is an object, not {value!r:.40}")
    return value


def objects(entry: Mapping[str, object], field: str) -> Iterator[Mapping[str, object]]:
    values = entry.get(field) or []
    if not isinstance(values, list):
        raise InvalidOtlp(f"{field} is an array, not {values!r:.40}")
    return (as_object(value, field) for value in values)


def string(entry: Mapping[str, object], field: str) -> str:
    value = entry.get(field, "")
    if not isinstance(value, str):
        raise InvalidOtlp(f"{field} is a string, not {value!r:.40}")
    return value


def integer(entry: Mapping[str, object], field: str) -> int:
    value = entry.get(field, 0)
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return int(value)
        except ValueError:
            pass
    raise InvalidOtlp(f"{field} is an integer, not {value!r:.40}")


def hexadecimal(entry: Mapping[str, object], field: str, digits: int) -> str:
    value = string(entry, field).lower()
    if len(value) != digits or not set(value) <= set("0123456789abcdef"):
        raise InvalidOtlp(f"{field} has {digits} hexadecimal digits, unlike {value!r:.40}")
    return value


def identity(entry: Mapping[str, object], field: str, digits: int) -> str | None:
    """An id that needn't be there; one that is all zeros is none."""
    if not entry.get(field):
        return None
    value = hexadecimal(entry, field, digits)
    return None if set(value) == {"0"} else value


def word(entry: Mapping[str, object], field: str, words: Sequence[Word], prefix: str) -> Word:
    """The word that stands for a number of an enumeration; the first one for a number that isn't known.

    Args:
        entry: where the field is, or isn't: then it is 0.
        field: it holds a number, or a name as `SPAN_KIND_CLIENT`.
        words: in the order of their numbers.
        prefix: of the names, as `SPAN_KIND_`.
    """
    number = entry.get(field, 0)
    if isinstance(number, str):
        names = [f"{prefix}{known.upper()}" for known in words]
        number = names.index(number) if number in names else 0
    if not isinstance(number, int):
        raise InvalidOtlp(f"{field} is a number, not {number!r:.40}")
    return words[number] if 0 <= number < len(words) else words[0]


_READERS: Final[Mapping[str, Callable[[Mapping[str, object], str], AttributeValue]]] = {
    "stringValue": string,
    "boolValue": boolean,
    "intValue": integer,
    "doubleValue": double,
    "bytesValue": _bytes,
    "arrayValue": _array,
    "kvlistValue": _mapping,
}

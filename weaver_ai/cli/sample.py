"""A value that fits a JSON schema, for the line that a newcomer copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import JsonValue

__all__ = ["TEXT", "sample_of"]

TEXT: Final = "Hello! What can you do?"

_MAX_DEPTH: Final = 8
_BY_FORMAT: Final[Mapping[str, str]] = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}


def sample_of(schema: Mapping[str, Any]) -> JsonValue:
    """What the schema gives as an example, a default or a constant, else the smallest thing that has its shape.

    A pattern, or a condition between fields, isn't heeded: validate the value before it is shown to anybody.
    Of an object only the fields that are required are there.
    """
    return _sample(schema, schema.get("$defs", {}), TEXT, 0)


def _sample(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str, depth: int) -> JsonValue:
    if depth > _MAX_DEPTH:  # a type that contains itself
        return None
    for given in (schema.get("examples"), schema.get("enum")):
        if given:
            first: JsonValue = given[0]
            return first
    for word in ("default", "const"):
        if word in schema:
            value: JsonValue = schema[word]
            return value
    if (inner := _inner(schema, definitions)) is not None:
        return _sample(inner, definitions, text, depth + 1)
    return _of_type(schema, definitions, text, depth)


def _inner(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema that stands behind a reference, or the first of a choice that isn't null."""
    if "$ref" in schema:
        found: Mapping[str, Any] = definitions.get(str(schema["$ref"]).rpartition("/")[2], {})
        return found
    choices: Sequence[Mapping[str, Any]] = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or ()
    return next((choice for choice in choices if choice.get("type") != "null"), None)


def _of_type(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str, depth: int) -> JsonValue:
    def fields() -> JsonValue:
        properties: Mapping[str, Any] = schema.get("properties", {})
        names = [name for name in properties if name in schema.get("required", ())]
        return {name: _sample(properties[name], definitions, name, depth + 1) for name in names}

    def items() -> JsonValue:
        fixed: Sequence[Mapping[str, Any]] = schema.get("prefixItems", ())
        rest = max(int(schema.get("minItems", 1)) - len(fixed), 0)
        each: Mapping[str, Any] = schema.get("items") or {}
        return [_sample(item, definitions, text, depth + 1) for item in (*fixed, *[each] * rest)]

    makers: Mapping[str, Callable[[], JsonValue]] = {
        "object": fields,
        "array": items,
        "integer": lambda: int(_number(schema)),
        "number": lambda: _number(schema),
        "boolean": lambda: True,
        "null": lambda: None,
    }
    return makers.get(schema.get("type", "string"), lambda: _text(schema, text))()


def _number(schema: Mapping[str, Any]) -> int | float:
    least: int | float = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    most: int | float = schema.get("maximum", schema.get("exclusiveMaximum", least + 1) - 1)
    number = min(least, most) if "minimum" not in schema else least
    step: int | float | None = schema.get("multipleOf")
    return number if not step else -(-number // step) * step


def _text(schema: Mapping[str, Any], text: str) -> str:
    chosen = _BY_FORMAT.get(schema.get("format", ""), text)
    return chosen.ljust(int(schema.get("minLength", 0)), ".")[: schema.get("maxLength")]

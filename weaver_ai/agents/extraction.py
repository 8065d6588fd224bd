"""Find values for a JSON schema in a text, by rule. The offline model's reading."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from pydantic import JsonValue
from pydantic_core import SchemaError, SchemaValidator, core_schema

__all__ = ["READ_CHARACTERS", "Reader", "words"]

READ_CHARACTERS: Final = 4_000
"""How much of a text is read: rules and patterns take time that grows with it, faster than it does."""
_MOST_STEPS: Final = 2_000
_MOST_REFERENCES: Final = 50

_NUMBER: Final = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")
_WORD: Final = re.compile(r"[a-z0-9]+")
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL: Final = re.compile(r"https?://\S+")
_QUOTED: Final = re.compile(r"\"([^\"]+)\"|'([^']+)'|`([^`]+)`")
_NEGATION: Final = re.compile(r"\b(?:no|not|never|without|don't|doesn't)\b")
_FREE_TEXT: Final = frozenset({"body", "content", "input", "message", "prompt", "query", "question", "text"})
_STOP_WORD: Final = re.compile(
    "an|and|are|as|at|be|by|can|do|does|for|from|have|how|in|is|it|me|my|of|on|or|our|please|"
    "that|the|their|this|to|was|we|what|when|where|which|who|why|will|with|you|your"
)
_FORMATS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "date": (re.compile(r"\d{4}-\d\d-\d\d"), "1970-01-01"),
    "date-time": (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?"), "1970-01-01T00:00:00Z"),
    "time": (re.compile(r"\d\d:\d\d(?::\d\d)?"), "00:00:00"),
    "email": (_EMAIL, "nobody@example.com"),
    "uri": (_URL, "https://example.com/"),
    "uuid": (
        re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
        "0" * 8 + "-0000" * 4 + "0" * 8,
    ),
}


class _Nothing:
    """The text has no value for a schema."""


_NOTHING: Final = _Nothing()
_PUNCTUATION: Final = ".,;:!?()[]{}<>\"'`"


class _EndlessSchema(Exception):
    """A schema's references lead back to where they came from, or to more than anyone would fill."""


# What a schema that isn't valid makes of code that takes it for one.
_UNREADABLE: Final = (_EndlessSchema, SchemaError, TypeError, AttributeError, LookupError, ValueError, RecursionError)


def words(text: str) -> frozenset[str]:
    """The significant words of a text, in lower case and without a plural's `s`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).lower()
    found = (word for word in _WORD.findall(spaced) if len(word) > 1 and not _STOP_WORD.fullmatch(word))
    return frozenset(word[:-1] if word.endswith("s") and len(word) > 3 else word for word in found)  # noqa: PLR2004 - "is", "gas"


@dataclass(slots=True)
class Reader:
    """Reads values out of the beginning of `text`.

    Schemas come from clients, too: one that isn't valid, or has no end, is one that nothing is found for.

    Args:
        text: of the user.
        given: values that are known already, by property name; they only need converting.
    """

    text: str
    given: Mapping[str, JsonValue] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)
    _steps: int = 0

    def __post_init__(self) -> None:
        self.text = self.text[:READ_CHARACTERS]

    def arguments(self, schema: Mapping[str, Any]) -> dict[str, JsonValue] | None:
        """Arguments for an object schema, None if the text has no value for a required one."""
        try:
            return self._arguments(schema)
        except _UNREADABLE:
            return None

    def _arguments(self, schema: Mapping[str, Any]) -> dict[str, JsonValue] | None:
        found: dict[str, JsonValue] = {}
        for name, part in schema.get("properties", {}).items():
            value = self._find(name, _resolved(part, schema), schema)
            if not isinstance(value, _Nothing):
                found[name] = value
            elif name in schema.get("required", ()):
                return None
        return found

    def fill(self, schema: Mapping[str, Any], name: str = "") -> JsonValue:
        """A value for any schema: what the text has, else the plainest value that is valid."""
        try:
            return self._fill(name, _resolved(schema, schema), schema)
        except _UNREADABLE:
            return {}

    def _fill(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> JsonValue:
        if "properties" in schema or schema.get("type") == "object":
            properties: Mapping[str, Any] = schema.get("properties", {})
            required = schema.get("required", ())
            values = {
                key: self._fill_property(key, _resolved(part, root), root, key in required)
                for key, part in properties.items()
            }
            return {key: value for key, value in values.items() if not isinstance(value, _Nothing)}
        value = self._find(name, schema, root)
        return _plainest(schema, self.text) if isinstance(value, _Nothing) else value

    def _fill_property(
        self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any], required: bool
    ) -> JsonValue | _Nothing:
        if required or name in self.given:
            return self._fill(name, schema, root)
        return self._find(name, schema, root)

    def _find(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> JsonValue | _Nothing:  # noqa: PLR0911 - one return per kind of schema
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise _EndlessSchema
        if name in self.given:
            return _converted(self.given[name], schema)
        if "const" in schema:
            return schema["const"]  # type: ignore[no-any-return]  # JSON, by the schema's definition
        if "enum" in schema:
            return self._choice(schema["enum"])
        match schema.get("type"):
            case "integer" | "number" as kind:
                return self._number(name, schema, integer=kind == "integer")
            case "boolean":
                return self._flag(name)
            case "string":
                return self._string(name, schema)
            case "array":
                return self._items(name, _resolved(schema.get("items", {}), root), root)
            case "object":
                nested = self._arguments({**schema, "$defs": root.get("$defs", {})})
                return _NOTHING if not nested else {**nested}
        return _NOTHING

    def _number(self, name: str, schema: Mapping[str, Any], *, integer: bool) -> JsonValue | _Nothing:
        fitting = [
            match
            for match in _NUMBER.finditer(self.text)
            if match.start() not in self._taken
            and not (integer and "." in match[0])
            and _is_within(float(match[0]), schema)
        ]
        if not fitting:
            return _NOTHING
        names = words(name)
        best = max(
            fitting, key=lambda match: bool(names & words(self.text[max(0, match.start() - 24) : match.start()]))
        )
        self._taken.add(best.start())
        return int(best[0]) if integer else float(best[0])

    def _flag(self, name: str) -> JsonValue | _Nothing:
        if not words(name) & words(self.text):
            return _NOTHING
        return _NEGATION.search(self.text.lower()) is None

    def _string(self, name: str, schema: Mapping[str, Any]) -> JsonValue | _Nothing:
        found = self._any_string(name, schema)
        return _NOTHING if isinstance(found, str) and len(found) > schema.get("maxLength", math.inf) else found

    def _any_string(self, name: str, schema: Mapping[str, Any]) -> JsonValue | _Nothing:
        if (kind := _FORMATS.get(schema.get("format", "email" if "email" in name else ""))) is not None:
            return match[0] if (match := kind[0].search(self.text)) else _NOTHING
        if "pattern" in schema:
            return self._of_pattern(schema["pattern"])
        if match := _QUOTED.search(self.text):
            return next(group for group in match.groups() if group is not None)
        for word in re.split(r"[_\W]+", name):
            named = re.search(
                rf"\b{re.escape(word)}\b\s*(?:is|are|named|called|[:=#])?\s*([\w./@-]+)", self.text, re.IGNORECASE
            )
            if word and named and not _STOP_WORD.fullmatch(named[1].lower()):
                return named[1].rstrip(".")
        return self.text if words(name) & _FREE_TEXT else _NOTHING

    def _of_pattern(self, pattern: str) -> JsonValue | _Nothing:
        """The first word that a pattern fits, by an engine whose time no pattern can blow up."""
        whole = f"^(?:{pattern.removeprefix('^').removesuffix('$')})$"
        fits = SchemaValidator(core_schema.str_schema(pattern=whole, regex_engine="rust-regex")).isinstance_python
        candidates = (form for word in self.text.split() for form in (word, word.strip(_PUNCTUATION)))
        return next((word for word in candidates if word and fits(word)), _NOTHING)

    def _choice(self, choices: list[JsonValue]) -> JsonValue | _Nothing:
        said = words(self.text)
        for choice in choices:
            if isinstance(choice, str) and words(choice) and words(choice) <= said:
                return choice
        for choice in choices:
            if isinstance(choice, str) and get_close_matches(choice.lower(), said, n=1, cutoff=0.8):
                return choice
        return _NOTHING

    def _items(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> JsonValue | _Nothing:
        if schema.get("type") not in {"integer", "number"} and "enum" not in schema:
            value = self._find(name, schema, root)
            return _NOTHING if isinstance(value, _Nothing) else [value]
        if "enum" in schema:
            said = words(self.text)
            return [choice for choice in schema["enum"] if isinstance(choice, str) and words(choice) & said] or _NOTHING
        found: list[JsonValue] = []
        while not isinstance(value := self._number(name, schema, integer=schema["type"] == "integer"), _Nothing):
            found.append(value)
        return found or _NOTHING


def _is_within(number: float, schema: Mapping[str, Any]) -> bool:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    return bool(low <= number <= high and above < number < below)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema behind a reference; the first branch of a union that isn't null."""
    for _ in range(_MOST_REFERENCES):
        if "$ref" in schema:
            schema = root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {})
        elif branches := schema.get("anyOf") or schema.get("oneOf"):
            schema = next((branch for branch in branches if branch.get("type") != "null"), {})
        elif len(schema.get("allOf", ())) == 1:
            schema = schema["allOf"][0]
        else:
            return schema
    raise _EndlessSchema


def _converted(value: JsonValue, schema: Mapping[str, Any]) -> JsonValue:
    if not isinstance(value, str):
        return value
    if "enum" in schema:
        spelled = (choice for choice in schema["enum"] if str(choice).lower() == value.lower())
        return next(spelled, value)
    match schema.get("type"):
        case "integer" if _NUMBER.fullmatch(value) and "." not in value:
            return int(value)
        case "number" if _NUMBER.fullmatch(value):
            return float(value)
        case "boolean":
            return value.lower() in {"true", "yes", "on", "1"}
    return value


def _plainest(schema: Mapping[str, Any], text: str) -> JsonValue:  # noqa: PLR0911 - one return per kind of schema
    if "default" in schema:
        return schema["default"]  # type: ignore[no-any-return]  # JSON, by the schema's definition
    if schema.get("enum"):
        return schema["enum"][0]  # type: ignore[no-any-return]  # JSON, by the schema's definition
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)  # type: ignore[no-any-return]  # a number, by the schema's definition
        case "boolean":
            return False
        case "array":
            return []
        case "object":
            return {}
        case "null":
            return None
    if "format" in schema and schema["format"] in _FORMATS:
        return _FORMATS[schema["format"]][1]
    return (text or "-")[: schema.get("maxLength")]

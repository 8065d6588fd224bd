"""Source and value: what the offline model reads in a text for a JSON schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from weaver_ai.agents.extraction import READ_CHARACTERS, Reader, words


def schema(**properties: Any) -> dict[str, Any]:
    """An object schema; a property of a tuple is optional."""
    return {
        "type": "object",
        "properties": {name: part[0] if isinstance(part, tuple) else part for name, part in properties.items()},
        "required": [name for name, part in properties.items() if not isinstance(part, tuple)],
    }


INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
STRING = {"type": "string"}
BOOLEAN = {"type": "boolean"}

ARGUMENTS: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
    "a number": ("refund order 7", schema(order=INTEGER), {"order": 7}),
    "a number by its name": ("3 bags of order 12", schema(order=INTEGER), {"order": 12}),
    "two numbers by name": ("order 12, item 3", schema(item=INTEGER, order=INTEGER), {"item": 3, "order": 12}),
    "two numbers by place": ("add 4 to 5", schema(a=INTEGER, b=INTEGER), {"a": 4, "b": 5}),
    "a hash mark": ("order #42 please", schema(order=INTEGER), {"order": 42}),
    "no number": ("refund my order", schema(order=INTEGER), None),
    "no integer": ("pay 2.5", schema(amount=INTEGER), None),
    "a decimal": ("pay -2.5", schema(amount=NUMBER), {"amount": -2.5}),
    "part of a word": ("model gpt4", schema(order=INTEGER), None),
    "an optional one": ("refund it", schema(order=(INTEGER,)), {}),
    "quoted": ('find "blue shoes" now', schema(query=STRING), {"query": "blue shoes"}),
    "after its name": ("the city is Paris.", schema(city=STRING), {"city": "Paris"}),
    "an e-mail address": ("write to joe@example.com", schema(email=STRING), {"email": "joe@example.com"}),
    "no e-mail address": ("write to joe", schema(email=STRING), None),
    "free text": ("why is the sky blue?", schema(question=STRING), {"question": "why is the sky blue?"}),
    "no such string": ("hello there", schema(city=STRING), None),
    "too small": ("order 7", schema(order={"type": "integer", "minimum": 10}), None),
    "too large": ("order 7", schema(order={"type": "integer", "exclusiveMaximum": 7}), None),
    "too long": ('say "much too long"', schema(word={"type": "string", "maxLength": 4}), None),
    "a pattern": ("see AB-12 there", schema(code={"type": "string", "pattern": "^[A-Z]{2}-\\d+$"}), {"code": "AB-12"}),
    "a choice": ("is checkout down?", schema(s={"enum": ["login", "checkout"]}), {"s": "checkout"}),
    "a choice, misspelt": ("is chekout down?", schema(s={"enum": ["login", "checkout"]}), {"s": "checkout"}),
    "no choice": ("is it down?", schema(s={"enum": ["login", "checkout"]}), None),
    "a constant": ("x", schema(kind={"const": "k"}), {"kind": "k"}),
    "a flag": ("urgent: help", schema(urgent=BOOLEAN), {"urgent": True}),
    "a flag, denied": ("not urgent", schema(urgent=BOOLEAN), {"urgent": False}),
    "no flag": ("help", schema(urgent=(BOOLEAN,)), {}),
    "numbers": ("sum 1, 2 and 3", schema(values={"type": "array", "items": INTEGER}), {"values": [1, 2, 3]}),
    "choices": (
        "red and blue",
        schema(c={"type": "array", "items": {"enum": ["red", "green", "blue"]}}),
        {"c": ["red", "blue"]},
    ),
    "a union with null": ("order 7", schema(order={"anyOf": [{"type": "null"}, INTEGER]}), {"order": 7}),
    "an object": ("order 7", schema(what=schema(order=INTEGER)), {"what": {"order": 7}}),
}


@pytest.mark.parametrize(("text", "wanted", "found"), ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_arguments_are_found_or_missed(text: str, wanted: dict[str, Any], found: dict[str, Any] | None) -> None:
    assert Reader(text).arguments(wanted) == found


def test_given_values_are_converted_and_go_first() -> None:
    wanted = schema(order=INTEGER, price=NUMBER, express=BOOLEAN, name=STRING)
    given = {"order": "8", "price": "2.5", "express": "yes", "name": "9"}
    assert Reader("order 7", given).arguments(wanted) == {"order": 8, "price": 2.5, "express": True, "name": "9"}


class Line(BaseModel):
    item: str
    amount: int = Field(ge=1)


class Report(BaseModel):
    team: Literal["billing", "technical"]
    urgent: bool
    score: float
    tags: list[str]
    lines: list[Line]
    first: Line
    note: str | None = None
    day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    short: Annotated[str, Field(max_length=5)]


@pytest.mark.parametrize(
    "text",
    ["", "a technical matter of 3 items, urgent", "technical", "item is bolt, amount 4, on 2026-01-02", "'quoted'"],
)
def test_whatever_the_text_the_value_is_valid(text: str) -> None:
    filled = Reader(text).fill(TypeAdapter(Report).json_schema())
    Report.model_validate(filled)


def test_a_value_has_what_the_text_has() -> None:
    filled = Reader("urgent: technical, score 2.5, item is bolt, amount 4, on 2026-01-02").fill(
        Report.model_json_schema()
    )
    report = Report.model_validate(filled)
    assert (report.team, report.urgent, report.score, report.lines, report.day) == (
        "technical",
        True,
        2.5,
        [Line(item="bolt", amount=4)],
        "2026-01-02",
    )


@pytest.mark.parametrize(
    ("kind", "filled"),
    [
        (INTEGER, 0), ({"type": "integer", "minimum": 3}, 3), ({"type": "number", "exclusiveMinimum": 1}, 2),
        (BOOLEAN, False), (STRING, "hm"), ({"type": "array", "items": STRING}, []), ({"type": "null"}, None),
        ({"type": "string", "default": "d"}, "d"), ({"enum": ["a1", "b2"]}, "a1"),
        ({"type": "string", "format": "email"}, "nobody@example.com"),
        ({"type": "string", "format": "uuid"}, "00000000-0000-0000-0000-000000000000"),
    ],
)  # fmt: skip
def test_the_plainest_value_of_a_schema(kind: dict[str, Any], filled: object) -> None:
    assert Reader("hm").fill(kind) == filled


def test_words_are_those_that_matter() -> None:
    assert words("Please look up my ordersOfToday, and the bus!") == {"look", "up", "order", "today", "bus"}


NODE = {"type": "object", "properties": {side: {"$ref": "#/$defs/node"} for side in ("left", "right", "up", "down")}}
HOSTILE: dict[str, dict[str, Any]] = {
    "a reference to itself": {
        "properties": {"x": {"$ref": "#/$defs/a"}},
        "required": ["x"],
        "$defs": {"a": {"$ref": "#/$defs/a"}},
    },
    "a type of itself, four times": {"properties": {"x": {"$ref": "#/$defs/node"}}, "$defs": {"node": NODE}},
    "a pattern that backtracks": {"properties": {"x": {"type": "string", "pattern": "(a+)+c"}}, "required": ["x"]},
    "a pattern that is none": {"properties": {"x": {"type": "string", "pattern": "("}}, "required": ["x"]},
    "properties that are a number": {"properties": 5},
    "a length that is a word": {"properties": {"x": {"type": "string", "maxLength": "q"}}, "required": ["x"]},
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_schema_that_is_not_valid_or_has_no_end_is_one_that_nothing_is_found_for(hostile: dict[str, Any]) -> None:
    reader = Reader("zap 'x' " + "a" * 60 + "!")
    assert not reader.arguments(hostile)
    assert isinstance(Reader("zap " + "a" * 60 + "!").fill({"type": "object", **hostile}), dict)


def test_the_beginning_of_a_long_text_is_read() -> None:
    assert Reader("order 7 " + "x " * READ_CHARACTERS + "refund 12").arguments(
        {"properties": {"refund": {"type": "integer"}}}
    ) == {"refund": 7}

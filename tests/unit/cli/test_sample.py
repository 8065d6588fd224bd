"""Values for schemas: each is what the type itself takes."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, Field, TypeAdapter

from weaver_ai.cli.sample import sample_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    item: str
    count: int = Field(ge=3)
    note: str | None = None


class Order(BaseModel):
    lines: list[Line] = Field(min_length=2)
    colour: Colour
    shown: str = Field(examples=["A-7"])
    to: str | None


class Node(BaseModel):
    name: str
    below: list[Node] = []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, "Hello! What can you do?"),
        (Annotated[str, Field(max_length=5)], "Hello"),
        (Annotated[str, Field(min_length=25)], "Hello! What can you do?.."),
        (int, 1),
        (Annotated[int, Field(gt=4, multiple_of=3)], 6),
        (Annotated[int, Field(le=-2)], -2),
        (Annotated[float, Field(ge=0.5)], 0.5),
        (bool, True),
        (None, None),
        (int | None, 1),
        (list[str], ["Hello! What can you do?"]),
        (tuple[int, bool], [1, True]),
        (Literal["x", "y"], "x"),
        (Literal["only"], "only"),
        (Colour, "red"),
        (date, "2026-01-31"),
        (datetime, "2026-01-31T12:00:00Z"),
        (time, "12:00:00Z"),
        (timedelta, "PT1H"),
        (AnyUrl, "https://example.com/"),
        (UUID, "3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        (IPv4Address, "192.0.2.1"),
        (Line, {"item": "item", "count": 3}),
        (
            Order,
            {
                "lines": [{"item": "item", "count": 3}, {"item": "item", "count": 3}],
                "colour": "red",
                "shown": "A-7",
                "to": "to",
            },
        ),
        (Node, {"name": "name"}),
        (Any, "Hello! What can you do?"),
    ],
)
def test_the_smallest_thing_of_its_shape(kind: Any, value: object) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    found = sample_of(adapter.json_schema())
    assert found == value
    adapter.validate_python(found)


def test_a_type_that_contains_itself_without_end_has_an_end() -> None:
    class Endless(BaseModel):
        again: Endless

    assert "again" in str(sample_of(Endless.model_json_schema()))

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from weaver_ai.telemetry.attributes import attribute_value, attributes_of


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Order(BaseModel):
    number: int
    key: SecretStr


@dataclass
class Hostile:
    """Raises where it can."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (True, True),
        (7, 7),
        (2**63, str(2**63)),
        (1.5, 1.5),
        (None, None),
        (b"bytes \xff", "bytes \ufffd"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("/a/b"), "/a/b"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (timedelta(minutes=1), 60.0),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (SecretStr("hush"), "**********"),
        (ValueError("bad"), "ValueError: bad"),
        (["a", "b"], ("a", "b")),
        ((1, 2), (1, 2)),
        ([1, 2**70], ("1", str(2**70))),
        ([True, False], (True, False)),
        ([], ()),
        ({"b", "a"}, ("a", "b")),
        ([1, "a"], '[1,"a"]'),
        ([1, None], "[1,null]"),
        ({"a": {"b": [1]}}, '{"a":{"b":[1]}}'),
        ({1: Colour.RED}, '{"1":"red"}'),
        (Order(number=7, key=SecretStr("hush")), '{"number":7,"key":"**********"}'),
        (Hostile(), "<unreadable Hostile: RuntimeError>"),
    ],
)
def test_what_a_value_becomes(value: Any, expected: Any) -> None:
    made = attribute_value(value)
    assert made == expected
    assert type(made) is type(expected)


def test_a_value_that_holds_itself_ends() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert attribute_value(endless) == "[" * 12 + '"..."' + "]" * 12


def test_unknown_is_absent() -> None:
    assert attributes_of({"cost": None, "": 1, "zero": 0, "dotted.name": "x"}) == {"zero": 0, "dotted.name": "x"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.sets(st.integers()),
    )
)
def test_anything_becomes_an_attribute(value: Any) -> None:
    made = attribute_value(value)
    assert made is None or isinstance(made, (str, bool, int, float, tuple))
    if isinstance(made, tuple):
        assert len({type(item) for item in made}) <= 1

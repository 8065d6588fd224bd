"""A digest that every process makes the same of, and none where there can't be one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel, Field

from weaver_ai.tasks.digest import digest_of

IN_A_PROCESS = """
from dataclasses import dataclass
from pydantic import BaseModel
from weaver_ai.tasks.digest import digest_of

@dataclass
class Point:
    tags: frozenset[str]

class Order(BaseModel):
    tags: set[str]
    point: Point

words = ["alpha", "beta", "gamma", "delta"]
order = Order(tags=set(words), point=Point(frozenset(words)))
print(digest_of({"order": order, 1: {(1, "a"), (2, "b")}, "x": b"\\xff"}))
"""


class Team(Enum):
    BILLING = "billing"


class Order(BaseModel):
    team: Team = Team.BILLING
    tags: set[str] = Field(default_factory=set)


@dataclass
class Point:
    x: int
    tags: frozenset[str] = frozenset()


def test_it_is_the_same_in_every_process() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", IN_A_PROCESS],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
    assert len(told.pop().strip()) == 64


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        ([1, 2], (1, 2)),
        (Order(tags={"x", "y"}), Order(tags={"y", "x"})),
        (Order(), {"team": Team.BILLING, "tags": set()}),
        (Point(1, frozenset("ab")), Point(1, frozenset("ba"))),
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_equal_values_have_one(one: object, other: object) -> None:
    assert digest_of(one) == digest_of(other)
    assert digest_of(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({1: "a"}, {"1": "a"}),
        ([1, 2], [2, 1]),
        ([1], {1}),
        (True, 1),
        (1, "1"),
        (None, "null"),
        (Point(1), Point(2)),
        (b"\xff", b"\xfe"),
        ("\ud83d", "�"),
        (Decimal("1.0"), Decimal("2.0")),
        (date(2026, 1, 2), date(2026, 1, 3)),
        ({"a": {}}, {"a": []}),
        (float("nan"), float("inf")),
    ],
)
def test_other_values_have_another(one: object, other: object) -> None:
    assert None not in (digest_of(one), digest_of(other))
    assert digest_of(one) != digest_of(other)


def itself() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


class Broken(BaseModel):
    def model_dump(self, **_: Any) -> dict[str, Any]:
        raise LookupError("a serializer of the user's")


@pytest.mark.parametrize(
    "make", [object, lambda: [object()], lambda: {object(): 1}, lambda: iter([1]), itself, Broken, lambda: int]
)
def test_what_has_no_form_has_none(make: Callable[[], object]) -> None:
    assert digest_of(make()) is None


def test_a_generator_is_not_used_up_by_it() -> None:
    numbers = iter([1, 2])
    assert (digest_of({"numbers": numbers}), list(numbers)) == (None, [1, 2])

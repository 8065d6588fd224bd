"""Values of the user's as JSON: whatever they are, they are written, or it is said why not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from pydantic import JsonValue
from pydantic_core import from_json, to_json

from weaver_ai.agents.as_json import DEEPEST, json_of, json_text_of, shown, whole_text
from weaver_ai.errors import RunFailed


@dataclass
class Blob:
    data: bytes
    size: float


class Mute:
    def __str__(self) -> str:
        raise ZeroDivisionError("says nothing")


def nested(levels: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(levels):
        value = {"in": value}
    return value


def ring() -> list[object]:
    made: list[object] = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, "ä", None, 2.5, True]}, {"a": [1, "ä", None, 2.5, True]}),
        ("half of \ud83d", "half of \ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ({"\ude00": ["\ud83d"]}, {"\ufffd": ["\ufffd"]}),
        (b"\xff\xfe", "__4="),
        (Blob(b"\xff", math.nan), {"data": "_w==", "size": None}),
        ([math.inf, math.nan], [None, None]),
        (1 + 2j, "1+2j"),
        (nested(DEEPEST), nested(DEEPEST)),
    ],
)
def test_what_can_be_written_is_written_and_read_again(value: object, expected: JsonValue) -> None:
    assert json_of(value, "it") == expected
    assert shown(value) == expected
    assert from_json(json_text_of(value, "it")) == expected


@pytest.mark.parametrize(
    ("value", "reason", "told"),
    [
        (ring(), ": it contains itself", "<list: it contains itself>"),
        (nested(191), ": it is nested more than 190 levels deep", "<dict: it is nested more than 190 levels deep>"),
        (nested(300), ": it is nested more than 190 levels deep", "<dict: it is nested more than 190 levels deep>"),
        (Mute(), "", "<Mute: not JSON>"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_a_failure_where_it_counts_and_words_where_it_is_told(
    value: object, reason: str, told: str
) -> None:
    with pytest.raises(RunFailed) as failed:
        json_of(value, "the output of 'a'")
    assert failed.value.message == f"the output of 'a' can't be written as JSON{reason}"
    assert failed.value.hint is not None
    assert shown(value) == told


def test_a_deep_value_leaves_room_for_what_stands_around_it() -> None:
    around: JsonValue = {"result": {"tool_calls": [{"arguments": json_of(nested(DEEPEST), "it")}]}}
    assert from_json(to_json(around)) == around


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("plain", "plain"),
        ("größe \U0001f600", "größe \U0001f600"),
        ("\ud83d", "\ufffd"),
        ("\ude00x", "\ufffdx"),
        ("\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    ],
)
def test_halves_of_surrogate_pairs_are_joined_or_replaced(text: str, whole: str) -> None:
    assert whole_text(text) == whole

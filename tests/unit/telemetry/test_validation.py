import json
from typing import Any

import pytest
from opentelemetry import trace

from tests.unit.telemetry.conftest import Captured
from weaver_ai.telemetry import record_validation_errors, start_span


def test_errors_without_their_input(captured: Captured) -> None:
    errors = [
        {"loc": ("body", "items", 0), "type": "missing", "msg": "Field required", "input": "my diagnosis", "ctx": {}},
        {"loc": ("query", "n"), "type": "int_parsing", "msg": "Input should be a valid integer", "input": "x"},
    ]
    with start_span("server"):
        record_validation_errors(errors)
    attributes = dict(captured.span.attributes or {})
    assert attributes["weaver.validation.error_count"] == 2
    assert json.loads(str(attributes["weaver.validation.errors"])) == [
        {"loc": ["body", "items", 0], "type": "missing", "msg": "Field required"},
        {"loc": ["query", "n"], "type": "int_parsing", "msg": "Input should be a valid integer"},
    ]


def test_many_errors_are_counted_and_twenty_told(captured: Captured) -> None:
    with start_span("server") as span:
        record_validation_errors([{"loc": (n,), "type": "t", "msg": "m"} for n in range(50)], span)
    attributes = dict(captured.span.attributes or {})
    assert attributes["weaver.validation.error_count"] == 50
    assert len(json.loads(str(attributes["weaver.validation.errors"]))) == 20


@pytest.mark.parametrize("errors", [[], [None], ["text"]])
def test_strange_errors_break_nothing(captured: Captured, errors: list[Any]) -> None:
    record_validation_errors(errors)
    with start_span("server"):
        record_validation_errors(errors)
    assert dict(captured.span.attributes or {}) == {
        "weaver.validation.error_count": len(errors),
        "weaver.validation.errors": "[]",
    }
    record_validation_errors(errors, trace.INVALID_SPAN)

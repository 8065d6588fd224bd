import json
from collections.abc import Callable
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from opentelemetry import trace
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from tests.unit.telemetry.conftest import Captured
from weaver_ai.telemetry import record_validation_errors, start_span
from weaver_ai.telemetry.validation import message_of


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


class _Mail(BaseModel):
    by: Literal["mail"]


class _Call(BaseModel):
    by: Literal["call"]


def _raising(make: Callable[[Any], Exception]) -> Any:
    def validate(value: Any) -> Any:
        raise make(value)

    return Annotated[Any, AfterValidator(validate)]


@pytest.mark.parametrize(
    ("wanted", "value", "says"),
    [
        (
            Annotated[_Mail | _Call, Field(discriminator="by")],
            {"by": "hunter2"},
            "Input tag found using 'by' does not match any of the expected tags: 'mail', 'call'",
        ),
        (UUID, "hunter2", "Input should be a valid UUID"),
        (_raising(lambda value: ValueError(f"no order {value!r}")), "hunter2", "Input isn't valid"),
        (_raising(lambda value: AssertionError(f"no order {value}")), 7, "Input isn't valid"),
        (_raising(lambda value: PydanticCustomError("no_such", "no {it}", {"it": value[0]})), ["hunter2"], None),
        (_raising(lambda value: ValueError(f"no {value['a'][0]['b']}")), {"a": [{"b": "hunter2"}]}, None),
        (_raising(lambda _value: ValueError("an order has 4 digits")), "a", "an order has 4 digits"),
        (Annotated[int, Field(gt=5000)], 5000, "Input should be greater than 5000"),
        (Literal["billing", "technical"], "bill", "Input should be 'billing' or 'technical'"),
    ],
)
def test_a_message_says_what_is_wanted_and_not_what_came(wanted: Any, value: Any, says: str | None) -> None:
    with pytest.raises(ValidationError) as wrong:
        TypeAdapter(wanted).validate_python(value)
    (error,) = wrong.value.errors()
    assert message_of(error) == (says or "Input isn't valid")


def test_a_span_has_no_value_either(captured: Captured) -> None:
    tagged: TypeAdapter[Any] = TypeAdapter(Annotated[_Mail | _Call, Field(discriminator="by")])
    with pytest.raises(ValidationError) as wrong:
        tagged.validate_python({"by": "hunter2"})
    with start_span("server"):
        record_validation_errors(wrong.value.errors())
    told = str(dict(captured.span.attributes or {})["weaver.validation.errors"])
    assert "expected tags: 'mail', 'call'" in told
    assert "hunter2" not in told

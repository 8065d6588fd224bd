"""What a model says, and how it is fitted to a request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pydantic
import pytest

from weaver_ai.testing.fakes import Says, Structured, ToolCall, Usage, says, structured, tool_call
from weaver_ai.testing.fakes.providers.answers import counted, pieces, spoken


@dataclass
class Asked:
    body: Any = field(default_factory=dict)
    model: str = "m"


def tool(name: str, *properties: str) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": {"properties": dict.fromkeys(properties, True)}}


def chat_tool(name: str, *properties: str) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": name, "parameters": {"properties": dict.fromkeys(properties, True)}},
    }


def test_tool_call_takes_an_argument_that_is_called_name() -> None:
    assert tool_call("greet", name="Ada") == Says(calls=(ToolCall("greet", {"name": "Ada"}),))


def test_says_joins_text_and_calls_in_order() -> None:
    both = says("One ", "two", tool_call("a", x=1), tool_call("b"), usage=Usage(3, 4))
    assert both == Says("One two", (ToolCall("a", {"x": 1}), ToolCall("b", {})), Usage(3, 4))


def test_structured_takes_a_pydantic_model() -> None:
    class Refund(pydantic.BaseModel):
        order: int

    assert structured(Refund(order=7)) == Structured({"order": 7})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({}, None, id="nothing on offer"),
        pytest.param({"tools": [tool("refund", "order")]}, None, id="a tool that isn't the output's"),
        pytest.param({"tools": [tool("refund"), tool("final_result")]}, "final_result", id="pydantic-ai's"),
        pytest.param(
            {"tools": [chat_tool("final_result_A", "name"), chat_tool("final_result_B", "order")]},
            "final_result_B",
            id="the one whose schema fits",
        ),
        pytest.param(
            {"tools": [chat_tool("Refund", "order")], "tool_choice": {"function": {"name": "Refund"}}},
            "Refund",
            id="the forced one of a chat completion",
        ),
        pytest.param(
            {"tools": [{"name": "Refund", "input_schema": {}}], "tool_choice": {"type": "tool", "name": "Refund"}},
            "Refund",
            id="the forced one of a message",
        ),
    ],
)
def test_structured_goes_to_the_output_tool_else_into_text(body: dict[str, Any], expected: str | None) -> None:
    turn = spoken(structured({"order": 7}), Asked(body))
    if expected is None:
        assert (json.loads(turn.text), turn.calls) == ({"order": 7}, ())
    else:
        assert (turn.text, turn.calls) == ("", (ToolCall(expected, {"order": 7}),))


def test_usage_is_what_the_answer_says_else_a_token_for_four_characters() -> None:
    assert counted(says("x", usage=Usage(0, 0)), Asked()) == Usage(0, 0)
    assert counted(says("x" * 40), Asked({"input": "y" * 27})) == Usage(input=10, output=10)


@pytest.mark.parametrize("text", ["", "short", "exactly12345", "longer than twelve"])
def test_pieces_join_to_the_whole(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert max(map(len, pieces(text)), default=0) <= 12

"""A recorded call reads the same in every dialect."""

from __future__ import annotations

from typing import Any

import pytest

from weaver_ai.testing.fakes import ToolCall
from weaver_ai.testing.fakes.providers.call import Call, Message, Tool

SCHEMA = {"type": "object", "properties": {"order": {"type": "integer"}}}

CHAT = {
    "model": "gpt-5",
    "stream": True,
    "tools": [{"type": "function", "function": {"name": "refund", "description": "Pay back", "parameters": SCHEMA}}],
    "messages": [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Refund "}, {"type": "text", "text": "7"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "refund", "arguments": '{"order": 7}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ],
}
RESPONSES = {
    "model": "gpt-5",
    "stream": True,
    "instructions": "Be kind.",
    "tools": [
        {"type": "function", "name": "refund", "description": "Pay back", "parameters": SCHEMA},
        {"type": "web_search"},
    ],
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Refund 7"}]},
        {"type": "function_call", "call_id": "c1", "name": "refund", "arguments": '{"order": 7}'},
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
        {"type": "reasoning", "summary": []},
    ],
}
MESSAGES = {
    "model": "gpt-5",
    "stream": True,
    "system": [{"type": "text", "text": "Be kind."}],
    "tools": [{"name": "refund", "description": "Pay back", "input_schema": SCHEMA}],
    "messages": [
        {"role": "user", "content": "Refund 7"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "refund", "input": {"order": 7}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "done"}]}],
        },
    ],
}


def call(body: Any) -> Call:
    return Call("providers.openai", "responses", "httpx", "POST", "https://api.openai.com/v1/responses", {}, body)


@pytest.mark.parametrize("body", [CHAT, RESPONSES, MESSAGES], ids=["chat completions", "responses", "messages"])
def test_every_dialect_reads_the_same(body: dict[str, Any]) -> None:
    read = call(body)
    assert read.messages == [
        Message("system", "Be kind."),
        Message("user", "Refund 7"),
        Message("assistant", "", (ToolCall("refund", {"order": 7}, "c1"),)),
        Message("tool", "done", tool_call_id="c1"),
    ]
    assert read.tools == [Tool("refund", "Pay back", SCHEMA)]
    assert (read.model, read.stream, read.text, read.tool_names) == ("gpt-5", True, "Refund 7", ["refund"])


def test_results_and_text_in_one_message_come_apart() -> None:
    content = [{"type": "tool_result", "tool_use_id": "c1", "content": "done"}, {"type": "text", "text": "Thanks"}]
    read = call({"messages": [{"role": "user", "content": content}]})
    assert read.messages == [Message("tool", "done", tool_call_id="c1"), Message("user", "Thanks")]


def test_arguments_that_are_no_object_stand_under_an_empty_name() -> None:
    calls = [{"id": "c", "function": {"name": "f", "arguments": text}} for text in ("[1]", "{broken", "")]
    read = call({"messages": [{"role": "assistant", "content": "", "tool_calls": calls}]})
    assert [each.arguments for each in read.messages[0].tool_calls] == [{"": [1]}, {"": "{broken"}, {}]


def test_inputs_of_embeddings_are_messages_of_the_user() -> None:
    assert [message.text for message in call({"input": ["a", "b"]}).messages] == ["a", "b"]
    assert [message.text for message in call({"input": "a"}).messages] == ["a"]


def test_a_body_that_is_no_object_has_nothing_in_it() -> None:
    read = call(None)
    assert (read.model, read.stream, read.tools, read.messages, read.text) == ("", False, [], [], "")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (CHAT, "<providers.openai responses: model gpt-5, streamed, 4 messages, tools refund>"),
        ({"model": "m", "input": "hi"}, "<providers.openai responses: model m, 1 message>"),
        (None, "<providers.openai responses: no model, 0 messages>"),
    ],
)
def test_repr(body: Any, expected: str) -> None:
    assert repr(call(body)) == expected

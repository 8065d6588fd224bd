"""OpenAI's requests, as an agent or a workflow takes them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_ai import Agent
from pydantic_ai.messages import (
    ImageUrl,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from weaver_ai.agents import Run, RunOptions, Weaver
from weaver_ai.errors import InvalidInput
from weaver_ai.gateway.openai_messages import Ask, ask_of
from weaver_ai.gateway.openai_schemas import ChatRequest

USER = {"role": "user", "content": "refund order 7"}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c-1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}],
}
RESULT = {"role": "tool", "tool_call_id": "c-1", "content": "rain"}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Of a city.", "parameters": {"type": "object"}, "strict": True},
}


def _weaver() -> Weaver:
    weaver = Weaver("desk")
    weaver.agent(Agent(name="billing"))

    @weaver.workflow("support")
    async def support(run: Run, input: str) -> str:  # noqa: A002
        return input

    return weaver


def _ask(messages: list[Any], *, model: str = "billing", **options: Any) -> Ask:
    request = ChatRequest.model_validate({"model": model, "messages": messages, **options})
    return ask_of(request, _weaver().find(model))


def _parts(ask: Ask) -> list[tuple[type, list[Any]]]:
    return [(type(message), list(message.parts)) for message in ask.options.history]


def test_one_message_is_the_prompt_and_no_history() -> None:
    ask = _ask([USER])
    assert ask.value == "refund order 7"
    assert ask.options == RunOptions(history=[], tools=[], model_settings={})


def test_what_the_client_instructs_is_added_and_no_part_of_the_history() -> None:
    ask = _ask([{"role": "system", "content": "Be brief."}, USER, {"role": "developer", "content": "No jokes."}])
    assert (ask.value, ask.options.instructions, list(ask.options.history)) == (
        "refund order 7",
        "Be brief.\n\nNo jokes.",
        [],
    )


def test_a_conversation_keeps_its_order() -> None:
    ask = _ask([USER, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Thanks!"}])
    assert ask.value == "Thanks!"
    (first, (asked,)), (second, (answered,)) = _parts(ask)
    assert (first, type(asked), asked.content) == (ModelRequest, UserPromptPart, "refund order 7")
    assert (second, type(answered), answered.content) == (ModelResponse, TextPart, "Done.")


def test_a_tools_result_continues_the_run_without_a_prompt() -> None:
    ask = _ask([USER, CALL, RESULT], tools=[TOOL])
    assert ask.value is None
    _, (_, (call,)), (last, (result,)) = _parts(ask)
    assert isinstance(call, ToolCallPart)
    assert (call.tool_name, call.args, call.tool_call_id) == ("weather", '{"city": "Oslo"}', "c-1")
    assert isinstance(result, ToolReturnPart)
    assert (last, result.tool_name, result.content, result.tool_call_id) == (ModelRequest, "weather", "rain", "c-1")


def test_pictures_are_passed_on() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    ask = _ask([{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}])
    assert ask.value is None
    ((_, (part,)),) = _parts(ask)
    assert part.content == [
        "What is it?",
        ImageUrl("https://example.com/a.png", vendor_metadata={"detail": "low"}),
    ]


def test_a_picture_in_the_request_is_its_bytes() -> None:
    url = "data:image/png;base64," + base64.b64encode(b"pixels").decode()
    ask = _ask([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])
    ((_, (part,)),) = _parts(ask)
    (picture,) = part.content
    assert (picture.data, picture.media_type, picture.vendor_metadata) == (b"pixels", "image/png", None)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://example.com/a.png",
        "/etc/passwd",
        "",
        "http://",
        "data:text/html;base64,PGI+",
        "data:image/png;base64,not base64",
        "javascript:alert(1)",
    ],
)
def test_a_picture_that_is_nowhere_to_be_had_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _ask([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])
    (error,) = caught.value.errors()
    assert error["msg"] in (
        "Value error, an image is named by an http: or https: URL, or given as 'data:image/<type>;base64,...'",
        "Value error, the image's data isn't base64",
    )


def test_tools_are_the_clients() -> None:
    (tool,) = _ask([USER], tools=[TOOL]).options.tools
    assert (tool.name, tool.description, tool.kind, tool.strict) == ("weather", "Of a city.", "external", True)
    assert tool.parameters_json_schema == {"type": "object"}
    assert list(_ask([USER], tools=[TOOL], tool_choice="none").options.tools) == []


def test_settings_of_the_model_are_passed_on() -> None:
    ask = _ask([USER], temperature=0, max_tokens=5, stop="END", seed=3, parallel_tool_calls=False)
    assert ask.options.model_settings == {
        "temperature": 0,
        "max_tokens": 5,
        "stop_sequences": ["END"],
        "seed": 3,
        "parallel_tool_calls": False,
    }


def test_what_has_a_home_in_a_models_settings_gets_there() -> None:
    asked = {
        "reasoning_effort": "low",
        "verbosity": "low",
        "service_tier": "flex",
        "store": False,
        "user": "u-1",
        "prompt_cache_key": "desk",
        "prompt_cache_retention": "24h",
        "prediction": {"type": "content", "content": "Refunded."},
        "top_p": 0.5,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "logit_bias": {"50256": -100},
        "stop": ["A", "B"],
    }
    assert _ask([USER], **asked).options.model_settings == {
        "thinking": "low",
        "openai_text_verbosity": "low",
        "service_tier": "flex",
        "openai_store": False,
        "openai_user": "u-1",
        "openai_prompt_cache_key": "desk",
        "openai_prompt_cache_retention": "24h",
        "openai_prediction": {"type": "content", "content": "Refunded."},
        "top_p": 0.5,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "logit_bias": {"50256": -100},
        "stop_sequences": ["A", "B"],
    }


def test_no_reasoning_and_a_tier_that_only_openai_has() -> None:
    ask = _ask([USER], reasoning_effort="none", service_tier="scale")
    assert ask.options.model_settings == {"thinking": False, "openai_service_tier": "scale"}


@pytest.mark.parametrize(
    "harmless",
    [
        {"metadata": {"team": "x"}},
        {"safety_identifier": "s-1"},
        {"prompt_cache_options": {"mode": "implicit"}},
        {"n": 1},
        {"n": None},
        {"logprobs": False},
        {"top_logprobs": 0},
        {"modalities": ["text"]},
        {"audio": None},
        {"functions": None},
        {"tool_choice": "auto"},
        {"response_format": {"type": "text"}},
    ],
)
@pytest.mark.parametrize("model", ["billing", "support"])
def test_what_changes_no_answer_is_taken(harmless: dict[str, Any], model: str) -> None:
    assert _ask([USER], model=model, **harmless) == _ask([USER], model=model)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"n": 2}, "an agent gives one answer: send the request again for another"),
        ({"n": True}, "an agent gives one answer: send the request again for another"),
        ({"logprobs": True}, "log probabilities aren't given: an answer may come from several model calls"),
        ({"top_logprobs": 3}, "log probabilities aren't given: an answer may come from several model calls"),
        ({"modalities": ["text", "audio"]}, "only text is answered"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "only text is answered"),
        ({"functions": [{"name": "weather"}]}, "this went before 'tools': use that"),
        ({"function_call": "auto"}, "this went before 'tools': use that"),
        ({"web_search_options": {}}, "give the agent a tool that searches"),
        ({"moderation": {"model": "omni"}}, "answers aren't moderated here"),
        ({"tool_choice": "required"}, "tool_choice: a tool is required, and there are no tools"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "refund"}}},
            "tool_choice: none of the tools has that name",
        ),
    ],
)
def test_what_would_change_the_answer_is_refused_with_the_reason(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _ask([USER], **asked)
    assert [error["msg"] for error in caught.value.errors()] == [f"Value error, {says}"]


@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        ("auto", None),
        ("none", None),
        ("required", ["weather"]),
        ({"type": "function", "function": {"name": "weather"}}, ["weather"]),
    ],
)
def test_a_tool_that_has_to_be_called(choice: object, forced: list[str] | None) -> None:
    settings: Any = _ask([USER], tools=[TOOL], tool_choice=choice).options.model_settings
    assert settings.get("tool_choice") == forced


def test_any_json_object_will_do() -> None:
    options = _ask([USER], response_format={"type": "json_object"}).options
    assert (options.json_object, options.output_schema) == (True, None)


@pytest.mark.parametrize("content", ["", " ", [{"type": "text", "text": " "}]])
@pytest.mark.parametrize("model", ["billing", "support"])
def test_a_message_that_says_nothing_is_refused(content: object, model: str) -> None:
    with pytest.raises(InvalidInput, match="messages: the last one is empty"):
        _ask([{"role": "user", "content": content}], model=model)


def test_a_message_without_parts_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        _ask([{"role": "user", "content": []}])


def test_the_newer_name_of_the_token_limit_wins() -> None:
    ask = _ask([USER], max_tokens=5, max_completion_tokens=6)
    assert ask.options.model_settings == {"max_tokens": 6}


def test_a_schema_for_the_answer() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    asked = {"type": "json_schema", "json_schema": {"name": "place", "description": "Where.", "schema": schema}}
    assert _ask([USER], response_format=asked).options.output_schema == {
        "title": "place",
        "description": "Where.",
        **schema,
    }


def test_a_workflow_gets_the_last_users_text() -> None:
    answered = {"role": "assistant", "content": "Done."}
    ask = _ask([{"role": "user", "content": "hello"}, answered, USER], model="support", temperature=0.5)
    assert ask == Ask("refund order 7", RunOptions())


@pytest.mark.parametrize(
    ("messages", "options", "says"),
    [
        ([{"role": "system", "content": "x"}], {}, "messages: the last one must be the user's or a tool's"),
        ([USER, {"role": "assistant", "content": "x"}], {}, "messages: the last one must be the user's or a tool's"),
        ([USER, RESULT], {}, "messages: a tool's result must follow the tool call"),
        ([USER, CALL, USER], {}, "messages: 1 tool call(s) have no result"),
        ([USER, CALL, RESULT, RESULT], {}, "messages: a tool's result must follow the tool call"),
        ([USER], {"model": "support", "tools": [TOOL]}, "tools: the workflow 'support' takes none"),
        (
            [USER],
            {"model": "support", "response_format": {"type": "json_object"}},
            "response_format: the workflow 'support' has its own",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(messages: list[Any], options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        _ask(messages, **options)
    assert caught.value.message.startswith(says)


@pytest.mark.parametrize("arguments", ["[1]", "{", '"x"', "[" * 100_000], ids=["list", "half", "text", "deep"])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    call = {**CALL, "tool_calls": [{"id": "c-1", "function": {"name": "weather", "arguments": arguments}}]}
    with pytest.raises(InvalidInput, match="the arguments of a tool call must be a JSON object"):
        _ask([USER, call, RESULT])

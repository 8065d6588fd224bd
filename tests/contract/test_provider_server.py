"""The provider server against the official clients: they parse all of it, and fail as they do on the real thing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pydantic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

from tests.contract.official_types import valid
from tests.fixtures.provider_answers import (
    Answer,
    Call,
    Hangs,
    Malformed,
    Reset,
    Says,
    Slow,
    Structured,
    Truncated,
    Usage,
    status,
    tool_call,
    tool_calls,
)
from tests.fixtures.provider_server import ClosedPort, ProviderServer

pytest_plugins = ["tests.fixtures.providers"]

KEY = "-".join(("sk", "test", "0" * 12))
USER: Any = [{"role": "user", "content": "Say hello."}]
CHAT_TOOL: Any = {"type": "function", "function": {"name": "refund", "parameters": {"type": "object"}}}
TOOL: Any = {"type": "function", "name": "refund", "parameters": {"type": "object"}, "strict": False}
ANTHROPIC_TOOL: Any = {"name": "refund", "input_schema": {"type": "object"}}
TWO_CALLS = tool_calls(Call("refund", {"order": 7}), Call("refund", {"order": 8}), text="Both at once.")
ANSWERS = [
    pytest.param("Hello, you there.", id="text"),
    pytest.param(tool_call("refund", order=7), id="tool call"),
    pytest.param(TWO_CALLS, id="text and two calls"),
    pytest.param(Structured({"kind": "billing"}), id="structured"),
    pytest.param(Says("counted", usage=Usage(input=120, output=30, cached=100, reasoning=10)), id="usage"),
]


@pytest.fixture
def openai_client(provider_server: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=KEY, base_url=provider_server.openai.base_url, max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
def anthropic_client(provider_server: ProviderServer) -> Iterator[anthropic.Anthropic]:
    url = provider_server.anthropic.base_url
    with anthropic.Anthropic(api_key=KEY, base_url=url, max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
async def async_openai(provider_server: ProviderServer) -> AsyncIterator[openai.AsyncOpenAI]:
    url = provider_server.openai.base_url
    async with openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
async def async_anthropic(provider_server: ProviderServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    url = provider_server.anthropic.base_url
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0, timeout=5) as client:
        yield client


def raw_events(url: str, body: dict[str, Any]) -> list[tuple[str | None, Any]]:
    """The events of a streamed answer, read without any client's leniency."""
    events: list[tuple[str | None, Any]] = []
    with httpx2.stream("POST", url, json={**body, "stream": True}) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        for block in answer.read().decode().removesuffix("\n\n").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            data = fields["data"]
            events.append((fields.get("event"), data if data == "[DONE]" else json.loads(data)))
    return events


# Bodies by the official types


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(
    ("vendor", "path", "kind", "body"),
    [
        ("openai", "/chat/completions", ChatCompletion, {"messages": USER, "tools": [CHAT_TOOL]}),
        ("openai", "/responses", Response, {"input": "Hi", "tools": [TOOL]}),
        ("anthropic", "/v1/messages", Message, {"messages": USER, "tools": [ANTHROPIC_TOOL], "max_tokens": 9}),
    ],
)
def test_body_is_valid_by_the_official_type(
    provider_server: ProviderServer, vendor: str, path: str, kind: Any, body: dict[str, Any], answer: Answer
) -> None:
    planned = getattr(provider_server, vendor).replies(answer)
    reply = httpx2.post(planned.base_url + path, json={"model": "m-1", **body})
    assert reply.status_code == 200
    valid(kind, reply.json())
    assert reply.headers["request-id" if vendor == "anthropic" else "x-request-id"].startswith("req_")


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(
    ("vendor", "path", "kind", "body"),
    [
        (
            "openai",
            "/chat/completions",
            ChatCompletionChunk,
            {"messages": USER, "tools": [CHAT_TOOL], "stream_options": {"include_usage": True}},
        ),
        ("openai", "/responses", ResponseStreamEvent, {"input": "Hi", "tools": [TOOL]}),
        (
            "anthropic",
            "/v1/messages",
            RawMessageStreamEvent,
            {"messages": USER, "tools": [ANTHROPIC_TOOL], "max_tokens": 9},
        ),
    ],
)
def test_every_event_is_valid_by_the_official_type(
    provider_server: ProviderServer, vendor: str, path: str, kind: Any, body: dict[str, Any], answer: Answer
) -> None:
    planned = getattr(provider_server, vendor).replies(answer)
    events = raw_events(planned.base_url + path, {"model": "m-1", **body})
    for name, data in events:
        if data == "[DONE]" or name == "ping":
            continue
        valid(kind, data)
        assert name in (None, data.get("type"))
    assert len(events) > 3


# The official clients read them


def test_openai_chat(provider_server: ProviderServer, openai_client: openai.OpenAI) -> None:
    provider_server.openai.replies("Hello.", tool_call("refund", order=7))
    said = openai_client.chat.completions.create(model="gpt-5-mini", messages=USER)
    called = openai_client.chat.completions.create(model="gpt-5-mini", messages=USER, tools=[CHAT_TOOL])
    assert said.choices[0].message.content == "Hello."
    assert said.choices[0].finish_reason == "stop"
    assert called.choices[0].finish_reason == "tool_calls"
    assert called.choices[0].message.tool_calls is not None
    function = called.choices[0].message.tool_calls[0].function  # type: ignore[union-attr]
    assert (function.name, json.loads(function.arguments)) == ("refund", {"order": 7})
    assert said.usage is not None
    assert called.usage is not None
    sent = provider_server.openai.usage
    assert said.usage.prompt_tokens + called.usage.prompt_tokens == sent.input
    assert said.usage.completion_tokens + called.usage.completion_tokens == sent.output
    assert [request.tools for request in provider_server.openai.requests] == [[], ["refund"]]
    assert provider_server.openai.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_openai_chat_streamed(provider_server: ProviderServer, async_openai: openai.AsyncOpenAI) -> None:
    provider_server.openai.replies(TWO_CALLS)
    async with async_openai.chat.completions.stream(
        model="gpt-5-mini", messages=USER, tools=[CHAT_TOOL], stream_options={"include_usage": True}
    ) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == "Both at once."
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [json.loads(call.function.arguments) for call in calls] == [{"order": 7}, {"order": 8}]
    assert final.usage is not None
    assert final.usage.completion_tokens == provider_server.openai.usage.output


def test_openai_chat_streams_usage_only_when_asked(
    provider_server: ProviderServer, openai_client: openai.OpenAI
) -> None:
    provider_server.openai.replies("Hello.")
    chunks = list(openai_client.chat.completions.create(model="gpt-5-mini", messages=USER, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello."
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)


def test_openai_responses(provider_server: ProviderServer, openai_client: openai.OpenAI) -> None:
    provider_server.openai.replies("Hello.", TWO_CALLS)
    said = openai_client.responses.create(model="gpt-5-mini", input="Hi")
    called = openai_client.responses.create(model="gpt-5-mini", input="Hi", tools=[TOOL])
    assert said.output_text == "Hello."
    assert [item.type for item in called.output] == ["message", "function_call", "function_call"]
    assert said.usage is not None
    assert said.usage.total_tokens == said.usage.input_tokens + said.usage.output_tokens


async def test_openai_responses_streamed(provider_server: ProviderServer, async_openai: openai.AsyncOpenAI) -> None:
    provider_server.openai.replies(TWO_CALLS)
    async with async_openai.responses.stream(model="gpt-5-mini", input="Hi", tools=[TOOL]) as stream:
        numbers = [event.sequence_number async for event in stream]
        final = await stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert final.output_text == "Both at once."
    arguments = [json.loads(item.arguments) for item in final.output if item.type == "function_call"]
    assert arguments == [{"order": 7}, {"order": 8}]


def test_structured_output_by_schema_or_by_output_tool(
    provider_server: ProviderServer, openai_client: openai.OpenAI
) -> None:
    class Kind(pydantic.BaseModel):
        kind: str

    provider_server.openai.replies(Structured({"kind": "billing"}), Structured({"kind": "billing"}))
    parsed = openai_client.responses.parse(model="gpt-5-mini", input="Hi", text_format=Kind)
    tool = {**TOOL, "name": "final_result"}
    called = openai_client.responses.create(model="gpt-5-mini", input="Hi", tools=[tool])
    assert parsed.output_parsed == Kind(kind="billing")
    assert [(item.type, getattr(item, "name", "")) for item in called.output] == [("function_call", "final_result")]


def test_anthropic_messages(provider_server: ProviderServer, anthropic_client: anthropic.Anthropic) -> None:
    provider_server.anthropic.replies("Hello.", TWO_CALLS)
    said = anthropic_client.messages.create(model="claude-x", messages=USER, max_tokens=9)
    called = anthropic_client.messages.create(model="claude-x", messages=USER, max_tokens=9, tools=[ANTHROPIC_TOOL])
    assert (said.content[0].type, said.stop_reason) == ("text", "end_turn")
    assert [block.type for block in called.content] == ["text", "tool_use", "tool_use"]
    assert called.stop_reason == "tool_use"
    assert said.usage.output_tokens + called.usage.output_tokens == provider_server.anthropic.usage.output
    assert KEY in " ".join(provider_server.anthropic.requests[0].headers.values())


async def test_anthropic_messages_streamed(
    provider_server: ProviderServer, async_anthropic: anthropic.AsyncAnthropic
) -> None:
    provider_server.anthropic.replies(TWO_CALLS)
    async with async_anthropic.messages.stream(
        model="claude-x", messages=USER, max_tokens=9, tools=[ANTHROPIC_TOOL]
    ) as stream:
        final = await stream.get_final_message()
    assert [getattr(block, "input", None) for block in final.content] == [None, {"order": 7}, {"order": 8}]
    assert final.usage.output_tokens == provider_server.anthropic.usage.output
    assert final.usage.input_tokens == provider_server.anthropic.usage.input


def test_answers_may_depend_on_the_request(provider_server: ProviderServer, openai_client: openai.OpenAI) -> None:
    provider_server.openai.always(lambda request: f"You are {request.model}.")
    texts = [openai_client.responses.create(model=model, input="Hi").output_text for model in ("a", "b")]
    assert texts == ["You are a.", "You are b."]


def test_a_request_without_a_planned_answer_shows(
    provider_server: ProviderServer, openai_client: openai.OpenAI
) -> None:
    with pytest.raises(openai.InternalServerError, match="planned no answer") as caught:
        openai_client.responses.create(model="gpt-5-mini", input="Hi")
    assert caught.value.status_code == 501


def test_a_replier_that_breaks_fails_the_test_at_its_end() -> None:
    def broken(request: Any) -> str:
        raise AssertionError("no such tool result")

    with ProviderServer() as server:
        server.openai.always(broken)
        with pytest.raises(httpx2.RemoteProtocolError):
            httpx2.post(f"{server.openai.base_url}/responses", json={"model": "m"})
        with pytest.raises(AssertionError, match="no such tool result"):
            server.reset()


# Faults, as the official clients see them


@pytest.mark.parametrize(
    ("code", "openai_error", "anthropic_error", "anthropic_type"),
    [
        (401, openai.AuthenticationError, anthropic.AuthenticationError, "authentication_error"),
        (404, openai.NotFoundError, anthropic.NotFoundError, "not_found_error"),
        (429, openai.RateLimitError, anthropic.RateLimitError, "rate_limit_error"),
        (500, openai.InternalServerError, anthropic.InternalServerError, "api_error"),
        (503, openai.InternalServerError, anthropic.InternalServerError, "api_error"),
        (529, openai.InternalServerError, anthropic.APIStatusError, "overloaded_error"),  # the class varies
    ],
)
def test_status(
    provider_server: ProviderServer,
    openai_client: openai.OpenAI,
    anthropic_client: anthropic.Anthropic,
    code: int,
    openai_error: type[openai.APIStatusError],
    anthropic_error: type[anthropic.APIStatusError],
    anthropic_type: str,
) -> None:
    fault = status(code, retry_after=7, message="Not now.")
    provider_server.openai.replies(fault)
    provider_server.anthropic.replies(fault)
    with pytest.raises(openai_error, match="Not now") as from_openai:
        openai_client.responses.create(model="gpt-5-mini", input="Hi")
    with pytest.raises(anthropic_error, match="Not now") as from_anthropic:
        anthropic_client.messages.create(model="claude-x", messages=USER, max_tokens=9)
    assert from_openai.value.status_code == from_anthropic.value.status_code == code
    assert from_openai.value.response.headers["retry-after"] == "7"
    assert from_anthropic.value.body == {
        "type": "error",
        "error": {"type": anthropic_type, "message": "Not now."},
        "request_id": from_anthropic.value.request_id,
    }


@pytest.mark.parametrize("fault", [Reset(), Reset(midway=True), Truncated()], ids=repr)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_broken_connections(
    provider_server: ProviderServer,
    openai_client: openai.OpenAI,
    anthropic_client: anthropic.Anthropic,
    fault: Answer,
    stream: bool,
) -> None:
    provider_server.openai.replies(fault)
    provider_server.anthropic.replies(fault)

    def ask_openai() -> Any:
        return list(openai_client.responses.create(model="gpt-5-mini", input="Hi", stream=stream))

    def ask_anthropic() -> Any:
        return list(anthropic_client.messages.create(model="claude-x", messages=USER, max_tokens=9, stream=stream))

    with pytest.raises(openai.APIConnectionError):
        ask_openai()
    with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
        ask_anthropic()


def test_malformed_body(provider_server: ProviderServer, openai_client: openai.OpenAI) -> None:
    provider_server.openai.replies(Malformed())
    with pytest.raises(json.JSONDecodeError):
        openai_client.responses.create(model="gpt-5-mini", input="Hi")


@pytest.mark.parametrize("path", ["responses", "chat/completions"])
def test_malformed_stream(provider_server: ProviderServer, path: str) -> None:
    provider_server.openai.replies(Malformed())
    with pytest.raises(json.JSONDecodeError):
        raw_events(f"{provider_server.openai.base_url}/{path}", {"model": "m", "messages": USER})


def test_refused(closed_port: ClosedPort) -> None:
    with openai.OpenAI(api_key=KEY, base_url=f"{closed_port.url}/v1", max_retries=0) as client:
        with pytest.raises(openai.APIConnectionError) as caught:
            client.responses.create(model="gpt-5-mini", input="Hi")
    assert isinstance(caught.value.__cause__, httpx2.ConnectError)


@pytest.mark.parametrize("midway", [False, True])
def test_a_client_that_gives_up_is_seen(
    provider_server: ProviderServer, openai_client: openai.OpenAI, midway: bool
) -> None:
    provider_server.openai.replies(Hangs(midway=midway))
    with pytest.raises(openai.APITimeoutError):
        list(openai_client.responses.create(model="gpt-5-mini", input="Hi", stream=True, timeout=0.2))
    provider_server.openai.wait_for(lambda requests: requests[0].abandoned, 2)


def test_slow_answers_come_whole(provider_server: ProviderServer, openai_client: openai.OpenAI) -> None:
    provider_server.openai.replies(Slow("Hello.", seconds=0.1, between=0.01))
    events = list(openai_client.responses.create(model="gpt-5-mini", input="Hi", stream=True))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "Hello."

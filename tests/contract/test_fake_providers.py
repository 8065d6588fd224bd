"""The providers in memory by the official types and clients: strictly parsed, nothing undeclared, nothing lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import anyio
import httpx
import httpx2
import openai
import pydantic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

from tests.contract.official_types import valid
from weaver_ai.testing.fakes import Says, Usage, embedding, says, structured, tool_call
from weaver_ai.testing.fakes.providers.answers import Spoken
from weaver_ai.testing.fakes.providers.provider import Provider
from weaver_ai.testing.fakes.providers.providers import Providers

KEY = "-".join(("sk", "test", "0" * 12))
USER: Any = [{"role": "user", "content": "Say hello."}]
CHAT_TOOL: Any = {"type": "function", "function": {"name": "refund", "parameters": {"type": "object"}}}
TOOL: Any = {"type": "function", "name": "refund", "parameters": {"type": "object"}, "strict": False}
ANTHROPIC_TOOL: Any = {"name": "refund", "input_schema": {"type": "object"}}
TWO_CALLS = says("Both at once, größer.", tool_call("refund", order=7), tool_call("refund", order=8))
ANSWERS = [
    pytest.param("Hello, you there.", id="text"),
    pytest.param("", id="nothing"),
    pytest.param(tool_call("refund", order=7), id="tool call"),
    pytest.param(tool_call("refund"), id="tool call without arguments"),
    pytest.param(TWO_CALLS, id="text and two calls"),
    pytest.param(structured({"kind": "billing"}), id="structured"),
    pytest.param(says("counted", usage=Usage(input=120, output=30, cached=100, reasoning=10)), id="usage"),
]
CHAT = "https://api.openai.com/v1/chat/completions"
RESPONSES = "https://api.openai.com/v1/responses"
EMBEDDINGS = "https://api.openai.com/v1/embeddings"
MESSAGES = "https://api.anthropic.com/v1/messages"
DIALECTS = [
    pytest.param(CHAT, {"messages": USER, "tools": [CHAT_TOOL]}, id="chat completions"),
    pytest.param(RESPONSES, {"input": "Hi", "tools": [TOOL]}, id="responses"),
    pytest.param(MESSAGES, {"messages": USER, "tools": [ANTHROPIC_TOOL], "max_tokens": 9}, id="messages"),
]
KINDS: dict[str, Any] = {CHAT: ChatCompletion, RESPONSES: Response, MESSAGES: Message}
EVENTS: dict[str, Any] = {CHAT: ChatCompletionChunk, RESPONSES: ResponseStreamEvent, MESSAGES: RawMessageStreamEvent}

# Clients: every one takes (url, body) and gives status, headers and the whole body as it came in pieces

Sent = tuple[int, Any, list[bytes]]


def with_httpx(url: str, body: Any) -> Sent:
    with httpx.stream("POST", url, json=body) as answer:
        return answer.status_code, answer.headers, list(answer.iter_raw())


def with_httpx2(url: str, body: Any) -> Sent:
    with httpx2.stream("POST", url, json=body) as answer:
        return answer.status_code, answer.headers, list(answer.iter_raw())


def with_async_httpx(url: str, body: Any) -> Sent:
    async def send() -> Sent:
        async with httpx.AsyncClient() as client, client.stream("POST", url, json=body) as answer:
            return answer.status_code, answer.headers, [piece async for piece in answer.aiter_raw()]

    return anyio.run(send)


def with_async_httpx2(url: str, body: Any) -> Sent:
    async def send() -> Sent:
        async with httpx2.AsyncClient() as client, client.stream("POST", url, json=body) as answer:
            return answer.status_code, answer.headers, [piece async for piece in answer.aiter_raw()]

    return anyio.run(send, backend="trio")


SENDERS = [with_httpx, with_httpx2, with_async_httpx, with_async_httpx2]
Sender = Callable[[str, Any], Sent]


def provider_of(providers: Providers, url: str) -> Provider:
    return providers.anthropic if url == MESSAGES else providers.openai


def events_of(pieces: list[bytes]) -> list[tuple[str | None, Any]]:
    found: list[tuple[str | None, Any]] = []
    for block in b"".join(pieces).decode().removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        data = fields["data"]
        found.append((fields.get("event"), data if data == "[DONE]" else json.loads(data)))
    return found


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("send", SENDERS)
@pytest.mark.parametrize(("url", "body"), DIALECTS)
def test_body_is_valid_by_the_official_type(
    providers: Providers, send: Sender, url: str, body: dict[str, Any], answer: Spoken
) -> None:
    provider = provider_of(providers, url).replies(answer)
    status, headers, pieces = send(url, {"model": "m-1", **body})
    content = b"".join(pieces)
    valid(KINDS[url], json.loads(content))
    assert (status, headers["content-type"], headers["content-length"]) == (200, "application/json", str(len(content)))
    assert headers["request-id" if url == MESSAGES else "x-request-id"].startswith("req_")
    assert [call.library for call in provider.calls] == ["httpx2" if "httpx2" in send.__name__ else "httpx"]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("send", SENDERS)
@pytest.mark.parametrize(("url", "body"), DIALECTS)
def test_every_event_is_valid_by_the_official_type(
    providers: Providers, send: Sender, url: str, body: dict[str, Any], answer: Spoken
) -> None:
    provider_of(providers, url).replies(answer)
    options = {"stream_options": {"include_usage": True}} if url == CHAT else {}
    status, headers, pieces = send(url, {"model": "m-1", **body, **options, "stream": True})
    events = events_of(pieces)
    for name, data in events:
        if data != "[DONE]" and name != "ping":
            valid(EVENTS[url], data)
            assert name in (None, data.get("type"))
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert len(events) > 3
    assert len(pieces) > 3, "it came in one piece"
    assert any(not piece.endswith(b"\n\n") for piece in pieces), "no event was torn"


@pytest.mark.parametrize("send", SENDERS)
def test_embeddings_are_valid_by_the_official_type(providers: Providers, send: Sender) -> None:
    _, _, pieces = send(EMBEDDINGS, {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 3})
    valid(CreateEmbeddingResponse, json.loads(b"".join(pieces)))


# The official clients


@pytest.fixture
def openai_client() -> openai.OpenAI:
    return openai.OpenAI(api_key=KEY)


@pytest.fixture
def anthropic_client() -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key=KEY)


def test_openai_chat(providers: Providers, openai_client: openai.OpenAI) -> None:
    providers.openai.replies("Hello.", TWO_CALLS)
    said = openai_client.chat.completions.create(model="gpt-5-mini", messages=USER)
    called = openai_client.chat.completions.create(model="gpt-5-mini", messages=USER, tools=[CHAT_TOOL])
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == ("Hello.", "stop")
    assert called.choices[0].finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments) for call in called.choices[0].message.tool_calls or ()] == [  # type: ignore[union-attr]
        {"order": 7},
        {"order": 8},
    ]
    assert said.usage is not None
    assert called.usage is not None
    assert said.usage.total_tokens + called.usage.total_tokens == (
        providers.openai.usage.input + providers.openai.usage.output
    )
    first, second = providers.openai.calls
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert [call.tool_names for call in (first, second)] == [[], ["refund"]]


async def test_openai_chat_streamed(providers: Providers) -> None:
    providers.openai.replies(TWO_CALLS)
    async with (
        openai.AsyncOpenAI(api_key=KEY) as client,
        client.chat.completions.stream(
            model="gpt-5-mini", messages=USER, tools=[CHAT_TOOL], stream_options={"include_usage": True}
        ) as stream,
    ):
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == "Both at once, größer."
    calls = final.choices[0].message.tool_calls or []
    assert [json.loads(call.function.arguments) for call in calls] == [{"order": 7}, {"order": 8}]
    assert final.usage is not None
    assert final.usage.completion_tokens == providers.openai.usage.output


def test_openai_chat_streams_usage_only_when_asked(providers: Providers, openai_client: openai.OpenAI) -> None:
    providers.openai.replies("Hello.")
    chunks = list(openai_client.chat.completions.create(model="gpt-5-mini", messages=USER, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello."
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)


def test_openai_responses(providers: Providers, openai_client: openai.OpenAI) -> None:
    class Kind(pydantic.BaseModel):
        kind: str

    providers.openai.replies(TWO_CALLS, structured(Kind(kind="billing")))
    called = openai_client.responses.create(model="gpt-5-mini", input="Hi", tools=[TOOL])
    parsed = openai_client.responses.parse(model="gpt-5-mini", input="Hi", text_format=Kind)
    assert [item.type for item in called.output] == ["message", "function_call", "function_call"]
    assert parsed.output_parsed == Kind(kind="billing")


async def test_openai_responses_streamed(providers: Providers) -> None:
    providers.openai.replies(TWO_CALLS)
    async with (
        openai.AsyncOpenAI(api_key=KEY) as client,
        client.responses.stream(model="gpt-5-mini", input="Hi", tools=[TOOL]) as stream,
    ):
        numbers = [event.sequence_number async for event in stream]
        final = await stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert final.output_text == "Both at once, größer."
    assert [json.loads(item.arguments) for item in final.output if item.type == "function_call"] == [
        {"order": 7},
        {"order": 8},
    ]


def test_openai_embeddings(providers: Providers, openai_client: openai.OpenAI) -> None:
    providers.openai.replies(embedding([0.5, 0.25], [1.0, 0.0]))
    chosen = openai_client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    derived = openai_client.embeddings.create(model="text-embedding-3-small", input="a", dimensions=5)
    assert [item.embedding for item in chosen.data] == [[0.5, 0.25], [1.0, 0.0]]
    assert len(derived.data[0].embedding) == 5


def test_anthropic_messages(providers: Providers, anthropic_client: anthropic.Anthropic) -> None:
    providers.anthropic.replies(TWO_CALLS)
    called = anthropic_client.messages.create(model="claude-x", messages=USER, max_tokens=9, tools=[ANTHROPIC_TOOL])
    assert [block.type for block in called.content] == ["text", "tool_use", "tool_use"]
    assert called.stop_reason == "tool_use"
    assert called.usage.output_tokens == providers.anthropic.usage.output


async def test_anthropic_messages_streamed(providers: Providers) -> None:
    providers.anthropic.replies(TWO_CALLS)
    async with (
        anthropic.AsyncAnthropic(api_key=KEY) as client,
        client.messages.stream(model="claude-x", messages=USER, max_tokens=9, tools=[ANTHROPIC_TOOL]) as stream,
    ):
        final = await stream.get_final_message()
    assert [getattr(block, "input", None) for block in final.content] == [None, {"order": 7}, {"order": 8}]
    assert (final.usage.input_tokens, final.usage.output_tokens) == (
        providers.anthropic.usage.input,
        providers.anthropic.usage.output,
    )


@pytest.mark.parametrize(
    ("code", "openai_error", "anthropic_error", "anthropic_type"),
    [
        (401, openai.AuthenticationError, anthropic.AuthenticationError, "authentication_error"),
        (404, openai.NotFoundError, anthropic.NotFoundError, "not_found_error"),
        (429, openai.RateLimitError, anthropic.RateLimitError, "rate_limit_error"),
        (500, openai.InternalServerError, anthropic.InternalServerError, "api_error"),
        (529, openai.InternalServerError, anthropic.APIStatusError, "overloaded_error"),  # the class varies
    ],
)
def test_errors_are_the_clients_own(
    providers: Providers,
    code: int,
    openai_error: type[openai.APIStatusError],
    anthropic_error: type[anthropic.APIStatusError],
    anthropic_type: str,
) -> None:
    providers.openai.replies(providers.openai.error(code, "Not now.", retry_after=7))
    providers.anthropic.replies(providers.anthropic.error(code, "Not now.", retry_after=7))
    with pytest.raises(openai_error, match="Not now") as from_openai:
        openai.OpenAI(api_key=KEY, max_retries=0).responses.create(model="gpt-5-mini", input="Hi")
    with pytest.raises(anthropic_error, match="Not now") as from_anthropic:
        anthropic.Anthropic(api_key=KEY, max_retries=0).messages.create(model="claude-x", messages=USER, max_tokens=9)
    assert from_openai.value.response.headers["retry-after"] == "7"
    assert from_anthropic.value.body == {
        "type": "error",
        "error": {"type": anthropic_type, "message": "Not now."},
        "request_id": from_anthropic.value.request_id,
    }


def test_azure_and_ollama(providers: Providers) -> None:
    azure = providers.openai.at("https://weaver.openai.azure.com").replies("From Azure.")
    ollama = providers.openai.at("http://localhost:11434/v1").replies("From Ollama.")
    proxied = providers.anthropic.at("https://llm.example.com/anthropic").replies("From the proxy.")
    on_azure = openai.AzureOpenAI(
        api_key=KEY, azure_endpoint="https://weaver.openai.azure.com", api_version="2024-10-21"
    ).chat.completions.create(model="my-deployment", messages=USER)
    on_ollama = openai.OpenAI(api_key=KEY, base_url="http://localhost:11434/v1").responses.create(
        model="llama", input="Hi"
    )
    on_proxy = anthropic.Anthropic(api_key=KEY, base_url="https://llm.example.com/anthropic").messages.create(
        model="claude-x", messages=USER, max_tokens=9
    )
    assert on_azure.choices[0].message.content == "From Azure."
    assert on_ollama.output_text == "From Ollama."
    assert on_proxy.content[0].text == "From the proxy."  # type: ignore[union-attr]
    assert [len(each.calls) for each in (azure, ollama, proxied, providers.openai)] == [1, 1, 1, 0]
    assert providers.openai.at("https://weaver.openai.azure.com/") is azure


def test_answers_may_depend_on_the_call(providers: Providers, openai_client: openai.OpenAI) -> None:
    def reply(call: Any) -> Says | str:
        return tool_call("refund", order=7) if call.messages[-1].role == "user" else f"You are {call.model}."

    providers.openai.always(reply)
    called = openai_client.chat.completions.create(model="a", messages=USER, tools=[CHAT_TOOL])
    message = called.choices[0].message
    said = openai_client.chat.completions.create(
        model="b", messages=[*USER, message, {"role": "tool", "tool_call_id": "x", "content": "done"}]
    )
    assert message.tool_calls is not None
    assert said.choices[0].message.content == "You are b."

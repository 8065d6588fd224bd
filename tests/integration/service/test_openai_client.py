"""The official `openai` client pointed at Weaver: an agent or a workflow is a model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, TypeAdapter

from tests.fixtures.provider_answers import Call, Structured, status, tool_call, tool_calls
from tests.fixtures.provider_server import ProviderServer
from tests.fixtures.traced import Caller, named

pytest_plugins = ["tests.fixtures.providers"]

REFUND: Any = [{"role": "user", "content": "Please refund order 7, it arrived broken."}]
HI: Any = [{"role": "user", "content": "hi"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def client_of(service: Caller, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.gateway.url}/v1", api_key="unused", max_retries=0, timeout=20, **options)


@pytest.fixture
def offline(keyless: Caller) -> Iterator[openai.OpenAI]:
    with client_of(keyless) as client:
        yield client


@pytest.fixture
def client(desk: Caller) -> Iterator[openai.OpenAI]:
    with client_of(desk) as client:
        yield client


@pytest.fixture
async def async_client(desk: Caller) -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"{desk.gateway.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="unused", max_retries=0, timeout=20) as client:
        yield client


def test_agents_and_workflows_are_models(offline: openai.OpenAI) -> None:
    models = list(offline.models.list())
    assert {"billing", "classifier", "support"} <= {model.id for model in models}
    assert {model.object for model in models} == {"model"}
    assert offline.models.retrieve("support").id == "support"


@pytest.mark.parametrize("model", ["billing", "support"])
def test_a_completion(keyless: Caller, offline: openai.OpenAI, model: str) -> None:
    trace = keyless.trace()
    completion = offline.chat.completions.create(
        model=model, messages=REFUND, extra_headers={"traceparent": trace.traceparent}
    )
    TypeAdapter(ChatCompletion).validate_python(completion.model_dump(), strict=True)
    direct = keyless.post(
        f"/v1/{'workflows' if model == 'support' else 'agents'}/{model}/run", {"input": REFUND[0]["content"]}
    )
    assert completion.choices[0].message.content == direct[0].json()["text"]
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == model
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion.usage.total_tokens == direct[0].json()["usage"]["total_tokens"]
    assert completion.choices[0].message.tool_calls is None
    assert trace.server().name == "POST /v1/chat/completions"
    assert len(named(trace.spans, "invoke_agent billing")) == 1


def test_a_streamed_completion(keyless: Caller, offline: openai.OpenAI) -> None:
    whole = offline.chat.completions.create(model="billing", messages=REFUND)
    trace = keyless.trace()
    chunks = list(
        offline.chat.completions.create(
            model="billing",
            messages=REFUND,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"traceparent": trace.traceparent},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    assert len({chunk.id for chunk in chunks}) == 1
    assert trace.one("invoke_agent billing").status.code == "unset"


def test_a_stream_has_usage_only_when_asked(offline: openai.OpenAI) -> None:
    chunks = list(offline.chat.completions.create(model="billing", messages=REFUND, stream=True))
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert all(chunk.choices for chunk in chunks)


def test_a_workflow_streams_its_answer(keyless: Caller, offline: openai.OpenAI) -> None:
    whole = offline.chat.completions.create(model="support", messages=REFUND)
    chunks = list(offline.chat.completions.create(model="support", messages=REFUND, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content


def test_instructions_and_history_reach_the_provider(client: openai.OpenAI, provider_server: ProviderServer) -> None:
    provider_server.openai.replies("Nice to meet you.")
    messages: Any = [
        {"role": "system", "content": "Speak like a pirate."},
        {"role": "user", "content": "I am Ada."},
        {"role": "assistant", "content": "Ahoy, Ada."},
        {"role": "user", "content": "Who am I?"},
    ]
    client.chat.completions.create(model="plain", messages=messages, temperature=0.5, max_completion_tokens=99)
    sent = provider_server.openai.requests[0]
    for text in ("Speak like a pirate.", "I am Ada.", "Ahoy, Ada.", "Who am I?", "You answer in one sentence."):
        assert text in sent.text
    assert sent.body["max_output_tokens"] == 99


def test_a_tool_that_the_client_runs(desk: Caller, client: openai.OpenAI, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(tool_call("weather", city="Oslo"), "It snows in Oslo.")
    trace = desk.trace()
    first = client.chat.completions.create(
        model="plain", messages=HI, tools=[WEATHER], extra_headers={"traceparent": trace.traceparent}
    )
    choice = first.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    call: Any = choice.message.tool_calls[0]
    assert (call.type, call.function.name, json.loads(call.function.arguments)) == (
        "function",
        "weather",
        {"city": "Oslo"},
    )
    assert "weather" in provider_server.openai.requests[0].tools
    assert trace.one("invoke_agent plain").status.code == "unset"

    answer: Any = {"role": "tool", "tool_call_id": call.id, "content": "snow"}
    second = client.chat.completions.create(
        model="plain", messages=[*HI, choice.message.model_dump(exclude_none=True), answer], tools=[WEATHER]
    )
    assert second.choices[0].message.content == "It snows in Oslo."
    assert second.choices[0].finish_reason == "stop"
    assert provider_server.openai.requests[1].tool_results == 1
    assert "snow" in provider_server.openai.requests[1].text


async def test_client_tools_are_streamed(async_client: openai.AsyncOpenAI, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(tool_calls(Call("weather", {"city": "Oslo"}), Call("weather", {"city": "Rome"})))
    async with async_client.chat.completions.stream(model="plain", messages=HI, tools=[WEATHER]) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Oslo", "Rome"]


async def test_the_async_client(async_client: openai.AsyncOpenAI, provider_server: ProviderServer) -> None:
    provider_server.openai.replies("Hello.", "A streamed hello to you.")
    whole = await async_client.chat.completions.create(model="plain", messages=HI)
    assert whole.choices[0].message.content == "Hello."
    text = ""
    async for chunk in await async_client.chat.completions.create(model="plain", messages=HI, stream=True):
        text += chunk.choices[0].delta.content or ""
    assert text == "A streamed hello to you."


def test_the_agents_own_tools_stay_inside(client: openai.OpenAI, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(tool_call("refund", order=7), "Refunded.")
    completion = client.chat.completions.create(model="clerk", messages=HI)
    assert completion.choices[0].message.content == "Refunded."
    assert completion.choices[0].message.tool_calls is None
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == provider_server.openai.usage.input
    assert completion.usage.completion_tokens == provider_server.openai.usage.output


def test_structured_output(client: openai.OpenAI, provider_server: ProviderServer) -> None:
    class City(BaseModel):
        name: str

    provider_server.openai.replies(Structured({"name": "Oslo"}))
    parsed = client.chat.completions.parse(model="plain", messages=HI, response_format=City)
    assert parsed.choices[0].message.parsed == City(name="Oslo")


def test_any_json_object(client: openai.OpenAI, provider_server: ProviderServer) -> None:
    provider_server.openai.replies('{"city": "Oslo"}')
    completion = client.chat.completions.create(model="plain", messages=HI, response_format={"type": "json_object"})
    assert json.loads(completion.choices[0].message.content or "") == {"city": "Oslo"}
    (sent,) = provider_server.openai.requests
    assert sent.body["text"]["format"] == {"type": "json_object"}
    assert "JSON" in sent.text


def test_any_json_object_of_an_agent_that_has_its_own(client: openai.OpenAI, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(Structured({"team": "billing", "urgent": False}))
    completion = client.chat.completions.create(model="judge", messages=HI, response_format={"type": "json_object"})
    assert json.loads(completion.choices[0].message.content or "") == {"team": "billing", "urgent": False}


def test_any_json_object_beside_tools(client: openai.OpenAI, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(tool_call("weather", city="Oslo"))
    completion = client.chat.completions.create(
        model="plain", messages=HI, tools=[WEATHER], response_format={"type": "json_object"}
    )
    assert completion.choices[0].finish_reason == "tool_calls"


def test_any_json_object_offline(offline: openai.OpenAI) -> None:
    completion = offline.chat.completions.create(
        model="billing", messages=REFUND, response_format={"type": "json_object"}
    )
    answer = json.loads(completion.choices[0].message.content or "")
    assert answer == {"answer": "[offline model] Order 7 (espresso machine) is refunded: 249.00 EUR."}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
@pytest.mark.parametrize("model", ["plain", "clerk"])
def test_a_tool_that_has_to_be_called(
    client: openai.OpenAI, provider_server: ProviderServer, choice: Any, model: str
) -> None:
    provider_server.openai.replies(tool_call("weather", city="Oslo"))
    completion = client.chat.completions.create(model=model, messages=HI, tools=[WEATHER], tool_choice=choice)
    assert completion.choices[0].finish_reason == "tool_calls"
    sent = provider_server.openai.requests[0].body["tool_choice"]
    if model == "plain":
        assert sent == "required"
    else:  # the agent has tools of its own: only the client's may be called
        assert "weather" in json.dumps(sent)
        assert "refund" not in json.dumps(sent)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_that_has_to_be_called_offline(offline: openai.OpenAI, streamed: bool) -> None:
    forced: Any = {"model": "billing", "messages": HI, "tools": [WEATHER], "tool_choice": "required"}
    if streamed:
        with offline.chat.completions.stream(**forced) as stream:
            choice: Any = stream.get_final_completion().choices[0]
    else:
        choice = offline.chat.completions.create(**forced).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert [call.function.name for call in choice.message.tool_calls] == ["weather"]
    assert list(json.loads(choice.message.tool_calls[0].function.arguments)) == ["city"]


def test_settings_reach_the_provider(client: openai.OpenAI, provider_server: ProviderServer) -> None:
    provider_server.openai.always("Hello.")
    extra: Any = {"reasoning_effort": "low", "verbosity": "low", "service_tier": "flex", "store": False, "user": "u-1"}
    client.chat.completions.create(
        model="plain",
        messages=HI,
        **extra,
        prompt_cache_key="desk",
        metadata={"team": "x"},
        safety_identifier="s-1",
        n=1,
        logprobs=False,
        parallel_tool_calls=True,
        max_completion_tokens=99,
    )
    client.chat.completions.create(model="chatty", messages=HI, **extra, stop=["END"], seed=3)
    responses, chat = (request.body for request in provider_server.openai.requests)
    assert responses["reasoning"]["effort"] == "low"
    assert responses["text"]["verbosity"] == "low"
    assert (responses["service_tier"], responses["store"], responses["user"]) == ("flex", False, "u-1")
    assert (responses["prompt_cache_key"], responses["max_output_tokens"]) == ("desk", 99)
    assert (chat["reasoning_effort"], chat["verbosity"], chat["service_tier"]) == ("low", "low", "flex")
    assert (chat["store"], chat["user"], chat["stop"], chat["seed"]) == (False, "u-1", ["END"], 3)


def test_settings_of_another_provider_are_passed_over(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(status(500))
    provider_server.anthropic.replies("Hello.")
    with client_of(desk) as client:
        completion = client.chat.completions.create(
            model="reliable", messages=HI, verbosity="low", store=False, user="u-1", service_tier="priority", seed=3
        )
    assert completion.choices[0].message.content == "Hello."
    (sent,) = provider_server.anthropic.requests
    assert not {"verbosity", "store", "user", "seed"} & sent.body.keys()


# Errors are the client's own


def test_an_unknown_model(offline: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        offline.chat.completions.create(model="gpt-5", messages=HI)
    assert caught.value.code == "agent-not-found"
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


def test_a_request_of_the_wrong_shape(offline: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        offline.chat.completions.create(model="billing", messages=[])
    assert caught.value.param == "messages"


def test_what_an_agent_cannot_honour_is_refused(offline: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError):
        offline.chat.completions.create(model="billing", messages=HI, n=3)


@pytest.mark.parametrize(
    ("code", "error", "name"),
    [
        (429, openai.RateLimitError, "provider-rate-limited"),
        (500, openai.InternalServerError, "provider-unavailable"),
        (401, openai.InternalServerError, "provider-rejected"),
    ],
)
def test_a_providers_failure(
    client: openai.OpenAI, provider_server: ProviderServer, code: int, error: type[openai.APIStatusError], name: str
) -> None:
    provider_server.openai.replies(status(code, retry_after=7, message="Account of ada@example.com"))
    with pytest.raises(error) as caught:
        client.chat.completions.create(model="plain", messages=HI)
    assert caught.value.code == name
    assert "ada@example.com" not in str(caught.value)


def test_the_client_retries_what_can_pass(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(status(429, retry_after=0.1), "At last.")
    with client_of(desk).with_options(max_retries=1) as client:
        assert client.chat.completions.create(model="plain", messages=HI).choices[0].message.content == "At last."
    assert len(provider_server.openai.requests) == 2


def test_the_client_does_not_retry_what_cannot(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.always(status(401))
    with client_of(desk).with_options(max_retries=2) as client, pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="plain", messages=HI)
    assert len(provider_server.openai.requests) == 1

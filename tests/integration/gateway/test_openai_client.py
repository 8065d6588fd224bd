"""The official client, pointed at the gateway: sync, async, streamed, with tools, and its errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel, SecretStr

from tests.integration.gateway.conftest import Desk, Serve, Served

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello there"}]
SAID = "[offline model] you said: hello there"
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def desk(desk: Desk) -> Desk:
    from pydantic_ai import Agent

    desk.weaver.agent(Agent(name="helper"))
    return desk


@pytest.fixture
def client(gateway: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(gateway: Served) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def test_models(client: OpenAI) -> None:
    models = client.models.list().data
    assert [model.id for model in models] == ["echo", "helper", "hold", "fail", "sum"]
    assert client.models.retrieve("echo") == models[0]
    assert (models[0].object, models[0].owned_by) == ("model", "weaver")


def test_an_answer_in_full(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="echo", messages=HELLO, temperature=0, user="u-1")
    (choice,) = answer.choices
    assert answer.id.startswith("chatcmpl-")
    assert (answer.object, answer.model, answer.system_fingerprint) == ("chat.completion", "echo", "offline")
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert (choice.message.content, choice.message.tool_calls) == (SAID, None)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_with_its_usage(client: OpenAI) -> None:
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="echo", messages=HELLO, stream=True, stream_options=options))  # type: ignore[call-overload]
    assert len({chunk.id for chunk in chunks}) == 1
    *said, end, usage = chunks
    assert said[0].choices[0].delta.role == "assistant"
    assert len(said) > 1
    assert "".join(chunk.choices[0].delta.content for chunk in said) == SAID
    assert [chunk.choices[0].finish_reason for chunk in said] == [None] * len(said)
    assert end.choices[0].finish_reason == "stop"
    assert usage.choices == []
    whole = client.chat.completions.create(model="echo", messages=HELLO)
    assert usage.usage == whole.usage


def test_a_stream_without_usage_has_none(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="echo", messages=HELLO, stream=True))
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_clients_own_accumulation_of_a_stream(client: OpenAI) -> None:
    with client.chat.completions.stream(model="echo", messages=HELLO) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == SAID


async def test_the_asynchronous_client(async_client: AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.create(model="echo", messages=HELLO)
    assert answer.choices[0].message.content == SAID
    stream = await async_client.chat.completions.create(model="echo", messages=HELLO, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == SAID


def test_a_workflow_is_a_model_too(client: OpenAI, desk: Desk) -> None:
    desk.release.set()
    assert client.chat.completions.create(model="hold", messages=HELLO).choices[0].message.content == SAID
    chunks = list(client.chat.completions.create(model="hold", messages=HELLO, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == [SAID, None]


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_that_the_client_runs(client: OpenAI, streamed: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "get the weather in the city Oslo"}]
    asked: dict[str, Any] = {"model": "helper", "messages": messages, "tools": [WEATHER]}
    if streamed:
        with client.chat.completions.stream(**asked) as stream:
            choice: Any = stream.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(**asked).choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name, json.loads(call.function.arguments)) == (
        "function",
        "get_weather",
        {"city": "Oslo"},
    )
    messages += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "rain, 9 C"}]
    answer = client.chat.completions.create(**asked).choices[0]
    assert (answer.finish_reason, answer.message.content) == ("stop", "[offline model] rain, 9 C")


def test_an_answer_that_fits_a_schema(client: OpenAI) -> None:
    class Trip(BaseModel):
        city: str
        days: int

    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "city: Paris, days: 3"}]
    answer = client.chat.completions.parse(model="echo", messages=messages, response_format=Trip)
    assert answer.choices[0].message.parsed == Trip(city="Paris", days=3)


@pytest.mark.parametrize(
    ("request_body", "kind", "code", "param", "says"),
    [
        ({"model": "ecko"}, openai.NotFoundError, "agent-not-found", None, "no agent or workflow 'ecko'"),
        ({"messages": []}, openai.UnprocessableEntityError, "invalid-input", "messages", "at least 1 item"),
        ({"n": 2}, openai.UnprocessableEntityError, "invalid-input", "n", "an agent gives one answer"),
        (
            {"extra_body": {"temprature": 1}},
            openai.UnprocessableEntityError,
            "invalid-input",
            "temprature",
            "did you mean 'temperature'?",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}},
            openai.UnprocessableEntityError,
            "invalid-input",
            None,
            "the output schema can't be used",
        ),
        (
            {"model": "hold", "tools": [WEATHER]},
            openai.UnprocessableEntityError,
            "invalid-input",
            None,
            "tools: the workflow 'hold' takes none",
        ),
        ({"model": "fail"}, openai.InternalServerError, "run-failed", None, "the workflow 'fail' failed"),
    ],
)
def test_errors_are_the_clients_own(
    client: OpenAI,
    request_body: dict[str, Any],
    kind: type[openai.APIStatusError],
    code: str,
    param: str | None,
    says: str,
) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**{"model": "echo", "messages": HELLO, **request_body})
    error = caught.value
    assert (error.code, error.param) == (code, param)
    assert says in error.message
    assert error.request_id == error.response.headers["x-request-id"]


def test_an_error_inside_a_stream_is_raised_by_the_client(client: OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    from weaver_ai.agents import Runner, TextDelta
    from weaver_ai.errors import ProviderUnavailable

    async def breaks(*_: object, **__: object) -> AsyncIterator[object]:
        yield TextDelta(text="hel")
        raise ProviderUnavailable("openai (gpt) is unavailable: status 503", retry_after=2)

    monkeypatch.setattr(Runner, "stream", breaks)
    stream = client.chat.completions.create(model="echo", messages=HELLO, stream=True)
    assert next(stream).choices[0].delta.content == "hel"
    with pytest.raises(openai.APIError) as caught:
        next(stream)
    assert caught.value.message == "openai (gpt) is unavailable: status 503"
    assert (caught.value.code, caught.value.type) == ("provider-unavailable", "server_error")


def test_an_error_before_a_stream_begins_has_its_status(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="fail", messages=HELLO, stream=True)
    assert caught.value.code == "run-failed"


def test_the_clients_key_is_the_gateways(serve: Serve, key: SecretStr) -> None:
    gateway = serve(api_keys=(key,))
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=key.get_secret_value(), max_retries=0) as known:
        assert known.models.list().data[0].id == "echo"
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="wrong", max_retries=0) as unknown:
        with pytest.raises(openai.AuthenticationError, match="the key isn't known here"):
            unknown.models.list()


@pytest.mark.parametrize(
    ("failure", "requests"),
    [("ProviderRejected", 1), ("ProviderUnavailable", 3)],
)
def test_the_client_retries_what_can_pass_and_nothing_else(
    gateway: Served, monkeypatch: pytest.MonkeyPatch, failure: str, requests: int
) -> None:
    from weaver_ai import errors
    from weaver_ai.agents import Runner

    seen = 0

    async def fails(*_: object, **__: object) -> object:
        nonlocal seen
        seen += 1
        raise getattr(errors, failure)("the provider failed", retry_after=0.01)

    monkeypatch.setattr(Runner, "run", fails)
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=2) as retrying:
        with pytest.raises(openai.InternalServerError):
            retrying.chat.completions.create(model="echo", messages=HELLO)
    assert seen == requests

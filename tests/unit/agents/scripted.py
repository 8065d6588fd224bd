"""Agents whose model says what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from genai_prices import Usage as PriceUsage
from genai_prices import calc_price
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.usage import RequestUsage

from weaver_ai.agents import (
    Runner,
    RunOptions,
    RunResult,
    Weaver,
)
from weaver_ai.settings import load_settings

PATIENCE = 10.0
# What `scripted` answers with, at today's price, which is not this test's business.
ONE_REQUEST = calc_price(PriceUsage(input_tokens=100, output_tokens=10), "gpt-6-luna").total_price


def runner_of(*agents: Agent[Any, Any], **settings: object) -> Runner:
    weaver = Weaver("test")
    for agent in agents:
        weaver.agent(agent)
    return Runner(weaver, load_settings(env_file=None, **settings))


async def run(runner: Runner, name: str, value: object, options: RunOptions | None = None) -> RunResult:
    async with asyncio.timeout(PATIENCE):
        return await runner.run(runner.weaver.find(name), value, options)


def scripted(*answers: str | list[ToolCallPart], name: str = "gpt-6-luna") -> FunctionModel:
    """A model that gives these answers in turn, at 100 tokens in and 10 out."""
    queue = list(answers)

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        said = queue.pop(0)
        parts: list[Any] = [TextPart(said)] if isinstance(said, str) else list(said)
        return ModelResponse(parts=parts, usage=RequestUsage(input_tokens=100, output_tokens=10))

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        said = queue.pop(0)
        if isinstance(said, str):
            for word in said.split():
                yield word
        else:
            for index, call in enumerate(said):
                yield {index: DeltaToolCall(call.tool_name, call.args_as_json_str(), tool_call_id=call.tool_call_id)}

    return FunctionModel(answer, stream_function=stream, model_name=name)


def call(name: str, id: str = "c1", /, **arguments: object) -> list[ToolCallPart]:  # noqa: A002 - the field's name
    return [ToolCallPart(name, arguments, tool_call_id=id)]


class Colour(BaseModel):
    name: str
    shade: int = 0


def with_tools(model: Any, **kwargs: Any) -> Agent[Any, Any]:
    agent = Agent(model, name="a", **kwargs)

    @agent.tool_plain
    def double(number: int) -> int:
        """Twice as much."""
        return 2 * number

    @agent.tool_plain(retries=1)
    def picky(number: int) -> int:
        """Takes even numbers only."""
        if number % 2:
            raise ModelRetry("even numbers only")
        return number

    @agent.tool_plain
    def broken() -> int:
        """Never works."""
        raise ZeroDivisionError("by the zero of joe@example.com")

    return agent


async def events_of(runner: Runner, name: str, value: object) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return [event async for event in runner.stream(runner.weaver.find(name), value)]

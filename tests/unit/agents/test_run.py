"""What comes of a run: its result, its tool calls, its usage and price, its spans."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from tests.fixtures.provider_answers import Says
from tests.fixtures.provider_answers import Usage as SpentTokens
from tests.fixtures.provider_server import ProviderServer
from tests.fixtures.recorded_spans import Recorded
from tests.unit.agents.scripted import (
    ONE_REQUEST,
    Colour,
    call,
    events_of,
    run,
    runner_of,
    scripted,
    with_tools,
)
from weaver_ai.agents import (
    Ledger,
    Runner,
    RunResult,
    ToolCall,
    Usage,
    Weaver,
)
from weaver_ai.errors import InvalidInput
from weaver_ai.settings import load_settings

pytest_plugins = ["tests.fixtures.providers", "tests.fixtures.recorded"]


async def test_a_result_says_everything() -> None:
    result = await run(runner_of(with_tools(scripted(call("double", number=21), "It is 42."))), "a", "what is it?")
    assert result == RunResult(
        run_id=result.run_id,
        name="a",
        kind="agent",
        output="It is 42.",
        text="It is 42.",
        usage=Usage(input_tokens=200, output_tokens=20, requests=2, tool_calls=1),
        cost=2 * ONE_REQUEST,
        model="gpt-6-luna",
        provider=result.provider,
        offline=False,
        trace_id=None,
        tool_calls=(ToolCall(id="c1", name="double", arguments={"number": 21}, result=42),),
        messages=result.messages,
    )
    assert [type(message).__name__ for message in result.messages] == [
        "ModelRequest", "ModelResponse", "ModelRequest", "ModelResponse",
    ]  # fmt: skip
    assert len(result.run_id) == 32


async def test_a_result_as_json_has_all_but_the_messages() -> None:
    result = await run(runner_of(with_tools(scripted(call("double", number=21), "It is 42."))), "a", "what is it?")
    assert result.to_json() == {
        "run_id": result.run_id,
        "name": "a",
        "kind": "agent",
        "output": "It is 42.",
        "text": "It is 42.",
        "usage": {
            "input_tokens": 200,
            "output_tokens": 20,
            "total_tokens": 220,
            "requests": 2,
            "tool_calls": 1,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
        },
        "cost": float(2 * ONE_REQUEST),
        "model": "gpt-6-luna",
        "provider": result.provider,
        "offline": False,
        "trace_id": None,
        "tool_calls": [{"id": "c1", "name": "double", "arguments": {"number": 21}, "result": 42, "failed": False}],
    }


async def test_an_unknown_price_is_no_price() -> None:
    result = await run(runner_of(Agent(scripted("hello", name="a-model-of-our-own"), name="a")), "a", "hi")
    assert (result.cost, result.to_json()["cost"], result.model) == (None, None, "a-model-of-our-own")


@pytest.mark.parametrize(
    ("name", "cost"), [("gpt-6-luna", 3 * ONE_REQUEST), ("a-model-of-our-own", None)], ids=["known", "unknown"]
)
async def test_an_agent_that_a_tool_runs_is_in_the_price(name: str, cost: Decimal | None) -> None:
    specialist = Agent(scripted("42", name=name), name="specialist")
    agent = Agent(scripted(call("ask"), "done"), name="a")

    @agent.tool
    async def ask(ctx: RunContext[None]) -> str:
        """Asks the specialist."""
        return (await specialist.run("what?", usage=ctx.usage)).output

    runner, ledger = runner_of(agent), Ledger()
    result = await runner.run(runner.weaver.find("a"), "go", ledger=ledger)
    assert (result.cost, ledger.cost, result.usage.requests) == (cost, cost, 3)


async def test_an_answer_that_does_not_tell_its_tokens_has_no_price() -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("hello")], usage=RequestUsage(unmeasured_requests=1))

    result = await run(runner_of(Agent(FunctionModel(answer, model_name="gpt-6-luna"), name="a")), "a", "hi")
    assert result.cost is None


@pytest.mark.parametrize("model", ["openai:gpt-6-luna", "openai-chat:gpt-6-luna", "anthropic:claude-haiku-5-5"])
async def test_cached_and_reasoning_tokens_are_told(provider_server: ProviderServer, model: str) -> None:
    for vendor in (provider_server.openai, provider_server.anthropic):
        vendor.always(Says("hello", usage=SpentTokens(input=120, output=30, cached=100, reasoning=10)))
    runner = runner_of(
        Agent(name="a"),
        model=model,
        openai_api_key="-".join(["sk", "test"]),
        anthropic_api_key="-".join(["sk", "test"]),
        openai_base_url=provider_server.openai.base_url,
        anthropic_base_url=provider_server.anthropic.base_url,
    )
    usage = (await run(runner, "a", "hi")).usage
    streamed = (await events_of(runner, "a", "hi"))[-1].result.usage
    await runner.aclose()
    thought = 0 if model.startswith("anthropic") else 10  # Anthropic doesn't tell them apart
    assert (
        usage
        == streamed
        == Usage(input_tokens=120, output_tokens=30, requests=1, cached_tokens=100, reasoning_tokens=thought)
    )
    assert usage + usage == Usage(
        input_tokens=240, output_tokens=60, requests=2, cached_tokens=200, reasoning_tokens=2 * thought
    )


async def test_structured_output_is_json_and_its_text_too() -> None:
    agent = Agent(scripted(call("final_result", name="blue", shade=3)), name="a", output_type=Colour)
    result = await run(runner_of(agent), "a", "which?")
    assert (result.output, result.text) == ({"name": "blue", "shade": 3}, '{"name":"blue","shade":3}')
    assert result.tool_calls == ()


async def test_a_tool_that_asks_again_is_a_failed_call_and_then_a_good_one() -> None:
    model = scripted(call("picky", "c1", number=3), call("picky", "c2", number=4), "done")
    result = await run(runner_of(with_tools(model)), "a", "go")
    assert result.tool_calls == (
        ToolCall(id="c1", name="picky", arguments={"number": 3}, result=None, failed=True),
        ToolCall(id="c2", name="picky", arguments={"number": 4}, result=4),
    )


async def test_an_input_that_is_no_text_is_given_as_json() -> None:
    def echo(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        part = messages[0].parts[0]
        assert isinstance(part, UserPromptPart)
        return ModelResponse(parts=[TextPart(str(part.content))])

    runner = runner_of(Agent(FunctionModel(echo), name="a"))
    assert (await run(runner, "a", {"order": 7, "colour": Colour(name="red")})).text == (
        '{"order":7,"colour":{"name":"red","shade":0}}'
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "the agent 'a' needs an input"),
        ("", "the input of the agent 'a' is empty"),
        (" \n", "the input of the agent 'a' is empty"),
    ],
)
async def test_an_input_must_say_something(value: object, message: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        await run(runner_of(Agent(scripted(), name="a")), "a", value)
    assert wrong.value.message == message


@dataclass
class Shop:
    city: str


async def test_dependencies_reach_the_tools() -> None:
    weaver = Weaver("test")
    agent = weaver.agent(Agent(scripted(call("where"), "done"), name="a", deps_type=Shop), deps=Shop("Graz"))

    @agent.tool
    def where(ctx: RunContext[Shop]) -> str:
        """Where the shop is."""
        return ctx.deps.city

    result = await run(Runner(weaver, load_settings(env_file=None)), "a", "where?")
    assert result.tool_calls[0].result == "Graz"


async def test_the_spans_of_an_agent_say_whose_they_are(recorded: Recorded) -> None:
    result = await run(runner_of(with_tools(scripted(call("double", number=21), "It is 42."))), "a", "what is it?")
    assert recorded.tree() == "invoke_agent a\n  chat gpt-6-luna\n  execute_tool double\n  chat gpt-6-luna"
    attributes = recorded.attributes("invoke_agent a")
    assert {key: value for key, value in attributes.items() if key.startswith("weaver.")} == {
        "weaver.agent.name": "a",
        "weaver.capability": "a",
        "weaver.run.id": result.run_id,
        "weaver.model.offline": False,
    }
    assert (attributes["gen_ai.operation.name"], attributes["gen_ai.agent.call.id"]) == ("invoke_agent", result.run_id)
    assert recorded.attributes("execute_tool double")["gen_ai.tool.call.arguments"] == '{"number":21}'
    assert recorded.trace_ids == {result.trace_id}


async def test_many_runs_at_once_do_not_mix() -> None:
    def echo(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        part = messages[-1].parts[0]
        return ModelResponse(parts=[TextPart(str(getattr(part, "content", "")))])

    runner = runner_of(Agent(FunctionModel(echo), name="a"))
    results = await asyncio.gather(*(run(runner, "a", f"n{number}") for number in range(50)))
    assert [result.text for result in results] == [f"n{number}" for number in range(50)]
    assert len({result.run_id for result in results}) == 50

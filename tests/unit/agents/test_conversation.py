"""Conversations, and tools of the caller's own: a run that ends with calls and goes on with their results."""

from __future__ import annotations

import pytest
from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.tools import ToolDefinition

from tests.unit.agents.scripted import (
    Colour,
    call,
    run,
    runner_of,
    scripted,
    with_tools,
)
from weaver_ai.agents import (
    PendingCall,
    RunOptions,
    ToolCall,
)
from weaver_ai.errors import InvalidInput

pytest_plugins = ["tests.fixtures.providers", "tests.fixtures.recorded"]


WEATHER = ToolDefinition(
    name="weather",
    description="How the weather is.",
    parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


async def test_a_conversation_goes_on() -> None:
    def remember(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        said = [part.content for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
        return ModelResponse(parts=[TextPart(" / ".join(map(str, said)))])

    runner = runner_of(Agent(FunctionModel(remember), name="a"))
    first = await run(runner, "a", "one")
    second = await run(runner, "a", "two", RunOptions(history=first.messages))
    assert (second.text, len(second.messages)) == ("one / two", 2)


async def test_instructions_and_settings_reach_the_model() -> None:
    seen: list[AgentInfo] = []

    def look(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(info)
        return ModelResponse(parts=[TextPart("ok")])

    runner = runner_of(Agent(FunctionModel(look), name="a", instructions="Be kind."))
    await run(runner, "a", "hi", RunOptions(instructions="Be brief.", model_settings={"temperature": 0.5}))
    assert seen[0].instructions == "Be kind.\n\nBe brief."
    assert (seen[0].model_settings or {}).get("temperature") == 0.5


async def test_the_caller_s_tools_end_the_run_and_their_results_carry_it_on() -> None:
    model = scripted(call("weather", city="Graz"), "Sunny in Graz.")
    runner = runner_of(with_tools(model))
    asked = await run(runner, "a", "how is it?", RunOptions(tools=[WEATHER]))
    assert (asked.output, asked.text, asked.tool_calls) == (None, "", ())
    assert asked.pending == (PendingCall(id="c1", name="weather", arguments={"city": "Graz"}, kind="external"),)
    told = await run(
        runner, "a", None, RunOptions(history=asked.messages, tools=[WEATHER], tool_results={"c1": {"sky": "blue"}})
    )
    assert (told.text, told.pending) == ("Sunny in Graz.", ())
    returned = [part for message in told.messages for part in message.parts if isinstance(part, ToolReturnPart)]
    assert [(part.tool_call_id, part.content) for part in returned] == [("c1", {"sky": "blue"})]


async def test_own_tools_run_and_the_caller_s_wait_in_one_answer() -> None:
    both = [*call("double", "c1", number=4), *call("weather", "c2", city="Graz")]
    runner = runner_of(with_tools(scripted(both, "8 and sunny")))
    result = await run(runner, "a", "go", RunOptions(tools=[WEATHER]))
    assert result.tool_calls == (ToolCall(id="c1", name="double", arguments={"number": 4}, result=8),)
    assert result.pending == (PendingCall(id="c2", name="weather", arguments={"city": "Graz"}),)
    told = await run(
        runner, "a", None, RunOptions(history=result.messages, tools=[WEATHER], tool_results={"c2": "sunny"})
    )
    assert (told.text, told.tool_calls) == ("8 and sunny", ())


async def test_structured_output_and_the_caller_s_tools_go_together() -> None:
    agent = Agent(
        scripted(call("weather", city="Graz"), call("final_result", name="blue")), name="a", output_type=Colour
    )
    runner = runner_of(agent)
    asked = await run(runner, "a", "which colour?", RunOptions(tools=[WEATHER]))
    told = await run(
        runner, "a", None, RunOptions(history=asked.messages, tools=[WEATHER], tool_results={"c1": "blue sky"})
    )
    assert told.output == {"name": "blue", "shade": 0}


async def test_a_tool_that_needs_approval_is_pending_too() -> None:
    agent = Agent(scripted(call("pay", amount=5)), name="a", output_type=[str, DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    def pay(amount: int) -> str:
        """Pays."""
        return "paid"

    result = await run(runner_of(agent), "a", "pay 5")
    assert result.pending == (PendingCall(id="c1", name="pay", arguments={"amount": 5}, kind="approval"),)


ASKED = [
    ModelRequest(parts=[UserPromptPart("how is it?")]),
    ModelResponse(parts=call("weather", city="Graz")),
]
MISFITS: dict[str, tuple[RunOptions, str, str | None]] = {
    "no such call": (
        RunOptions(history=ASKED, tools=[WEATHER], tool_results={"c9": 1}),
        "no pending tool call 'c9'",
        "results go to the calls of the last response",
    ),
    "no result": (
        RunOptions(history=[*ASKED[:1], ModelResponse(parts=[*call("weather", "c1"), *call("weather", "c2")])],
                   tools=[WEATHER], tool_results={"c1": 1}),
        "the pending tool call 'c2' has no result",
        None,
    ),
    "no history": (RunOptions(tool_results={"c1": 1}), "the agent 'a' needs an input", None),
    "a name that is taken": (
        RunOptions(history=ASKED, tools=[ToolDefinition(name="double")]),
        "the agent 'a' can't run with these tools",
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message", "hint"), MISFITS.values(), ids=MISFITS.keys())
async def test_tools_and_results_must_fit(options: RunOptions, message: str, hint: str | None) -> None:
    with pytest.raises(InvalidInput) as wrong:
        await run(runner_of(with_tools(scripted())), "a", None, options)
    assert wrong.value.message == message
    if hint is not None:
        assert wrong.value.hint == hint

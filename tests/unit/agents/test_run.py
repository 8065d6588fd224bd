from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from genai_prices import Usage as PriceUsage
from genai_prices import calc_price
from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, ModelRetry, RunContext
from pydantic_ai.exceptions import ModelConnectionError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from tests.fixtures.provider_answers import Answer, Hangs, Malformed, Reset, Status
from tests.fixtures.provider_server import ProviderServer
from tests.fixtures.recorded_spans import Recorded
from weaver_ai.agents import (
    Ledger,
    PendingCall,
    RunFinished,
    Runner,
    RunOptions,
    RunResult,
    RunStarted,
    TextDelta,
    ToolCall,
    ToolCalled,
    ToolReturned,
    Usage,
    Weaver,
)
from weaver_ai.errors import InvalidInput, ProviderError, ProviderUnreachable, RunFailed, RunTimeout, WeaverError
from weaver_ai.settings import load_settings

pytest_plugins = ["tests.fixtures.providers", "tests.fixtures.recorded"]


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
        "usage": {"input_tokens": 200, "output_tokens": 20, "total_tokens": 220, "requests": 2, "tool_calls": 1},
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


# Failures


async def test_a_tool_s_bug_is_logged_and_not_told(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger()
    runner = runner_of(with_tools(scripted(call("broken"))))
    with pytest.raises(RunFailed) as failed:
        await runner.run(runner.weaver.find("a"), "go", ledger=ledger)
    assert (type(failed.value), failed.value.message, failed.value.hint) == (
        RunFailed,
        "the agent 'a' failed",
        "the cause is in the log and on the trace, under this trace id",
    )
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert "the agent failed" in caplog.text + capsys.readouterr().err
    assert ledger.usage == Usage(input_tokens=100, output_tokens=10, requests=1, tool_calls=0)
    assert ledger.cost == ONE_REQUEST


async def test_a_run_may_take_only_so_long(recorded: Recorded) -> None:
    cancelled = asyncio.Event()

    async def slow(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    runner = runner_of(Agent(FunctionModel(slow, model_name="slow"), name="a"))
    with pytest.raises(RunTimeout) as late:
        await run(runner, "a", "go", RunOptions(timeout_seconds=0.5))
    assert late.value.message == "the agent 'a' took longer than 0.5 seconds"
    assert cancelled.is_set()
    assert recorded.tree() == "invoke_agent a !run-timeout\n  chat slow !run-timeout"


async def test_a_tool_s_own_timeout_is_not_the_run_s() -> None:
    agent = Agent(scripted(call("impatient")), name="a")

    @agent.tool_plain
    def impatient() -> int:
        """Gives up."""
        raise TimeoutError

    with pytest.raises(WeaverError) as failed:
        await run(runner_of(agent), "a", "go")
    assert type(failed.value) is RunFailed


async def test_a_cancelled_run_cancels_its_tool_and_says_so_on_its_spans(recorded: Recorded) -> None:
    agent = Agent(scripted(call("wait")), name="a")
    entered, left = asyncio.Event(), asyncio.Event()

    @agent.tool_plain
    async def wait() -> int:
        """Waits."""
        entered.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            left.set()
        return 1

    ledger = Ledger()
    runner = runner_of(agent)
    task = asyncio.create_task(runner.run(runner.weaver.find("a"), "go", ledger=ledger))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left.is_set()
    assert recorded.tree() == "invoke_agent a !cancelled\n  chat gpt-6-luna\n  execute_tool wait !cancelled"
    failed = {span.name for span in recorded.all if span.status.status_code.name == "ERROR"}
    assert failed == {"invoke_agent a", "execute_tool wait"}
    assert ledger.usage.requests == 1


async def test_a_cancelled_run_hangs_up_on_the_provider(provider_server: ProviderServer, recorded: Recorded) -> None:
    provider_server.openai.always(Hangs())
    runner = runner_of(
        Agent(name="a"),
        openai_api_key="-".join(["sk", "test", "1" * 12]),
        openai_base_url=provider_server.openai.base_url,
    )
    task = asyncio.create_task(run(runner, "a", "go"))
    await asyncio.to_thread(provider_server.openai.wait_for, lambda requests: len(requests) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(provider_server.openai.wait_for, lambda requests: requests[0].abandoned)
    await runner.aclose()
    assert recorded.tree() == "invoke_agent a !cancelled\n  chat gpt-6-luna !cancelled"


KEY = "-".join(["sk", "test", "0" * 12])


@pytest.mark.parametrize("model", ["openai:gpt-6-luna", "openai-chat:gpt-6-luna", "anthropic:claude-haiku-5-5"])
async def test_an_answer_that_was_broken_off_has_no_price(
    provider_server: ProviderServer, recorded: Recorded, model: str
) -> None:
    for vendor in (provider_server.openai, provider_server.anthropic):
        vendor.always(Hangs(midway=True))
    runner = runner_of(
        Agent(name="a"),
        model=model,
        openai_api_key=KEY,
        anthropic_api_key=KEY,
        openai_base_url=provider_server.openai.base_url,
        anthropic_base_url=provider_server.anthropic.base_url,
    )
    ledger = Ledger()
    stream = runner.stream(runner.weaver.find("a"), "go", ledger=ledger)
    async for event in stream:
        if event.type == "text.delta":
            break
    await stream.aclose()
    await runner.aclose()
    assert ledger.cost is None
    assert recorded.attributes(f"chat {model.partition(':')[2]}").get("operation.cost") != 0


@pytest.mark.parametrize(
    ("answer", "known"),
    [(Status(429), True), (Status(500), True), (Reset(), False), (Malformed(), False), (Hangs(), False)],
    ids=["429", "500", "reset", "malformed", "hangs"],
)
async def test_what_a_failed_call_costs_is_known_only_when_it_was_refused(
    provider_server: ProviderServer, answer: Answer, known: bool
) -> None:
    provider_server.openai.always(answer)
    runner = runner_of(
        Agent(name="a"),
        openai_api_key=KEY,
        openai_base_url=provider_server.openai.base_url,
        provider_max_retries=0,
        provider_timeout_seconds=2.0,
    )
    ledger = Ledger()
    with pytest.raises(ProviderError):
        await runner.run(runner.weaver.find("a"), "go", ledger=ledger)
    await runner.aclose()
    assert (ledger.cost == 0, ledger.cost is None) == (known, not known)


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_a_stream_that_breaks_says_why_on_the_span_of_its_call(
    provider_server: ProviderServer, recorded: Recorded, vendor: str
) -> None:
    getattr(provider_server, vendor).always(Reset(midway=True))
    model = {"openai": "openai:gpt-6-luna", "anthropic": "anthropic:claude-haiku-5-5"}[vendor]
    runner = runner_of(
        Agent(name="a"),
        model=model,
        **{f"{vendor}_api_key": KEY, f"{vendor}_base_url": getattr(provider_server, vendor).base_url},
        provider_max_retries=0,
    )
    with pytest.raises(ProviderUnreachable) as failed:
        await events_of(runner, "a", "go")
    await runner.aclose()
    broken = failed.value.__cause__
    assert isinstance(broken, ModelConnectionError)
    first: BaseException = broken
    while first.__cause__ is not None:
        first = first.__cause__
    assert isinstance(first, ConnectionResetError), "that it is on the span took nothing from the error"
    assert recorded.tree().splitlines()[:2] == [
        "invoke_agent a !provider-unreachable",
        f"  chat {model.partition(':')[2]} !provider-unreachable",
    ]
    assert [[event.name for event in each.events] for each in recorded.all[:2]] == [["exception"], ["exception"]]


# Conversations and the caller's own tools

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


# Streams


async def events_of(runner: Runner, name: str, value: object) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return [event async for event in runner.stream(runner.weaver.find(name), value)]


async def test_a_stream_tells_what_happens_and_ends_with_the_result() -> None:
    runner = runner_of(with_tools(scripted(call("double", number=21), "It is 42.")))
    events = await events_of(runner, "a", "what is it?")
    result = events[-1].result
    assert events == [
        RunStarted(run_id=result.run_id, name="a", kind="agent"),
        ToolCalled(id="c1", name="double", arguments={"number": 21}),
        ToolReturned(id="c1", name="double", result=42),
        TextDelta(text="It"),
        TextDelta(text="is"),
        TextDelta(text="42."),
        RunFinished(result=result),
    ]
    assert (result.text, result.tool_calls) == (
        "Itis42.",
        (ToolCall(id="c1", name="double", arguments={"number": 21}, result=42),),
    )


async def test_a_failed_tool_shows_in_the_stream() -> None:
    model = scripted(call("picky", "c1", number=3), "never mind")
    events = await events_of(runner_of(with_tools(model)), "a", "go")
    (returned,) = [event for event in events if isinstance(event, ToolReturned)]
    assert (returned.name, returned.failed) == ("picky", True)


async def test_a_stream_raises_what_the_run_raises() -> None:
    runner = runner_of(with_tools(scripted(call("broken"))))
    seen: list[str] = []

    async def consume() -> None:
        async for event in runner.stream(runner.weaver.find("a"), "go"):
            seen.append(event.type)  # noqa: PERF401 - what came before the error is wanted too

    with pytest.raises(RunFailed, match=r"^the agent 'a' failed$"):
        await consume()
    assert seen == ["run.started", "tool.call"]


def waiting_agent() -> tuple[Agent[Any, str], asyncio.Event]:
    agent = Agent(scripted(call("wait")), name="a")
    left = asyncio.Event()

    @agent.tool_plain
    async def wait() -> int:
        """Waits."""
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            left.set()
        return 1

    return agent, left


async def test_who_closes_the_stream_cancels_the_run(recorded: Recorded) -> None:
    agent, left = waiting_agent()
    runner = runner_of(agent)
    stream = runner.stream(runner.weaver.find("a"), "go")
    async for event in stream:
        if event.type == "tool.call":
            break
    await stream.aclose()
    assert left.is_set()
    assert recorded.tree() == "invoke_agent a !cancelled\n  chat gpt-6-luna\n  execute_tool wait !cancelled"


async def test_who_cancels_the_consumer_cancels_the_run(recorded: Recorded) -> None:
    agent, left = waiting_agent()
    runner = runner_of(agent)
    reached = asyncio.Event()

    async def consume() -> None:
        async for event in runner.stream(runner.weaver.find("a"), "go"):
            if event.type == "tool.call":
                reached.set()

    task = asyncio.create_task(consume())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left.is_set()
    assert recorded.one("invoke_agent a").end_time is not None


async def test_a_stream_is_in_the_trace_of_its_consumer(recorded: Recorded) -> None:
    runner = runner_of(Agent(scripted("hello"), name="a"))
    with recorded.tracer.start_as_current_span("POST /v1/agents/{name}/run"):
        events = await events_of(runner, "a", "hi")
    assert recorded.tree() == "POST /v1/agents/{name}/run\n  invoke_agent a\n    chat gpt-6-luna"
    assert recorded.trace_ids == {events[0].trace_id} == {events[-1].result.trace_id}


async def test_a_slow_consumer_slows_the_run_down() -> None:
    produced = 0

    async def endless(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        nonlocal produced
        while True:
            produced += 1
            yield "x"

    runner = runner_of(Agent(FunctionModel(stream_function=endless), name="a"))
    stream = runner.stream(runner.weaver.find("a"), "go")
    await anext(stream)
    for _ in range(200):
        await asyncio.sleep(0)
    assert produced < 50
    await stream.aclose()


# Spans


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

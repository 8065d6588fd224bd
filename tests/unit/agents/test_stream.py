"""A run as a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from tests.fixtures.recorded_spans import Recorded
from tests.unit.agents.scripted import (
    PATIENCE,
    call,
    events_of,
    runner_of,
    scripted,
    with_tools,
)
from weaver_ai.agents import (
    RunFinished,
    RunStarted,
    TextDelta,
    ToolCall,
    ToolCalled,
    ToolReturned,
)
from weaver_ai.errors import RunFailed

pytest_plugins = ["tests.fixtures.providers", "tests.fixtures.recorded"]


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

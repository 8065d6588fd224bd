"""Agents behind the task engine: one trace, and a record that says what was used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from tests.fixtures.recorded_spans import Recorded
from weaver_ai.agents import Runner, Weaver, load_target, task_handler
from weaver_ai.settings import load_settings
from weaver_ai.tasks import EmbeddedEngine, TaskError, TaskRequest

pytest_plugins = ["tests.fixtures.recorded"]


def runner_of(weaver: Weaver) -> Runner:
    return Runner(weaver, load_settings(env_file=None))


@pytest.fixture
async def engine() -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(task_handler(runner_of(load_target())))
    await engine.start()
    yield engine
    await engine.drain(0)


async def test_a_request_is_one_trace_through_a_task(engine: EmbeddedEngine, recorded: Recorded) -> None:
    with recorded.tracer.start_as_current_span("POST /v1/tasks"):
        task = await engine.submit(TaskRequest(capability="support", input="refund order 7"))
    done = await engine.result(task.id, timeout_seconds=10)
    assert recorded.tree() == (
        "POST /v1/tasks\n"
        "  submit support\n"
        "    task support\n"
        "      workflow support\n"
        "        invoke_agent classifier\n"
        "          chat offline\n"
        "        invoke_agent billing\n"
        "          chat offline\n"
        "          execute_tool refund\n"
        "          chat offline"
    )
    assert recorded.trace_ids == {done.trace_id}
    result: Any = done.result
    assert (done.state, result["text"], result["trace_id"], result["offline"]) == (
        "succeeded",
        "[offline model] Order 7 (espresso machine) is refunded: 249.00 EUR.",
        done.trace_id,
        True,
    )
    assert (done.usage, done.cost) == (result["usage"], None)


async def test_a_task_tells_the_run_s_events(engine: EmbeddedEngine) -> None:
    task = await engine.submit(TaskRequest(capability="billing", input="refund order 7"))
    await engine.result(task.id, timeout_seconds=10)
    told = [(event.type, event.data) async for event in engine.events(task.id) if event.type != "text.delta"]
    assert [kind for kind, _ in told] == [
        "task.queued", "task.started", "run.started", "tool.call", "tool.result", "task.succeeded",
    ]  # fmt: skip
    assert told[3][1] == {"id": "offline_1_refund", "name": "refund", "arguments": {"order": 7}, "step": None}


@pytest.mark.parametrize(
    ("capability", "value", "error"),
    [
        (
            "bilingg",
            "x",
            TaskError(
                code="capability-not-found",
                message="nobody has the capability 'bilingg'",
                hint="did you mean 'billing'?",
            ),
        ),
        ("billing", "", TaskError(code="invalid-input", message="the input of the agent 'billing' is empty")),
    ],
)
async def test_a_task_that_cannot_run_says_why(
    engine: EmbeddedEngine, capability: str, value: str, error: TaskError
) -> None:
    task = await engine.submit(TaskRequest(capability=capability, input=value))
    done = await engine.result(task.id, timeout_seconds=10)
    assert (done.state, done.error) == ("failed", error)
    assert done.usage == {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "requests": 0,
        "tool_calls": 0,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
    }


async def test_a_cancelled_task_cancels_its_model_call_and_says_what_it_used(recorded: Recorded) -> None:
    entered, left = asyncio.Event(), asyncio.Event()

    async def model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        if len(messages) == 1:
            yield {0: DeltaToolCall("note", "{}", tool_call_id="n")}
            return
        entered.set()
        try:
            await asyncio.sleep(10)
        finally:
            left.set()
        yield "never"

    weaver = Weaver("test")
    agent = weaver.agent(Agent(FunctionModel(stream_function=model, model_name="m"), name="a"))

    @agent.tool_plain
    def note() -> str:
        """Keep it."""
        return "kept"

    engine = EmbeddedEngine(task_handler(runner_of(weaver)))
    await engine.start()
    task = await engine.submit(TaskRequest(capability="a", input="go"))
    await entered.wait()
    done = await engine.cancel(task.id)
    await engine.drain(0)
    assert left.is_set()
    assert (done.state, done.error) == ("cancelled", TaskError(code="run-cancelled", message="the task was cancelled"))
    assert done.usage is not None
    assert (done.usage["requests"], done.usage["tool_calls"]) == (1, 1)
    assert recorded.tree() == (
        "submit a\n"
        "  task a !cancelled\n"
        "    invoke_agent a !cancelled\n"
        "      chat m\n"
        "      execute_tool note\n"
        "      chat m !cancelled"
    )

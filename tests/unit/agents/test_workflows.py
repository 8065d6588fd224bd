from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
from genai_prices import Usage as PriceUsage
from genai_prices import calc_price
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from tests.fixtures.recorded_spans import Recorded
from weaver_ai.agents import (
    Ledger,
    Run,
    RunFinished,
    Runner,
    RunOptions,
    RunResult,
    RunStarted,
    Step,
    StepFinished,
    StepStarted,
    ToolCall,
    Usage,
    Weaver,
)
from weaver_ai.errors import InvalidInput, ProviderUnavailable, RunFailed, RunTimeout, WeaverError
from weaver_ai.settings import load_settings
from weaver_ai.telemetry.logs import log_context

pytest_plugins = ["tests.fixtures.recorded"]

PATIENCE = 10.0
ONE_REQUEST = calc_price(PriceUsage(input_tokens=100, output_tokens=10), "gpt-6-luna").total_price


class Kind(BaseModel):
    team: Literal["billing", "technical"]


def said(messages: list[ModelMessage]) -> str:
    return " ".join(str(part.content) for part in messages[0].parts if isinstance(part, UserPromptPart))


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """A model that files what it is given under 'billing', fails when asked to, and else says who was asked."""
    text = said(messages)
    if "fail" in text:
        raise ModelHTTPError(503, "gpt-6-luna", body="a secret")
    usage = RequestUsage(input_tokens=100, output_tokens=10)
    if info.output_tools:
        return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, {"team": "billing"})], usage=usage)
    if info.function_tools and len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart("note", {"text": text}, tool_call_id="n1")], usage=usage)
    return ModelResponse(parts=[TextPart(f"{info.instructions}: {text}")], usage=usage)


MODEL = FunctionModel(answer, model_name="gpt-6-luna")


def desk() -> Weaver:
    weaver = Weaver("desk")
    weaver.agent(Agent(MODEL, name="classifier", output_type=Kind), capability="classify")
    weaver.agent(Agent(MODEL, name="technical", instructions="T"))
    billing = weaver.agent(Agent(MODEL, name="billing", instructions="B"))

    @billing.tool_plain
    def note(text: str) -> str:
        """Keep it."""
        return f"kept {text}"

    return weaver


Function = Callable[[Run, Any], Awaitable[Any]]


def runner_with(function: Function, weaver: Weaver | None = None) -> Runner:
    weaver = weaver or desk()
    weaver.workflow("flow")(function)
    return Runner(weaver, load_settings(env_file=None))


async def run(runner: Runner, value: object = "hi", options: RunOptions | None = None, **rest: Any) -> RunResult:
    async with asyncio.timeout(PATIENCE):
        return await runner.run(runner.weaver.find("flow"), value, options, **rest)


async def wait_to_be_cancelled(entered: asyncio.Event, cancelled: asyncio.Event) -> ModelResponse:
    entered.set()
    try:
        await asyncio.sleep(PATIENCE)
    except asyncio.CancelledError:
        cancelled.set()
        raise
    raise AssertionError("nobody cancelled it")


async def routed(run: Run, text: str) -> str:
    kind = await run("classify", text)
    answer = await run(kind.output.team, text)
    return answer.text


async def test_steps_in_sequence_routed_by_a_result(recorded: Recorded) -> None:
    result = await run(runner_with(routed))
    assert result == RunResult(
        run_id=result.run_id,
        name="flow",
        kind="workflow",
        output="B: hi",
        text="B: hi",
        usage=Usage(input_tokens=300, output_tokens=30, requests=3, tool_calls=1),
        cost=3 * ONE_REQUEST,
        model="gpt-6-luna",
        provider=result.provider,
        trace_id=result.trace_id,
        tool_calls=(ToolCall(id="n1", name="note", arguments={"text": "hi"}, result="kept hi"),),
    )
    assert recorded.tree() == (
        "workflow flow\n"
        "  invoke_agent classifier\n"
        "    chat gpt-6-luna\n"
        "  invoke_agent billing\n"
        "    chat gpt-6-luna\n"
        "    execute_tool note\n"
        "    chat gpt-6-luna"
    )
    assert recorded.trace_ids == {result.trace_id}
    assert recorded.attributes("workflow flow") == {
        "weaver.workflow.name": "flow",
        "weaver.capability": "flow",
        "weaver.run.id": result.run_id,
        "weaver.model.offline": False,
        "weaver.run.cost": float(3 * ONE_REQUEST),
    }


async def test_a_step_s_output_is_the_agent_s_own_object() -> None:
    steps: list[Step[Any]] = []

    async def flow(run: Run, text: str) -> None:
        steps.append(await run("classify", text))

    result = await run(runner_with(flow))
    assert steps == [
        Step(
            name="classifier",
            capability="classify",
            output=Kind(team="billing"),
            text='{"team":"billing"}',
            usage=Usage(input_tokens=100, output_tokens=10, requests=1),
            cost=ONE_REQUEST,
            model="gpt-6-luna",
        )
    ]
    assert (result.output, result.text) == (None, "")


async def test_an_agent_is_called_by_name_or_as_itself() -> None:
    weaver = desk()
    technical = weaver.agents["technical"].agent

    async def flow(run: Run, text: str) -> list[str]:
        return [(await run(technical, text)).text, (await run("technical", text)).text]

    assert (await run(runner_with(flow, weaver))).output == ["T: hi", "T: hi"]


async def test_what_a_step_gave_can_be_given_on() -> None:
    async def flow(run: Run, text: str) -> str:
        kind = await run("classify", text)
        return (await run("technical", kind.output)).text

    assert (await run(runner_with(flow))).text == 'T: {"team":"billing"}'


async def test_logs_of_a_step_carry_the_run_and_the_workflow() -> None:
    seen: list[dict[str, object]] = []

    async def flow(run: Run, text: str) -> str:
        seen.append(dict(log_context()))
        return run.id

    result = await run(runner_with(flow))
    assert result.output == result.run_id
    assert seen == [{"weaver.run.id": result.run_id, "weaver.workflow.name": "flow"}]


# At once


async def test_steps_at_once_come_back_in_order(recorded: Recorded) -> None:
    async def flow(run: Run, text: str) -> list[str]:
        return [step.text for step in await run.parallel([("technical", f"{text} {n}") for n in range(5)])]

    result = await run(runner_with(flow))
    assert result.output == [f"T: hi {n}" for n in range(5)]
    assert result.usage == Usage(input_tokens=500, output_tokens=50, requests=5)
    assert recorded.tree() == "workflow flow" + "\n  invoke_agent technical\n    chat gpt-6-luna" * 5


async def test_steps_at_once_really_run_at_once() -> None:
    together = asyncio.Barrier(3)

    async def meet(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await together.wait()
        return ModelResponse(parts=[TextPart("met")])

    weaver = Weaver("desk")
    weaver.agent(Agent(FunctionModel(meet), name="a"))

    async def flow(run: Run, text: str) -> int:
        return len(await run.parallel([("a", text)] * 3))

    assert (await run(runner_with(flow, weaver))).output == 3


async def test_one_that_fails_cancels_the_others_and_is_the_only_error(recorded: Recorded) -> None:
    waiting, cancelled = asyncio.Event(), asyncio.Event()

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if said(messages) == "fail":
            await waiting.wait()
            raise ModelHTTPError(503, "m", body="a secret")
        return await wait_to_be_cancelled(waiting, cancelled)

    weaver = Weaver("desk")
    weaver.agent(Agent(FunctionModel(model, model_name="m"), name="a"))

    async def flow(run: Run, text: str) -> None:
        await run.parallel([("a", "wait"), ("a", "fail")])

    with pytest.raises(ProviderUnavailable) as failed:
        await run(runner_with(flow, weaver))
    assert failed.value.message == "function (m) is unavailable: status 503"
    assert cancelled.is_set()
    assert recorded.tree() == (
        "workflow flow !provider-unavailable\n"
        "  invoke_agent a !cancelled\n    chat m !cancelled\n"
        "  invoke_agent a !provider-unavailable\n    chat m !provider-unavailable"
    )


async def test_nothing_at_once_is_nothing() -> None:
    async def flow(run: Run, text: str) -> int:
        return len(await run.parallel([]))

    assert (await run(runner_with(flow))).output == 0


# When a step fails


async def test_a_workflow_may_go_on_after_a_failed_step_and_it_still_counts() -> None:
    weaver = desk()
    calls = 0

    def flaky(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        nonlocal calls
        calls += 1
        if len(messages) > 1:
            raise ModelHTTPError(503, "gpt-6-luna")
        usage = RequestUsage(input_tokens=100, output_tokens=10)
        return ModelResponse(parts=[ToolCallPart("note", {}, tool_call_id="x")], usage=usage)

    agent = weaver.agent(Agent(FunctionModel(flaky, model_name="gpt-6-luna"), name="flaky"))

    @agent.tool_plain
    def note() -> str:
        """Keep it."""
        return "kept"

    async def flow(run: Run, text: str) -> str:
        try:
            await run("flaky", text)
        except ProviderUnavailable as error:
            return f"{error.message}; {(await run('technical', text)).text}"
        return "no failure"

    result = await run(runner_with(flow, weaver))
    assert result.text == "function (gpt-6-luna) is unavailable: status 503; T: hi"
    assert result.usage == Usage(input_tokens=200, output_tokens=20, requests=2, tool_calls=1)
    assert result.cost == 2 * ONE_REQUEST


async def test_what_a_failed_workflow_used_is_in_its_ledger() -> None:
    async def flow(run: Run, text: str) -> None:
        await run("technical", text)
        await run("technical", "fail")

    ledger = Ledger()
    with pytest.raises(ProviderUnavailable):
        await run(runner_with(flow), ledger=ledger)
    assert (ledger.usage, ledger.cost) == (Usage(input_tokens=100, output_tokens=10, requests=1), ONE_REQUEST)


async def test_a_price_that_is_unknown_makes_the_sum_unknown() -> None:
    weaver = desk()
    weaver.agent(Agent(FunctionModel(answer, model_name="our-own"), name="own", instructions="O"))

    async def flow(run: Run, text: str) -> None:
        await run("technical", text)
        await run("own", text)

    result = await run(runner_with(flow, weaver))
    assert (result.cost, result.model) == (None, "gpt-6-luna, our-own")


async def fails_itself(run: Run, text: str) -> None:
    raise LookupError("the password is hunter2")


async def asks_for_nobody(run: Run, text: str) -> None:
    await run("bilingg", text)


async def asks_by_name(run: Run, text: str) -> None:
    await run("classifier", text)


async def asks_a_stranger(run: Run, text: str) -> None:
    await run(Agent(name="stranger"), text)


async def gives_nothing(run: Run, text: str) -> None:
    await run("technical", "")


async def calls_itself(run: Run, text: str) -> None:
    await run("flow", text)


STUMBLES: dict[str, tuple[Function, type[WeaverError], str, str | None]] = {
    "its own bug": (
        fails_itself,
        RunFailed,
        "the workflow 'flow' failed",
        "the cause is in the log and on the trace, under this trace id",
    ),
    "an unknown capability": (
        asks_for_nobody,
        RunFailed,
        "the workflow 'flow' failed: nobody has the capability 'bilingg'",
        "did you mean 'billing'?",
    ),
    "a name for a capability": (
        asks_by_name,
        RunFailed,
        "the workflow 'flow' failed: nobody has the capability 'classifier'",
        "'classifier' is a name; its capability is 'classify'",
    ),
    "a stranger": (
        asks_a_stranger,
        RunFailed,
        "the workflow 'flow' failed: the agent 'stranger' isn't registered with 'desk'",
        "register it with weaver.agent(...)",
    ),
    "an empty input": (
        gives_nothing,
        InvalidInput,
        "the input of the agent 'technical' is empty",
        None,
    ),
    "itself": (calls_itself, RunFailed, "the workflow 'flow' calls itself more than 16 deep", None),
}


@pytest.mark.parametrize(("flow", "kind", "message", "hint"), STUMBLES.values(), ids=STUMBLES.keys())
async def test_a_workflow_that_stumbles_says_where(
    flow: Function, kind: type[WeaverError], message: str, hint: str | None
) -> None:
    with pytest.raises(WeaverError) as failed:
        await run(runner_with(flow))
    assert (type(failed.value), failed.value.message, failed.value.hint) == (kind, message, hint)


# Workflows in workflows


async def test_a_workflow_is_a_step_too(recorded: Recorded) -> None:
    weaver = desk()
    weaver.workflow("inner")(routed)

    async def flow(run: Run, text: str) -> str:
        inner = await run("inner", text)
        return f"{inner.output} and {(await run('technical', text)).text}"

    result = await run(runner_with(flow, weaver))
    assert (result.output, result.usage.requests, result.cost) == ("B: hi and T: hi", 4, 4 * ONE_REQUEST)
    assert recorded.tree() == (
        "workflow flow\n"
        "  workflow inner\n"
        "    invoke_agent classifier\n      chat gpt-6-luna\n"
        "    invoke_agent billing\n      chat gpt-6-luna\n      execute_tool note\n      chat gpt-6-luna\n"
        "  invoke_agent technical\n    chat gpt-6-luna"
    )


# Time and cancellation


def waiting_desk() -> tuple[Weaver, asyncio.Event, asyncio.Event]:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return await wait_to_be_cancelled(entered, cancelled)

    weaver = Weaver("desk")
    weaver.agent(Agent(FunctionModel(wait, model_name="m"), name="a"))
    return weaver, entered, cancelled


async def one_step(run: Run, text: str) -> str:
    return (await run("a", text)).text


async def test_a_workflow_may_take_only_so_long(recorded: Recorded) -> None:
    weaver, _, cancelled = waiting_desk()
    with pytest.raises(RunTimeout, match=r"^the workflow 'flow' took longer than 0\.5 seconds$"):
        await run(runner_with(one_step, weaver), options=RunOptions(timeout_seconds=0.5))
    assert cancelled.is_set()
    assert recorded.tree() == ("workflow flow !run-timeout\n  invoke_agent a !run-timeout\n    chat m !run-timeout")


async def test_a_cancelled_workflow_cancels_its_step(recorded: Recorded) -> None:
    weaver, entered, cancelled = waiting_desk()
    task = asyncio.create_task(run(runner_with(one_step, weaver)))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()
    assert recorded.tree() == "workflow flow !cancelled\n  invoke_agent a !cancelled\n    chat m !cancelled"


# Input, options, events


async def test_a_workflow_s_input_is_checked() -> None:
    async def flow(run: Run, ticket: Kind) -> str:
        return ticket.team

    runner = runner_with(flow)
    assert (await run(runner, {"team": "technical"})).output == "technical"
    with pytest.raises(InvalidInput) as wrong:
        await run(runner, {"team": "sales"})
    assert wrong.value.message == (
        "the input doesn't fit the workflow 'flow': team: Input should be 'billing' or 'technical'"
    )


async def test_a_workflow_takes_no_history() -> None:
    with pytest.raises(InvalidInput, match=r"^the workflow 'flow' takes an input, no history, tools or settings$"):
        await run(runner_with(routed), options=RunOptions(instructions="Be brief."))


async def test_a_streamed_workflow_tells_its_steps() -> None:
    async def flow(run: Run, text: str) -> Kind:
        kind = await run("classify", text)
        await run("inner", text)
        return kind.output

    async def inner(run: Run, text: str) -> None:
        await run("classify", text)

    weaver = desk()
    weaver.workflow("inner")(inner)
    runner = runner_with(flow, weaver)
    model = FunctionModel(stream_function=_stream_kind, model_name="gpt-6-luna")
    with weaver.agents["classifier"].agent.override(model=model):
        async with asyncio.timeout(PATIENCE):
            events = [event async for event in runner.stream(weaver.find("flow"), "hi")]
    last = events[-1]
    assert isinstance(last, RunFinished)
    usage = next(event.usage for event in events if isinstance(event, StepFinished))
    output = {"team": "billing"}
    assert events == [
        RunStarted(run_id=last.result.run_id, name="flow", kind="workflow"),
        StepStarted(step="1", name="classifier", capability="classify"),
        StepFinished(step="1", name="classifier", capability="classify", output=output, usage=usage),
        StepStarted(step="2", name="inner", capability="inner"),
        StepStarted(step="2.1", name="classifier", capability="classify"),
        StepFinished(step="2.1", name="classifier", capability="classify", output=output, usage=usage),
        StepFinished(step="2", name="inner", capability="inner", output=None, usage=usage),
        last,
    ]
    assert (last.result.output, last.result.usage) == (output, usage + usage)


async def _stream_kind(messages: list[ModelMessage], info: AgentInfo) -> Any:
    from pydantic_ai.models.function import DeltaToolCall

    yield {0: DeltaToolCall(info.output_tools[0].name, '{"team": "billing"}', tool_call_id="t")}

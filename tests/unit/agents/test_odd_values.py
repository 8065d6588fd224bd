"""Tools, models and workflows that give what JSON or UTF-8 can't hold: a run goes on, or fails once and says why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import JsonValue
from pydantic_ai import Agent, ToolReturn
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.usage import RequestUsage
from pydantic_core import from_json, to_json

from tests.unit.agents.scripted import call, events_of, run, runner_of, scripted
from weaver_ai.agents import OfflineRule, OfflineRules, Run, Runner, RunResult, Weaver, task_handler
from weaver_ai.errors import InvalidInput, RunFailed
from weaver_ai.settings import load_settings
from weaver_ai.tasks import EmbeddedEngine, TaskRecord, TaskRequest


def ring() -> list[object]:
    made: list[object] = []
    made.append(made)
    return made


def nested(levels: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(levels):
        value = [value]
    return value


class Plain:
    def __str__(self) -> str:
        return "a plain object"


ODD: list[tuple[Callable[[], object], JsonValue]] = [
    (lambda: "half of \ud83d", "half of \ufffd"),
    (lambda: {"name": "\ude00"}, {"name": "\ufffd"}),
    (lambda: b"\xff\xfe", "__4="),
    (ring, "<list: it contains itself>"),
    (lambda: nested(250), "<list: it is nested more than 190 levels deep>"),
    (lambda: float("nan"), None),
    (Plain, "a plain object"),
    (lambda: ToolReturn(return_value="half of \ud83d", metadata={"for": "us"}), "half of \ufffd"),
]


def fetching(give: Callable[[], object], model: Any) -> Agent[Any, Any]:
    agent = Agent(model, name="a")

    @agent.tool_plain
    def fetch() -> Any:
        """Fetches it."""
        return give()

    return agent


def readable(result: RunResult) -> Any:
    return from_json(to_json(result.to_json()))


@pytest.mark.parametrize(("give", "expected"), ODD)
async def test_a_run_survives_what_its_tool_gives(give: Callable[[], object], expected: JsonValue) -> None:
    result = await run(runner_of(fetching(give, scripted(call("fetch"), "done"))), "a", "go")
    assert (result.text, result.tool_calls[0].failed, result.tool_calls[0].result) == ("done", False, expected)
    assert readable(result)["tool_calls"][0]["result"] == expected


@pytest.mark.parametrize(("give", "expected"), ODD)
async def test_a_streamed_run_survives_what_its_tool_gives(give: Callable[[], object], expected: JsonValue) -> None:
    events = await events_of(runner_of(fetching(give, scripted(call("fetch"), "done"))), "a", "go")
    told = [from_json(to_json(event.to_json())) for event in events if event.type == "tool.result"]
    assert [event["failed"] for event in told] == [False]
    assert readable(events[-1].result)["tool_calls"][0]["result"] == expected


@pytest.mark.parametrize(("give", "expected"), ODD)
async def test_the_offline_model_survives_what_a_tool_gives(give: Callable[[], object], expected: JsonValue) -> None:
    weaver = Weaver("test")
    rules = OfflineRules([OfflineRule(when="", call="fetch", reply="it is {result}")])
    weaver.agent(fetching(give, None), offline=rules)
    result = await run(Runner(weaver, load_settings(env_file=None, openai_api_key=None)), "a", "go")
    assert result.tool_calls[0].result == expected


@pytest.mark.parametrize("give", [give for give, _ in ODD])
async def test_what_a_tool_gives_can_be_sent_to_any_model(give: Callable[[], object]) -> None:
    seen: list[str] = []

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        returns = [
            part
            for message in messages
            if isinstance(message, ModelRequest)
            for part in message.parts
            if isinstance(part, ToolReturnPart)
        ]
        if not returns:
            return ModelResponse(parts=[ToolCallPart("fetch", {}, tool_call_id="c1")])
        seen.append(returns[0].model_response_str())
        return ModelResponse(parts=[TextPart("done")])

    await run(runner_of(fetching(give, FunctionModel(answer))), "a", "go")
    assert len(seen[0].encode()) > 0


async def test_half_a_surrogate_pair_of_a_model_is_replaced_wherever_it_goes() -> None:
    histories: list[list[ModelMessage]] = []

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        histories.append(list(messages))
        if len(messages) == 1:
            return ModelResponse(
                parts=[TextPart("I look \ud83d"), ToolCallPart("fetch", {"what": "\ud83d"}, tool_call_id="c1")],
                usage=RequestUsage(input_tokens=1),
            )
        return ModelResponse(parts=[TextPart("half of \ud83d")])

    agent = Agent(FunctionModel(answer), name="a")

    @agent.tool_plain
    def fetch(what: str) -> str:
        """Fetches it."""
        return what

    result = await run(runner_of(agent), "a", "go")
    assert result.text == result.output == "half of \ufffd"
    assert result.tool_calls[0].arguments == {"what": "\ufffd"}
    assert result.tool_calls[0].result == "\ufffd"
    assert readable(result)["text"] == "half of \ufffd"
    [said, called] = [*histories[1][1].parts]
    assert isinstance(said, TextPart)
    assert isinstance(called, ToolCallPart)
    assert (said.content, called.args) == ("I look \ufffd", {"what": "\ufffd"})


async def test_half_a_surrogate_pair_of_a_streaming_model_is_replaced() -> None:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        if len(messages) == 1:
            yield "so \ud83d"
            yield {1: DeltaToolCall("fetch", "{}", tool_call_id="c1")}
        else:
            yield "half of "
            yield "\ud83d"

    events = await events_of(runner_of(fetching(lambda: 1, FunctionModel(stream_function=stream))), "a", "go")
    assert [event.text for event in events if event.type == "text.delta"] == ["so \ufffd", "half of ", "\ufffd"]
    assert events[-1].result.text == "half of \ufffd"
    assert [from_json(to_json(event.to_json())) for event in events]


@pytest.mark.parametrize(
    ("output", "reason"),
    [(ring, "it contains itself"), (lambda: nested(195), "it is nested more than 190 levels deep")],
)
async def test_an_output_that_is_no_json_fails_the_run_and_says_why(output: Callable[[], object], reason: str) -> None:
    weaver = Weaver("test")

    @weaver.workflow("odd")
    async def odd(run: Run, input: str) -> object:  # noqa: A002 - the word of the API
        return output()

    runner = Runner(weaver, load_settings(env_file=None))
    message = f"the output of the workflow 'odd' can't be written as JSON: {reason}"
    with pytest.raises(RunFailed) as failed:
        await run(runner, "odd", "x")
    assert (type(failed.value), failed.value.message) == (RunFailed, message)
    done = await as_task(runner, "odd", "x")
    assert done.error is not None
    assert (done.state, done.attempts, done.error.code, done.error.message) == ("failed", 1, "run-failed", message)


async def test_an_input_that_is_echoed_can_be_read_again_or_fails() -> None:
    weaver = Weaver("test")

    @weaver.workflow("echo")
    async def echo(run: Run, input: Any) -> Any:  # noqa: A002 - the word of the API
        return input

    runner = Runner(weaver, load_settings(env_file=None))
    kept = await as_task(runner, "echo", nested(190))
    assert TaskRecord.from_json(kept.to_json()) == kept
    failed = await as_task(runner, "echo", nested(197))
    assert (failed.state, failed.error and failed.error.code) == ("failed", "run-failed")
    assert TaskRecord.from_json(failed.to_json()) == failed


async def test_a_step_whose_output_is_no_json_is_a_step_all_the_same() -> None:
    weaver = Weaver("test")

    @weaver.workflow("inner")
    async def inner(run: Run, input: str) -> object:  # noqa: A002 - the word of the API
        return ring()

    @weaver.workflow("outer")
    async def outer(run: Run, input: str) -> int:  # noqa: A002 - the word of the API
        step = await run("inner", input)
        return len(step.output)

    events = await events_of(Runner(weaver, load_settings(env_file=None)), "outer", "x")
    assert [event.output for event in events if event.type == "step.finished"] == ["<list: it contains itself>"]
    assert events[-1].result.output == 1


async def test_an_input_that_is_no_json_is_the_callers_mistake() -> None:
    runner = runner_of(Agent(scripted("hello"), name="a"))
    with pytest.raises(InvalidInput, match=r"^the input of the agent 'a' can't be written as JSON$"):
        await run(runner, "a", {"it": Plain()})


async def as_task(runner: Runner, capability: str, value: JsonValue) -> TaskRecord:
    engine = EmbeddedEngine(task_handler(runner))
    await engine.start()
    task = await engine.submit(TaskRequest(capability=capability, input=value))
    done = await engine.result(task.id, timeout_seconds=30)
    await engine.drain(0)
    return done


async def test_the_offline_model_calls_a_tool_once_that_says_more_in_a_message() -> None:
    weaver = Weaver("test")
    rules = OfflineRules([OfflineRule(when="", call="fetch", reply="it is {result}")])
    weaver.agent(fetching(lambda: ToolReturn(return_value="this", content="and that"), None), offline=rules)
    result = await run(Runner(weaver, load_settings(env_file=None, openai_api_key=None)), "a", "go")
    assert (result.text, len(result.tool_calls)) == ("[offline model] it is this", 1)

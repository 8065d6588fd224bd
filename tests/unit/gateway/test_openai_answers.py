"""A run's result as OpenAI's answer, whole and in pieces."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, PromptedOutput, TextOutput
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from weaver_ai.agents import (
    RunEvent,
    Runner,
    RunOptions,
    RunResult,
    Usage,
    Weaver,
)
from weaver_ai.agents.options import gives_text
from weaver_ai.gateway.openai_answers import chunks_of, completion_of
from weaver_ai.gateway.openai_schemas import ChatRequest
from weaver_ai.settings import load_settings

USED = Usage(input_tokens=120, output_tokens=30, requests=2, tool_calls=1, cached_tokens=100, reasoning_tokens=10)


def result_of(text: str) -> RunResult:
    return RunResult(run_id="r1", name="a", kind="agent", output=text, text=text, usage=USED, cost=None)


def test_cached_and_reasoning_tokens_are_told_as_openai_tells_them() -> None:
    answer = completion_of(result_of("hello"), "a", created=1)
    assert answer.usage.model_dump() == {
        "prompt_tokens": 120,
        "completion_tokens": 30,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 10},
    }


class Ticket(BaseModel):
    team: str


Said = str | dict[str, Any]


def length(text: str) -> int:
    return len(text)


def saying(*answers: list[Said]) -> FunctionModel:
    """A model that gives these answers in turn: a text, and a call's arguments, of the output or of the first tool."""
    queue = list(answers)

    def tool(info: AgentInfo) -> str:
        return (info.function_tools or info.output_tools)[0].name

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        parts = [TextPart(said) if isinstance(said, str) else ToolCallPart(tool(info), said) for said in queue.pop(0)]
        return ModelResponse(parts=parts)

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        for index, said in enumerate(queue.pop(0)):
            yield said if isinstance(said, str) else {index: DeltaToolCall(tool(info), json.dumps(said))}

    return FunctionModel(answer, stream_function=stream)


def looking_up(agent: Agent[Any, Any]) -> Agent[Any, Any]:
    @agent.tool_plain
    def look_up() -> str:
        """Looks it up."""
        return "found"

    return agent


def choosy(agent: Agent[Any, Any]) -> Agent[Any, Any]:
    @agent.output_validator
    def checked(output: str) -> str:
        if output == "No.":
            raise ModelRetry("be nicer")
        return output.upper() if output == "shout" else output

    return agent


AGENTS: dict[str, tuple[Any, str]] = {
    "words before the output": (
        lambda: Agent(saying(["Let me think. ", {"team": "billing"}]), name="a", output_type=Ticket),
        '{"team":"billing"}',
    ),
    "an output that failed validation": (
        lambda: Agent(saying(["Hm. ", {"crew": 1}], ["So. ", {"team": "billing"}]), name="a", output_type=Ticket),
        '{"team":"billing"}',
    ),
    "JSON as text": (
        lambda: Agent(
            saying(["no JSON"], ['{ "team": "billing" }']), name="a", output_type=PromptedOutput(Ticket)
        ),
        '{"team":"billing"}',
    ),
    "text that a function makes something of": (
        lambda: Agent(saying(["billing"]), name="a", output_type=TextOutput(length)), "7",
    ),
    "text": (lambda: Agent(saying(["Answer."]), name="a"), "Answer."),
}  # fmt: skip


async def both_of(agent: Any, options: RunOptions | None = None) -> tuple[str | None, str]:
    """The answer whole, and what the pieces of a streamed one make."""
    runners = [Runner(weaver, load_settings(env_file=None)) for weaver in (Weaver("test"), Weaver("test"))]
    for runner in runners:
        runner.weaver.agent(agent())
    entry = runners[0].weaver.find_agent("a")
    whole = completion_of(await runners[0].run(entry, "hi", options), "a", created=1)
    events = runners[1].stream(runners[1].weaver.find("a"), "hi", options)
    return whole.choices[0].message.content, await said_in(events, whole=not gives_text(entry, options or RunOptions()))


async def said_in(events: AsyncIterator[RunEvent], *, whole: bool) -> str:
    request = ChatRequest.model_validate(
        {"model": "a", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    )
    text = ""
    async for line in chunks_of(events, request, created=1, whole=whole):
        if b"[DONE]" not in line:
            (choice,) = json.loads(line.removeprefix(b"data: "))["choices"]
            text += choice["delta"].get("content") or ""
    return text


@pytest.mark.parametrize(("agent", "answer"), AGENTS.values(), ids=AGENTS.keys())
async def test_a_streamed_answer_is_the_one_that_comes_whole(agent: Any, answer: str) -> None:
    assert await both_of(agent) == (answer, answer)


async def test_a_streamed_answer_in_a_schema_of_the_caller_s_is_the_one_that_comes_whole() -> None:
    schema = {"type": "object", "properties": {"team": {"type": "string"}}, "title": "T"}
    answers = await both_of(
        lambda: Agent(saying(["Well. ", {"team": "billing"}]), name="a"), RunOptions(output_schema=schema)
    )
    assert answers == ('{"team":"billing"}', '{"team":"billing"}')


async def test_what_a_model_says_before_its_tools_is_a_paragraph_before_the_answer() -> None:
    answers = await both_of(lambda: looking_up(Agent(saying(["I look.", {}], ["Answer."]), name="a")))
    assert answers == ("Answer.", "I look.\n\nAnswer.")


@pytest.mark.parametrize(
    ("said", "whole", "streamed"),
    [
        ([["No."], ["Of course."]], "Of course.", "No.Of course."),
        ([["shout"]], "SHOUT", "shout\n\nSHOUT"),
    ],
    ids=["refused", "changed"],
)
async def test_the_answer_stands_last_where_the_agent_has_a_say_in_it(
    said: list[list[Said]], whole: str, streamed: str
) -> None:
    assert await both_of(lambda: choosy(Agent(saying(*said), name="a"))) == (whole, streamed)

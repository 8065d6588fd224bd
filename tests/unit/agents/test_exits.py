"""A tool, an agent's function or a workflow that exits fails its run; the process goes on."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import Agent

from tests.fixtures.recorded_spans import Recorded
from tests.unit.agents.scripted import call, events_of, runner_of, scripted
from weaver_ai.agents import Run, Runner, Weaver
from weaver_ai.agents.exits import ExitAsked
from weaver_ai.errors import RunFailed
from weaver_ai.settings import load_settings

pytest_plugins = ["tests.fixtures.recorded"]

MESSAGE = "it asked the whole process to exit, with 3: it has to raise an error"


def with_tool(function: Callable[..., Any], *calls: Any) -> Agent[Any, Any]:
    agent = Agent(scripted(*calls), name="a")
    agent.tool_plain(function)
    return agent


def leave() -> str:
    sys.exit(3)


async def leave_async() -> str:
    sys.exit(3)


def leaving_instructions() -> Agent[Any, Any]:
    agent = Agent(scripted("hello"), name="a")
    agent.instructions(leave)
    return agent


def leaving_validator() -> Agent[Any, Any]:
    agent = Agent(scripted("hello"), name="a")
    agent.output_validator(lambda _text: sys.exit(3))
    return agent


AGENTS: dict[str, Callable[[], Agent[Any, Any]]] = {
    "a tool in a thread": lambda: with_tool(leave, call("leave")),
    "an async tool": lambda: with_tool(leave_async, call("leave_async")),
    "tools side by side": lambda: with_tool(leave_async, [*call("leave_async"), *call("leave_async", "c2")]),
    "instructions": leaving_instructions,
    "an output validator": leaving_validator,
}


@pytest.mark.parametrize("make", AGENTS.values(), ids=AGENTS.keys())
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_what_exits_in_an_agent_fails_its_run(
    make: Callable[[], Agent[Any, Any]], stream: bool, recorded: Recorded
) -> None:
    runner = runner_of(make())
    with pytest.raises(RunFailed) as failed:
        await (events_of(runner, "a", "go") if stream else runner.run(runner.weaver.find("a"), "go"))
    assert failed.value.message == "the agent 'a' failed"
    assert (type(failed.value.__cause__), str(failed.value.__cause__)) == (ExitAsked, MESSAGE)
    assert recorded.attributes("invoke_agent a")["error.type"] == "run-failed"


async def test_the_spans_say_what_happened(recorded: Recorded) -> None:
    runner = runner_of(with_tool(leave, call("leave")))
    with pytest.raises(RunFailed):
        await runner.run(runner.weaver.find("a"), "go")
    assert recorded.attributes("invoke_agent a")["error.type"] == "run-failed"
    (told,) = recorded.one("execute_tool leave").events
    assert told.attributes is not None
    assert told.attributes["exception.message"] == MESSAGE


async def test_what_exits_in_a_workflow_fails_it() -> None:
    weaver = Weaver("test")

    @weaver.workflow("leaves")
    async def leaves(run: Run, input: str) -> str:  # noqa: A002 - the word of the API
        ArgumentParser().parse_args(["--unknown"])
        return input

    @weaver.workflow("goes-on")
    async def goes_on(run: Run, input: str) -> str:  # noqa: A002 - the word of the API
        try:
            await run.parallel([("leaves", input)])
        except RunFailed as error:
            return error.message
        return ""

    runner = Runner(weaver, load_settings(env_file=None))
    with pytest.raises(RunFailed, match="the workflow 'leaves' failed"):
        await runner.run(weaver.find("leaves"), "x")
    assert (await runner.run(weaver.find("goes-on"), "x")).text == "the workflow 'leaves' failed"

"""Steps that an earlier attempt finished: made again equal, not run again, and never mixed with others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, JsonValue
from pydantic_ai import Agent, ModelMessage, TextOutput, ToolOutput
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from weaver_ai.agents import Run, Runner, Weaver
from weaver_ai.agents.events import RunFinished
from weaver_ai.agents.replay import Replay
from weaver_ai.agents.result import Ledger, RunResult
from weaver_ai.errors import RunFailed, StepChanged
from weaver_ai.settings import load_settings
from weaver_ai.tasks.steps import StepLog


class Verdict(BaseModel):
    team: Literal["billing", "shipping"]
    urgent: bool = False


def shout(text: str) -> str:
    return text.upper()


class Attempts:
    """Attempts of one task, each in a new process as far as they can tell: only JSON goes from one to the next."""

    def __init__(self, weaver: Weaver) -> None:
        self.runner = Runner(weaver, load_settings(env_file=None))
        self.kept: dict[str, JsonValue] = {}
        self.ledger = Ledger()

    async def __call__(self, workflow: str, value: object) -> RunResult:
        async def keep(step: str, entry: JsonValue) -> None:
            self.kept[step] = entry

        self.ledger = Ledger()
        events = self.runner.stream(
            self.runner.weaver.find_workflow(workflow),
            value,
            ledger=self.ledger,
            replay=Replay(StepLog(self.kept, keep)),
        )
        results = [event.result async for event in events if isinstance(event, RunFinished)]
        return results[0]


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def weaver(calls: list[str]) -> Weaver:
    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        asked = str(getattr(messages[-1].parts[-1], "content", ""))
        calls.append(asked)
        if info.output_tools:
            verdict = '{"team": "shipping", "urgent": true}'
            yield {0: DeltaToolCall(name=info.output_tools[0].name, json_args=verdict, tool_call_id="c1")}
        else:
            yield f"<{asked}>"

    model = FunctionModel(stream_function=answer, model_name="answers")
    weaver = Weaver("replayed")
    weaver.agent(Agent(model, name="plain"))
    weaver.agent(Agent(model, name="judge", output_type=Verdict))
    weaver.agent(Agent(model, name="either", output_type=[Verdict, int]))
    weaver.agent(Agent(model, name="marked", output_type=ToolOutput(Verdict, name="give")))
    weaver.agent(Agent(model, name="shouting", output_type=TextOutput(shout)))
    return weaver


def chain(weaver: Weaver, *steps: tuple[str, Any]) -> None:
    """A workflow of these steps, one after the other."""

    @weaver.workflow("chain")
    async def run_all(run: Run, what: str) -> list[Any]:
        return [(await run(capability, value)).output for capability, value in steps]


async def test_a_finished_step_is_not_run_again_and_counts_all_the_same(weaver: Weaver, calls: list[str]) -> None:
    chain(weaver, ("plain", "one"), ("judge", "two"), ("either", "three"), ("marked", "four"))
    attempt = Attempts(weaver)
    first = await attempt("chain", "x")
    used = attempt.ledger.usage
    again = await attempt("chain", "x")
    assert calls == ["one", "two", "three", "four"]
    assert first.output == again.output == ["<one>", *[{"team": "shipping", "urgent": True}] * 3]
    assert (again.usage, attempt.ledger.usage, again.model) == (first.usage, used, first.model)


async def test_an_output_is_the_agent_s_own_type_again(weaver: Weaver) -> None:
    seen: list[object] = []

    @weaver.workflow("look")
    async def look(run: Run, what: str) -> str:
        seen.append((await run("judge", what)).output)
        return "done"

    attempt = Attempts(weaver)
    await attempt("look", "x")
    await attempt("look", "x")
    assert seen == [Verdict(team="shipping", urgent=True)] * 2


async def test_an_output_that_json_does_not_lead_back_to_is_run_again(weaver: Weaver, calls: list[str]) -> None:
    chain(weaver, ("shouting", "one"))
    attempt = Attempts(weaver)
    await attempt("chain", "x")
    await attempt("chain", "x")
    assert (calls, attempt.kept) == (["one", "one"], {})


async def test_steps_of_inner_workflows_and_parallel_ones_are_kept_each_by_itself(
    weaver: Weaver, calls: list[str]
) -> None:
    @weaver.workflow("inner")
    async def inner(run: Run, what: str) -> list[str]:
        return [step.text for step in await run.parallel([("plain", f"{what}-a"), ("plain", f"{what}-b")])]

    @weaver.workflow("outer")
    async def outer(run: Run, what: str) -> list[Any]:
        return [(await run("plain", what)).text, (await run("inner", what)).output]

    attempt = Attempts(weaver)
    first = await attempt("outer", "x")
    again = await attempt("outer", "x")
    assert len(attempt.kept) == 3
    assert sorted(calls) == ["x", "x-a", "x-b"]
    assert first.output == again.output


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ([("plain", "other")], "a step ('plain') has another input than in an earlier attempt"),
        ([("judge", "one")], "a step of an earlier attempt ('plain') isn't asked for any more"),
        ([], "a step of an earlier attempt ('plain') isn't asked for any more"),
    ],
    ids=["input", "capability", "gone"],
)
async def test_a_step_that_changed_is_an_error(weaver: Weaver, second: list[tuple[str, str]], message: str) -> None:
    steps = [("plain", "one")]

    @weaver.workflow("changing")
    async def changing(run: Run, what: str) -> list[str]:
        return [(await run(capability, value)).text for capability, value in steps]

    attempt = Attempts(weaver)
    await attempt("changing", "x")
    steps[:] = second
    with pytest.raises(StepChanged) as changed:
        await attempt("changing", "x")
    assert changed.value.message == message
    assert "keep clocks, random numbers and outside state inside of steps" in (changed.value.hint or "")
    with pytest.raises(StepChanged):  # what the changed steps came to is kept by now, and makes it no better
        await attempt("changing", "x")


async def test_a_kept_output_that_is_none_of_the_agent_s_any_more_is_made_again(
    weaver: Weaver, calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """As after a deployment between two attempts."""
    chain(weaver, ("judge", "one"))
    attempt = Attempts(weaver)
    await attempt("chain", "x")
    (entry,) = attempt.kept.values()
    assert isinstance(entry, dict)
    assert isinstance(entry["result"], dict)
    entry["result"]["output"] = {"team": "of another version"}
    again = await attempt("chain", "x")
    assert (again.output, calls) == ([{"team": "shipping", "urgent": True}], ["one", "one"])
    said = "a step is run again, for its kept result isn't an output of its agent any more"
    assert [record.getMessage() for record in caplog.records] == [said]


async def test_the_same_asked_for_twice_is_two_steps(weaver: Weaver, calls: list[str]) -> None:
    chain(weaver, ("plain", "one"), ("plain", "one"))
    attempt = Attempts(weaver)
    await attempt("chain", "x")
    await attempt("chain", "x")
    assert (calls, len(attempt.kept)) == (["one", "one"], 2)
    attempt.kept.popitem()
    await attempt("chain", "x")
    assert calls == ["one"] * 3


async def test_a_step_whose_input_has_no_stable_form_is_run_again_and_that_is_logged(
    weaver: Weaver, calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Odd:
        def __str__(self) -> str:
            return f"odd at {id(self)}"

    @weaver.workflow("inner")
    async def inner(run: Run, what: Any) -> str:
        return (await run("plain", "inside")).text

    @weaver.workflow("outer")
    async def outer(run: Run, what: str) -> str:
        return (await run("inner", Odd())).text

    attempt = Attempts(weaver)
    await attempt("outer", "x")
    await attempt("outer", "x")
    assert (calls, attempt.kept) == (["inside", "inside"], {})
    said = "a step isn't kept, for its input has no form that other processes share"
    assert [record.getMessage() for record in caplog.records] == [said, said]


async def test_what_follows_from_a_failure_may_change_with_it(weaver: Weaver, calls: list[str]) -> None:
    """A fallback that was run and isn't needed any more is no change: failures aren't kept."""
    broken = True

    async def shaky(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        if broken:
            raise RuntimeError("broken")
        yield "mended"

    weaver.agent(Agent(FunctionModel(stream_function=shaky), name="shaky"))

    @weaver.workflow("falls-back")
    async def falls_back(run: Run, what: str) -> str:
        await run("plain", "before")
        try:
            return (await run("shaky", what)).text
        except RunFailed:
            return (await run("plain", "instead")).text

    attempt = Attempts(weaver)
    first = await attempt("falls-back", "x")
    broken = False
    again = await attempt("falls-back", "x")
    assert (first.output, again.output, calls) == ("<instead>", "mended", ["before", "instead"])

"""How a run fails: by a bug, by the clock, by a cancellation, by its provider; and what that cost."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelConnectionError
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from tests.fixtures.provider_answers import Answer, Hangs, Malformed, Reset, Status
from tests.fixtures.provider_server import ProviderServer
from tests.fixtures.recorded_spans import Recorded
from tests.unit.agents.scripted import (
    ONE_REQUEST,
    PATIENCE,
    call,
    events_of,
    run,
    runner_of,
    scripted,
    with_tools,
)
from weaver_ai.agents import (
    Ledger,
    Run,
    Runner,
    RunOptions,
    Usage,
    Weaver,
    task_handler,
)
from weaver_ai.errors import ProviderError, ProviderUnreachable, RunFailed, RunTimeout, WeaverError
from weaver_ai.settings import load_settings
from weaver_ai.tasks import EmbeddedEngine, TaskRequest

pytest_plugins = ["tests.fixtures.providers", "tests.fixtures.recorded"]


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
        await run(runner, "a", "go", RunOptions(timeout_seconds=2))
    assert late.value.message == "the agent 'a' took longer than 2 seconds"
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


async def let_out() -> int:
    """Awaits what was cancelled."""
    other = asyncio.create_task(asyncio.sleep(PATIENCE))
    other.cancel()
    await other
    return 1


STRAY = "failed: something that it awaited was cancelled, and not the run"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_cancellation_that_a_tool_lets_out_is_a_failure(recorded: Recorded, stream: bool) -> None:
    agent = Agent(scripted(call("let_out")), name="a")
    agent.tool_plain(let_out)
    with pytest.raises(RunFailed) as failed:
        await (events_of(runner_of(agent), "a", "go") if stream else run(runner_of(agent), "a", "go"))
    assert (type(failed.value), failed.value.message) == (RunFailed, f"the agent 'a' {STRAY}")
    assert isinstance(failed.value.__cause__, asyncio.CancelledError)
    assert recorded.tree() == "invoke_agent a !run-failed\n  chat gpt-6-luna\n  execute_tool let_out !cancelled"


async def test_a_cancellation_that_a_step_lets_out_is_a_failure() -> None:
    weaver = Weaver("test")
    agent = weaver.agent(Agent(scripted(call("let_out"), call("let_out")), name="a"))
    agent.tool_plain(let_out)

    @weaver.workflow("both")
    async def both(run: Run, input: str) -> None:  # noqa: A002 - the word of the API
        await run.parallel([("a", "x"), ("a", "y")])

    @weaver.workflow("own")
    async def own(run: Run, input: str) -> None:  # noqa: A002 - the word of the API
        await let_out()

    runner = Runner(weaver, load_settings(env_file=None))
    with pytest.raises(RunFailed, match=f"^the agent 'a' {STRAY}$"):
        await run(runner, "both", "x")
    with pytest.raises(RunFailed, match=f"^the workflow 'own' {STRAY}$"):
        await run(runner, "own", "x")


async def test_a_task_whose_tool_lets_out_a_cancellation_has_failed() -> None:
    agent = Agent(scripted(call("let_out")), name="a")
    agent.tool_plain(let_out)
    engine = EmbeddedEngine(task_handler(runner_of(agent)))
    await engine.start()
    done = await engine.result((await engine.submit(TaskRequest(capability="a", input="go"))).id, timeout_seconds=30)
    await engine.drain(0)
    assert done.error is not None
    assert (done.state, done.error.code, done.error.message) == ("failed", "run-failed", f"the agent 'a' {STRAY}")
    assert done.usage is not None
    assert done.usage["requests"] == 1


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
    [
        (Status(400), True),
        (Status(429), True),
        (Status(500), True),
        (Reset(), False),
        (Malformed(), False),
        (Hangs(), False),
    ],
    ids=["400", "429", "500", "reset", "malformed", "hangs"],
)
@pytest.mark.parametrize("how", ["whole", "streamed", "task"])
async def test_what_a_failed_call_costs_is_known_only_when_it_was_refused(
    provider_server: ProviderServer, answer: Answer, known: bool, how: str
) -> None:
    provider_server.openai.always(answer)
    runner = runner_of(
        Agent(name="a"),
        openai_api_key=KEY,
        openai_base_url=provider_server.openai.base_url,
        provider_max_retries=0,
        provider_timeout_seconds=2.0,
    )
    if how == "task":
        cost = await cost_as_task(runner, "a")
    else:
        ledger = Ledger()
        with pytest.raises(ProviderError):
            await consumed(runner, ledger) if how == "streamed" else await runner.run(
                runner.weaver.find("a"), "go", ledger=ledger
            )
        cost = ledger.cost
    await runner.aclose()
    assert (cost == 0, cost is None) == (known, not known)


@pytest.mark.parametrize(
    ("answer", "known"),
    [(Status(500), True), (Reset(), False), (Malformed(), False), (Hangs(), False), (Hangs(midway=True), False)],
    ids=["500", "reset", "malformed", "hangs", "hangs midway"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_chain_s_cost_is_known_only_when_those_that_failed_were_refused(
    provider_server: ProviderServer, answer: Answer, known: bool, stream: bool
) -> None:
    provider_server.openai.always(answer)
    provider_server.anthropic.always("hello")
    weaver = Weaver("test")
    weaver.agent(Agent(name="a"), fallback=["anthropic:claude-haiku-5-5"])
    values: dict[str, Any] = {
        "openai_api_key": KEY,
        "anthropic_api_key": KEY,
        "openai_base_url": provider_server.openai.base_url,
        "anthropic_base_url": provider_server.anthropic.base_url,
        "provider_timeout_seconds": 1.0,
    }
    runner = Runner(weaver, load_settings(env_file=None, **values))
    if stream and answer in {Malformed(), Hangs(midway=True)}:  # something has been said: no other model can go on
        with pytest.raises(ProviderError):
            await events_of(runner, "a", "go")
    else:
        result = (await events_of(runner, "a", "go"))[-1].result if stream else await run(runner, "a", "go")
        assert (result.provider, result.text) == ("anthropic", "hello")
        assert (result.cost is not None and result.cost > 0, result.cost is None) == (known, not known)
    await runner.aclose()


async def consumed(runner: Runner, ledger: Ledger) -> None:
    async for _event in runner.stream(runner.weaver.find("a"), "go", ledger=ledger):
        """Only what it used is looked at."""


async def cost_as_task(runner: Runner, capability: str) -> float | None:
    engine = EmbeddedEngine(task_handler(runner))
    await engine.start()
    task = await engine.submit(TaskRequest(capability=capability, input="go"))
    done = await engine.result(task.id, timeout_seconds=30)
    await engine.drain(0)
    assert done.state == "failed"
    return done.cost


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
    assert isinstance(first, ConnectionResetError | anyio.BrokenResourceError), "it lost what caused it"
    assert recorded.tree().splitlines()[:2] == [
        "invoke_agent a !provider-unreachable",
        f"  chat {model.partition(':')[2]} !provider-unreachable",
    ]
    assert [[event.name for event in each.events] for each in recorded.all[:2]] == [["exception"], ["exception"]]

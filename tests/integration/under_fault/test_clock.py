"""A clock is wrong, is put back, or says that time is over: what the gateway answers, and what its trace tells."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx2
import openai
import pytest

from tests.integration.service.problem import assert_problem
from tests.integration.under_fault.conftest import STREAM, Serve
from tests.integration.under_fault.matrix import CLOCK, ClockCase
from weaver_ai.testing import Spans, SpanView, span
from weaver_ai.testing.fakes import Providers, tool_call
from weaver_ai.testing.fakes.redis import TestRedis
from weaver_ai.testing.faults import Faults, frozen, skewed

DAY: Final = 86_400


@dataclass
class Stage:
    """What every scene needs."""

    serve: Serve
    spans: Spans
    providers: Providers
    faults: Faults
    case: ClockCase

    def told(self, response: httpx2.Response) -> None:
        assert self.case.problem is not None
        assert_problem(response, self.case.problem.status, self.case.problem.code)

    async def server(self) -> SpanView:
        return await self.spans.eventually.one(kind="server")


def lasted(each: SpanView) -> timedelta:
    assert each.end is not None
    return timedelta(microseconds=(each.end - each.start) // 1000)


async def wrong(stage: Stage) -> None:
    hours = 1 if stage.case.id == "ahead" else -1
    stage.providers.openai.always("From the first.")
    before = datetime.now(UTC)
    async with stage.serve(run_timeout_seconds=30.0, provider_timeout_seconds=20.0) as gateway:
        with skewed(hours * 3600):
            response = await gateway.run("openai-alone")
            made = await gateway.client.post("/v1/tasks", json={"capability": "echo", "input": "hi"})
            await gateway.client.get(f"{made.headers['location']}/events")  # ends with the task
            task = (await gateway.client.get(made.headers["location"])).json()
            client = openai.AsyncOpenAI(base_url="http://gw/v1", api_key="any", http_client=gateway.client)
            chat = await client.chat.completions.create(
                model="openai-alone", messages=[{"role": "user", "content": "Hi"}]
            )
            assert (await gateway.health())["status"] == "healthy"
        passed = datetime.now(UTC) - before
    assert (response.status_code, response.json()["text"]) == (200, "From the first.")
    assert task["state"] == "succeeded"
    times = [datetime.fromisoformat(task[name]) for name in ("created_at", "started_at", "finished_at")]
    assert times == sorted(times)
    times.append(datetime.fromtimestamp(chat.created + 1, UTC))
    times += [datetime.fromtimestamp(each.start / 1e9, UTC) for each in stage.spans.all()]
    shift = timedelta(hours=hours)
    assert [each for each in times if not before <= each - shift <= before + passed + timedelta(seconds=1)] == []
    assert all(timedelta(0) <= lasted(each) <= passed for each in stage.spans.all())
    stage.spans.none(status="error")


async def put_back(stage: Stage) -> None:
    with ExitStack() as stack:

        def put_back_and_answer(_: object) -> str:
            stack.enter_context(skewed(-3600))
            return "From the first."

        stage.providers.openai.replies(put_back_and_answer)
        async with stage.serve(run_timeout_seconds=30.0) as gateway:
            response = await gateway.run("openai-alone")
            server = await stage.server()
            health = await gateway.health()
    assert (response.status_code, response.json()["text"]) == (200, "From the first.")
    assert health["status"] == "healthy"
    open_then = [server, *server.descendants.all("invoke_agent *"), *server.descendants.all("chat *")]
    assert len(open_then) == 3
    assert all(lasted(each) < timedelta(minutes=-59) for each in open_then)
    stage.spans.none(status="error")


async def run_timeout(stage: Stage) -> None:
    stage.providers.openai.replies(tool_call("wait", seconds=600.0))
    with frozen(sleeps=False) as clock:
        async with stage.serve(run_timeout_seconds=120.0) as gateway:
            for path, value, waiting in (
                ("agents/patient", "Hi", "execute_tool wait"),
                ("workflows/wait", 600.0, "workflow wait"),
            ):
                with stage.spans.scope() as act:
                    asked = asyncio.create_task(gateway.client.post(f"/v1/{path}/run", json={"input": value}))
                    await begun(act, waiting)
                    clock.advance(119)
                    await asyncio.sleep(0)
                    assert not asked.done()
                    clock.advance(1)
                    stage.told(await asked)
                    server = await act.eventually.one(kind="server")
                assert (server.status.code, server.attributes["weaver.problem.type"]) == ("error", "run-timeout")
                failed = server.descendants.some(status="error")
                assert waiting in {each.name for each in failed}
                assert {each.attributes["error.type"] for each in failed} == {"run-timeout"}
                assert lasted(server) == timedelta(seconds=120)


async def begun(act: Spans, name: str) -> None:
    """A span of that name is open, and what is below it waits."""
    for _ in range(10_000):  # not by the clock, which stands
        if act.all(name):
            break
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)


async def provider_timeout(stage: Stage) -> None:
    stage.faults.openai.slow(600)
    with frozen():
        async with stage.serve(provider_timeout_seconds=60.0) as gateway:
            stage.told(await gateway.run("openai-alone"))
            server = await stage.server()
    call = server.descendants.one("chat *")
    assert (lasted(call), call.attributes["error.type"]) == (timedelta(seconds=60), "provider-timeout")


async def back_off(stage: Stage) -> None:
    stage.providers.openai.always("From the first.")
    stage.faults.openai.status(429, retry_after=7).on_call(1)
    with frozen() as clock:
        async with stage.serve(provider_max_retries=1) as gateway:
            response = await gateway.run("openai-alone")
            server = await stage.server()
    assert (response.status_code, response.json()["text"]) == (200, "From the first.")
    assert 7 in clock.slept
    call = server.descendants.one("chat *", status="unset")
    assert lasted(call) == timedelta(seconds=7)
    stage.spans.retries(span(kind="client", within=span("chat *")), attempts=2, backoff=[7], tolerance=0)


async def key_expires(stage: Stage) -> None:
    async def location() -> str:
        made = await gateway.client.post(
            "/v1/tasks", json={"capability": "echo", "input": "hi"}, headers={"idempotency-key": "order-7"}
        )
        assert made.status_code == 202
        found: str = made.headers["location"]
        return found

    with frozen() as clock:
        async with stage.serve(task_ttl_seconds=60.0) as gateway:
            first = await location()
            await gateway.client.get(f"{first}/events")  # ends with the task
            clock.advance(DAY - 1)
            assert await location() == first
            clock.advance(2)
            assert await location() != first
    assert stage.spans.count("submit echo") == 2
    stage.spans.none(status="error")


async def task_expires(stage: Stage) -> None:
    with frozen() as clock:
        async with stage.serve(task_ttl_seconds=3600.0) as gateway:
            made = await gateway.client.post("/v1/tasks", json={"capability": "echo", "input": "hi"})
            where = made.headers["location"]
            await gateway.client.get(f"{where}/events")  # ends with the task
            clock.advance(3599)
            assert (await gateway.client.get(where)).json()["state"] == "succeeded"
            clock.advance(2)
            stage.told(await gateway.client.get(where))
    assert stage.spans.all("GET *", kind="server")[-1].attributes["weaver.problem.type"] == "task-not-found"
    stage.spans.none(status="error")


async def silence(stage: Stage) -> None:
    with frozen(sleeps=False) as clock:
        async with stage.serve() as gateway:
            asked = asyncio.create_task(
                gateway.client.post("/v1/workflows/wait/run", json={"input": 20}, headers=STREAM)
            )
            await begun(stage.spans, "workflow wait")
            clock.advance(15)
            for _ in range(100):
                await asyncio.sleep(0)
            clock.advance(5)
            response = await asked
    assert response.status_code == 200
    started, _, rest = response.text.partition(": ping\n\n")
    assert started.startswith("event: run.started\n")
    assert rest.count("event: run.finished\n") == 1
    stage.spans.none(status="error")


SCENES: Final[dict[str, Callable[[Stage], Awaitable[None]]]] = {
    "ahead": wrong,
    "behind": wrong,
    "put-back": put_back,
    "run-timeout": run_timeout,
    "provider-timeout": provider_timeout,
    "back-off": back_off,
    "key-expires": key_expires,
    "task-expires": task_expires,
    "silence": silence,
}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CLOCK])
async def test_a_clock(serve: Serve, spans: Spans, providers: Providers, faults: Faults, case: ClockCase) -> None:
    await SCENES[case.id](Stage(serve, spans, providers, faults, case))


async def test_what_redis_keeps_expires_by_its_clock(serve: Serve, spans: Spans, fake_redis: TestRedis) -> None:
    """The fake's is the test's; a real server keeps its own."""
    if fake_redis.is_real:
        pytest.skip("a real server's clock can't be stopped")
    key = {"idempotency-key": "order-7"}
    task = {"capability": "echo", "input": "hi"}
    async with serve(redis_url="redis://redis.example:6379/0") as gateway:
        with frozen() as clock:
            first = await gateway.client.post("/v1/tasks", json=task, headers=key)
            clock.advance(DAY - 1)
            same = await gateway.client.post("/v1/tasks", json=task, headers=key)
            clock.advance(2)
            other = await gateway.client.post("/v1/tasks", json=task, headers=key)
    assert [each.status_code for each in (first, same, other)] == [202, 202, 202]
    assert first.headers["location"] == same.headers["location"] != other.headers["location"]
    spans.none(status="error")

"""Redis fails under a gateway that keeps its tasks there: what can't be kept is refused, all else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.integration.service.problem import assert_problem
from tests.integration.under_fault.conftest import Gateway, Serve
from tests.integration.under_fault.matrix import REDIS, RedisCase
from weaver_ai.tasks.redis import engine as redis_engine
from weaver_ai.testing import Spans
from weaver_ai.testing.fakes import Providers
from weaver_ai.testing.fakes.redis import TestRedis
from weaver_ai.testing.fakes.redis.fake import FakeBackend
from weaver_ai.testing.fakes.redis.handle import running
from weaver_ai.testing.fakes.redis.real import RealBackend
from weaver_ai.testing.faults import Faults, every, fault

CASES = pytest.mark.parametrize("case", [pytest.param(case, id=case.fault.id) for case in REDIS])
URL = "redis://redis.example:6379/0"
SLOW = next(case for case in REDIS if case.fault.kind == "slow" and case.task is None)
NOBODY = "no worker takes tasks"  # the gateway's own state here, where no worker runs


pytest_plugins = ["tests.fixtures.redis_server"]


@pytest.fixture(params=["fake", "real"])
def fake_redis(request: pytest.FixtureRequest) -> Iterator[TestRedis]:
    """The plugin's, on either server at once."""
    backend = FakeBackend() if request.param == "fake" else RealBackend(request.getfixturevalue("redis_server"))
    with running(backend) as redis:
        yield redis


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks are tried for a second before they are refused: several times, as in six."""
    monkeypatch.setattr(redis_engine, "_OUTAGE_SECONDS", 1.0)


def test_the_table_has_every_fault_of_the_vocabulary() -> None:
    assert set(every(fault.redis)) <= {case.fault for case in REDIS}


@CASES
async def test_a_task_is_kept_or_refused(
    serve: Serve, spans: Spans, fake_redis: TestRedis, providers: Providers, faults: Faults, case: RedisCase
) -> None:
    async with serve(redis_url=URL) as gateway:
        providers.openai.always("From the first.")
        assert (await submitted(gateway)).status_code == 202
        await quiet(fake_redis)
        with spans.scope() as act, faults.arm(case.fault) as armed:
            response, run, workflow = await asyncio.gather(
                submitted(gateway),
                gateway.run("openai-alone"),
                gateway.client.post("/v1/workflows/echo/run", json={"input": "hi"}),
            )
            assert armed.hits >= 1
            assert (run.status_code, run.json()["text"]) == (200, "From the first.")
            assert (workflow.status_code, workflow.json()["output"]) == (200, "hi")
            if case.task is None:
                assert response.status_code == 202, response.text
            else:
                assert_problem(response, case.task.status, case.task.code, retry_after=case.task.retry_after)
                assert "redis.example" not in response.text
            assert_traced(act, case)
            if not case.fault.calls:
                told = await told_of(gateway, None if case is SLOW else case.engine or NOBODY)
                redis = ("ok", None) if case.redis is None else ("down", case.redis)
                assert (told["redis"]["state"], told["redis"]["reason"]) == redis
                if case is not SLOW:  # it asks Redis several things, which may take longer than a probe waits
                    assert (told["engine"]["state"], told["engine"]["reason"]) == ("degraded", case.engine or NOBODY)
                assert (await gateway.client.get("/ready")).status_code == 200, "runs that are no tasks are served"
        told = await healthy_again(gateway)
        assert told["engine"]["reason"] == NOBODY
        again = await submitted(gateway)
        assert again.status_code == 202
        kept = [answer for answer in (response, again) if answer.status_code == 202]
        health = await gateway.app.state.service.engine.health()
        assert health.queued == 1 + len(kept), "refused is not there, accepted is there once"


async def test_down_at_the_start(
    serve: Serve, spans: Spans, fake_redis: TestRedis, providers: Providers, faults: Faults
) -> None:
    down = faults.redis.down()
    async with serve(redis_url=URL) as gateway:
        providers.openai.always("From the first.")
        run, response = await asyncio.gather(gateway.run("openai-alone"), submitted(gateway))
        assert run.status_code == 200
        assert_problem(response, 503, "engine-unavailable", retry_after="5")
        told = await gateway.health()
        assert told["status"] == "degraded"
        assert told["components"]["redis"] == {
            "state": "down",
            "latency_ms": None,
            "reason": "the ping failed: ConnectionError",
        }
        assert told["components"]["engine"]["state"] == "degraded"
        assert told["components"]["engine"]["reason"] == "the task engine's Redis can't be used: ConnectionError"
        assert (await gateway.client.get("/ready")).status_code == 200, "runs that are no tasks are served"
        down.lift()
        await healthy_again(gateway)
        assert (await submitted(gateway)).status_code == 202


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_task_that_cannot_be_looked_up_is_not_called_unknown(
    serve: Serve, spans: Spans, fake_redis: TestRedis, faults: Faults, method: str
) -> None:
    async with serve(redis_url=URL) as gateway:
        location = (await submitted(gateway)).headers["location"]
        with faults.redis.down().optional():  # the answer shows it, even where only an open connection noticed
            response = await gateway.client.request(method, location)
            assert_problem(response, 503, "engine-unavailable", retry_after="5")
        await healthy_again(gateway)
        assert (await gateway.client.get(location)).json()["state"] == "queued"


@pytest.mark.parametrize("kind", ["readonly", "oom"])
async def test_that_no_write_is_taken_is_told_before_a_task_is_refused(
    serve: Serve, fake_redis: TestRedis, faults: Faults, kind: str
) -> None:
    async with serve(redis_url=URL) as gateway:
        refusing = getattr(faults.redis, kind)()
        for _ in range(2):
            told = await told_of(gateway, next(case.engine for case in REDIS if case.fault.kind == kind))
            assert told["engine"]["state"] == "degraded"
        refusing.lift()
        await told_of(gateway, NOBODY)
        assert (await gateway.app.state.service.engine.health()).queued == 0, "no task was needed to find out"


async def test_readiness_does_not_wait_for_a_slow_redis(serve: Serve, fake_redis: TestRedis, faults: Faults) -> None:
    async with serve(redis_url=URL) as gateway:
        slow = faults.redis.slow(600)
        ready, _ = await asyncio.wait_for(asyncio.gather(gateway.client.get("/ready"), gateway.health()), 4)
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        assert slow.hits >= 1


async def test_a_refused_task_can_be_sent_again_under_its_key(
    serve: Serve, spans: Spans, fake_redis: TestRedis, faults: Faults
) -> None:
    key = {"idempotency-key": "order-7"}
    async with serve(redis_url=URL) as gateway:
        with faults.redis.oom():
            refused = await submitted(gateway, key)
            assert_problem(refused, 503, "engine-unavailable", retry_after="5")
        first, second = await submitted(gateway, key), await submitted(gateway, key)
        assert (first.status_code, second.status_code) == (202, 202)
        assert first.headers["location"] == second.headers["location"]
        assert (await gateway.app.state.service.engine.health()).queued == 1


async def submitted(gateway: Gateway, headers: dict[str, str] | None = None) -> httpx2.Response:
    return await gateway.client.post("/v1/tasks", json={"capability": "echo", "input": "hi"}, headers=headers)


async def quiet(fake_redis: TestRedis) -> None:
    """What the engine does beside the request is over, and none of it will meet the fault that the request is to."""
    came, since = fake_redis.commands, 0
    async with asyncio.timeout(30):
        while since < 10:
            await asyncio.sleep(0.02)
            came, since = fake_redis.commands, since + 1 if fake_redis.commands == came else 0


async def told_of(gateway: Gateway, engine: str | None) -> dict[str, Any]:
    """The components, once the engine's reason is this one: on a busy machine Redis may be late for a probe."""
    async with asyncio.timeout(20):
        while True:
            told: dict[str, Any] = (await gateway.health())["components"]
            if engine is None or told["engine"]["reason"] == engine:
                return told


async def healthy_again(gateway: Gateway) -> dict[str, Any]:
    """The components, once Redis answers again; nobody restarts anything."""
    async with asyncio.timeout(20):
        while True:
            told: dict[str, Any] = (await gateway.health())["components"]
            if told["redis"]["state"] == "ok" and told["engine"]["reason"] == NOBODY:
                return told
            await asyncio.sleep(0.05)


def assert_traced(act: Spans, case: RedisCase) -> None:
    """The refusal is on the request and on `submit`; the connection's own error on Redis spans; no run has one."""
    server = act.one("POST /v1/tasks", kind="server")
    submit = server.children.one("submit echo", kind="producer")
    if case.task is None:
        assert (server.status.code, submit.status.code) == ("unset", "unset")
    else:
        assert (server.status.code, server.attributes["http.response.status_code"]) == ("error", case.task.status)
        assert server.attributes["weaver.problem.type"] == case.task.code
        assert (submit.status.code, submit.attributes["error.type"]) == ("error", case.task.code)
    failed = submit.descendants.all(kind="client", status="error")
    errors = [str(each.status.description).partition(":")[0] for each in failed]
    if case.error is None:
        assert errors == []
    else:
        assert set(errors) == {case.error}
        assert len(errors) == 1 if case.task is None else len(errors) > 1
    for other in act.some("POST /v1/*/{name}/run", kind="server"):
        assert other.status.code == "unset"
        other.descendants.none(status="error")

"""Redis behind Sentinels whose primary is killed: the gateway and its worker follow to the next one by themselves."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fixtures.gateway import Gateway, free_port
from tests.integration.redis.conftest import SERVICE, Watched, health_of, run_a_task, until

pytestmark = pytest.mark.timeout(180)

UNUSABLE = "the task engine's Redis can't be used"
TASKS = 40


async def test_a_task_runs_on_the_primary(watched: Watched) -> None:
    record = await run_a_task(watched.url)
    assert (record.state, record.result) == ("succeeded", "order 7")


async def test_a_sentinel_that_is_gone_is_passed_over(watched: Watched) -> None:
    record = await run_a_task(watched.url.replace("://", f"://127.0.0.1:{free_port()},", 1))
    assert record.state == "succeeded"


async def test_a_name_that_no_sentinel_knows(watched: Watched) -> None:
    health = await health_of(watched.url.replace(SERVICE, "another"))
    assert health.reason == f"{UNUSABLE}: no Sentinel has a working primary under the name in WEAVER_REDIS_URL"


async def test_sentinels_that_are_not_there() -> None:
    health = await health_of(f"redis+sentinel://127.0.0.1:{free_port()}/{SERVICE}")
    assert health.reason == f"{UNUSABLE}: no Sentinel of WEAVER_REDIS_URL answers and has a working primary"


@pytest.fixture
def service(watched: Watched, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway, with a worker in its company."""
    env = {"WEAVER_REDIS_URL": watched.url, "WEAVER_TASK_LEASE_SECONDS": "2", "WEAVER_SHUTDOWN_GRACE_SECONDS": "1"}
    command = [sys.executable, "-m", "weaver_ai", "worker", "--concurrency", "2"]
    worker = Gateway(tmp_path, env, command=command).start()
    try:
        with Gateway(tmp_path, env) as gateway:
            worker.wait_for_line("  engine     ", 60)
            yield gateway
    finally:
        worker.client.close()
        worker.stop(60)


def test_the_primary_dies(watched: Watched, service: Gateway) -> None:
    def components() -> dict[str, Any]:
        found: dict[str, Any] = service.get("/health").json()["components"]
        return found

    def finished(task_id: str) -> str | None:
        try:
            answer = service.get(f"/v1/tasks/{task_id}")
        except httpx2.TransportError:
            return None
        state: str = answer.json().get("state", "") if answer.status_code == 200 else ""
        return state if state in ("succeeded", "failed", "cancelled") else None

    def submit() -> httpx2.Response:
        return service.post(
            "/v1/tasks", {"capability": "support", "input": "Please refund order 7, it arrived broken."}
        )

    until(lambda: components()["engine"]["state"] == "ok", "the worker is seen")
    assert components()["redis"]["state"] == "ok"
    accepted = [answer.json()["task_id"] for answer in (submit() for _ in range(TASKS))]
    until(lambda: watched.is_replicated, "the replica has everything")
    watched.primary.kill()

    degraded = until(lambda: found if (found := components())["engine"]["state"] == "degraded" else None, "it shows")
    assert degraded["engine"]["reason"].startswith(UNUSABLE), degraded
    assert service.status("/ready") == 200

    until(lambda: components()["engine"]["state"] == "ok", "it is back, on the other server")
    assert watched.replica.ask(b"ROLE").startswith(b"*3\r\n$6\r\nmaster")
    states = Counter(until(lambda each=each: finished(each), f"task {each}") for each in accepted)
    assert states == {"succeeded": TASKS}
    answer = submit()
    assert answer.status_code == 202
    assert until(lambda: finished(answer.json()["task_id"]), "a new task") == "succeeded"

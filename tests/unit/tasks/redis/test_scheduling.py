"""What is the Redis engine's own of scheduling: groups of workers, slots of the dead, tasks that outlive everyone."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.unit.tasks.redis.conftest import Engines
from tests.unit.tasks.redis.test_engine import PATIENCE, dying, echo, forever, until, wanted
from weaver_ai.errors import ProviderUnavailable
from weaver_ai.tasks import Retry, TaskContext, TaskHandler, TaskOutcome, TaskPolicy, TaskRequest
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.tasks.redis.worker import TaskWorker
from weaver_ai.testing.fakes.redis.real import RedisServer

pytest_plugins = ["tests.fixtures.redis_server"]


@pytest.fixture
def no_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens without them happens at once, and not when somebody looks."""

    async def nothing(_worker: TaskWorker) -> None:
        pass

    monkeypatch.setattr(TaskWorker, "_sweep", nothing)


def asked_for(capability: str, what: str = "x", **options: object) -> TaskRequest:
    return TaskRequest(capability=capability, input=what, **options)


async def test_workers_run_only_what_they_serve_and_nothing_is_lost(engines: Engines) -> None:
    gateway = engines()
    await gateway.start()
    ours = engines(echo, capabilities=["ours", "also ours"])
    await ours.start()
    theirs = [await gateway.submit(asked_for("theirs", str(number))) for number in range(2)]
    done = [await gateway.submit(asked_for(name)) for name in ("ours", "also ours")]
    for task in done:
        assert (await gateway.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"
    health = await gateway.health()
    assert (health.state, health.queued, health.detail["waiting"]) == ("degraded", 2, {"theirs": 2})
    assert health.reason == "no worker serves 'theirs', for which 2 tasks wait"
    assert [(await gateway.status(task.id)).attempts for task in theirs] == [0, 0]
    late = engines(echo, capabilities=["theirs"])
    await late.start()
    for task in theirs:
        assert (await gateway.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"
    assert (await gateway.health()).state == "ok"


@pytest.mark.usefixtures("no_sweeps")
async def test_every_group_that_serves_a_task_is_told_of_it(engines: Engines) -> None:
    """Three groups, and tasks that three, two or one of them can take: no turn is lost to who can't use it."""
    took: Counter[str] = Counter()

    def taking(name: str) -> TaskHandler:
        async def handler(_context: TaskContext) -> TaskOutcome:
            took[name] += 1
            return TaskOutcome()

        return handler

    gateway = engines()
    await gateway.start()
    for name, capabilities in (("a", ["a"]), ("ab", ["a", "b"]), ("every", [])):
        await engines(taking(name), capabilities=capabilities).start()
    tasks = [await gateway.submit(asked_for(name)) for name in ["a", "b", "c"] * 10]
    for task in tasks:
        assert (await gateway.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"
    assert took["a"] + took["ab"] + took["every"] == 30
    assert took["every"] >= 10


@pytest.mark.usefixtures("no_sweeps")
async def test_with_many_waiting_each_group_has_its_share_and_the_faster_one_takes_more(engines: Engines) -> None:
    """Half of the turns are the slow group's; the other one, out of turns, is given more as it ends tasks."""
    took: Counter[str] = Counter()
    go = asyncio.Event()

    async def slow(_context: TaskContext) -> TaskOutcome:
        await go.wait()
        took["slow"] += 1
        await asyncio.sleep(0.1)
        return TaskOutcome()

    async def fast(_context: TaskContext) -> TaskOutcome:
        await go.wait()
        took["fast"] += 1
        return TaskOutcome()

    gateway = engines()
    await gateway.start()
    await engines(slow, capabilities=["work"], concurrency=1).start()
    await engines(fast, capabilities=["work", "more"], concurrency=1).start()
    tasks = [await gateway.submit(wanted(str(number))) for number in range(100)]
    go.set()
    for task in tasks:
        assert (await gateway.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"
    assert took["slow"] + took["fast"] == 100
    assert took["fast"] > 70


@pytest.mark.usefixtures("no_sweeps")
async def test_a_slot_that_comes_free_is_taken_at_once(engines: Engines) -> None:
    engine = engines(echo, policies={"work": TaskPolicy(concurrency=1)})
    await engine.start()
    tasks = [await engine.submit(wanted(str(number))) for number in range(30)]
    for task in tasks:
        assert (await engine.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"


async def test_a_limit_holds_over_all_workers(engines: Engines) -> None:
    running = Counter[str]()
    most = 0

    async def handler(context: TaskContext) -> TaskOutcome:
        nonlocal most
        running["work"] += 1
        most = max(most, running["work"])
        await asyncio.sleep(0.01)
        running["work"] -= 1
        return TaskOutcome()

    policies = {"work": TaskPolicy(concurrency=2)}
    workers = [engines(handler, policies=policies, capabilities=["work"], concurrency=8) for _ in range(3)]
    for worker in workers:
        await worker.start()
    tasks = [await workers[0].submit(wanted(str(number))) for number in range(40)]
    for task in tasks:
        assert (await workers[0].result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"
    assert most == 2


async def test_a_dead_worker_s_slot_comes_free_with_its_lease(engines: Engines) -> None:
    policies = {"work": TaskPolicy(concurrency=1)}
    gateway = engines()
    await gateway.start()
    first = await gateway.submit(wanted("first"))
    async with dying(engines(forever, policies=policies)):

        async def running() -> bool:
            return (await gateway.status(first.id)).state == "running"

        await until(running)
    second = await gateway.submit(wanted("second"))
    witness = engines(echo, policies=policies)
    await witness.start()
    done = [await gateway.result(task.id, timeout_seconds=PATIENCE) for task in (first, second)]
    assert [(record.state, record.attempts) for record in done] == [("succeeded", 2), ("succeeded", 1)]


async def test_a_delayed_task_outlives_everyone_who_knew_of_it(engines: Engines) -> None:
    gateway = engines()
    async with dying(gateway), dying(engines(echo)):
        task = await gateway.submit(wanted(delay_seconds=0.6))
    other = engines(echo)
    await other.start()
    assert (await other.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"


async def test_a_retry_outlives_the_worker_that_failed(engines: Engines) -> None:
    async def fail(_context: TaskContext) -> TaskOutcome:
        raise ProviderUnavailable("openai is unavailable: status 503")

    retry = {"work": TaskPolicy(retry=Retry(retries=1, pause_seconds=2.0))}
    gateway = engines(policies=retry)
    await gateway.start()
    async with dying(engines(fail, chance=lambda: 0.0)):
        task = await gateway.submit(wanted())

        async def scheduled() -> bool:
            return (await gateway.status(task.id)).state == "scheduled"

        await until(scheduled)
    witness = engines(echo)
    await witness.start()
    done = await gateway.result(task.id, timeout_seconds=PATIENCE)
    assert (done.state, done.attempts, done.retried) == ("succeeded", 2, 1)


async def test_a_lost_turn_of_a_delayed_task_is_made_up_for(engines: Engines) -> None:
    engine = engines(echo)
    await engine.start()
    task = await engine.submit(wanted(delay_seconds=0.3))
    async with engine._turns.docket.redis() as redis:
        await redis.delete(engine._turns.docket.queue_key)
    assert (await engine.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"


async def test_a_deadline_is_kept_where_there_is_no_worker(engines: Engines) -> None:
    gateway = engines()
    await gateway.start()
    tasks = [
        await gateway.submit(wanted(deadline_seconds=0.3)),
        await gateway.submit(wanted(delay_seconds=0.2, deadline_seconds=0.3)),
    ]
    done = [await gateway.result(task.id, timeout_seconds=PATIENCE) for task in tasks]
    read = [event.type async for event in gateway.events(tasks[1].id)]
    assert [record.error and record.error.code for record in done] == ["deadline-exceeded"] * 2
    assert read == ["task.scheduled", "task.failed"]
    assert (await gateway.health()).queued == 0


async def test_a_task_put_back_by_hand_has_its_retries_again_and_no_deadline(engines: Engines) -> None:
    attempts = 0

    async def fail(_context: TaskContext) -> TaskOutcome:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise ProviderUnavailable("openai is unavailable: status 503")
        return TaskOutcome(result="at last")

    retry = Retry(retries=1, pause_seconds=0.01, longest_pause_seconds=0.01)
    engine = engines(fail, policies={"work": TaskPolicy(retry=retry)})
    await engine.start()
    task = await engine.submit(wanted(deadline_seconds=30))
    failed = await engine.result(task.id, timeout_seconds=PATIENCE)
    assert (failed.state, failed.attempts, failed.retried) == ("failed", 2, 1)
    assert await engine.retry(task.id) == "failed"
    done = await engine.result(task.id, timeout_seconds=PATIENCE)
    assert (done.state, done.attempts, done.retried, done.deadline) == ("succeeded", 4, 1, None)


async def test_tasks_that_wait_are_listed_in_the_order_of_their_turn(engines: Engines) -> None:
    gateway = engines()
    await gateway.start()
    later = [await gateway.submit(wanted(str(seconds), delay_seconds=seconds)) for seconds in (60, 30)]
    low = await gateway.submit(asked_for("b", "low", priority="low"))
    first, second = await gateway.submit(asked_for("b", "first")), await gateway.submit(asked_for("a", "second"))
    assert [record.id for record in await gateway.listed("scheduled")] == [later[1].id, later[0].id]
    assert [record.id for record in await gateway.listed("queued")] == [first.id, second.id, low.id]
    assert [record.id for record in await gateway.listed("queued", limit=2)] == [first.id, second.id]


async def test_the_turns_of_a_group_that_is_gone_are_removed(engines: Engines, redis_server: RedisServer) -> None:
    gateway = engines()
    await gateway.start()
    async with dying(engines(echo, capabilities=["work"])):
        pass
    tasks = [await gateway.submit(wanted(delay_seconds=seconds)) for seconds in (0.0, 60.0)]
    async with gateway._turns.docket.redis() as redis:
        (group,) = [name for name in await redis.zrange(f"{_prefix(gateway)}:groups", 0, -1) if name]
        left = await gateway._turns._of(group.decode())
        assert (await redis.xlen(left.stream_key), await redis.zcard(left.queue_key)) >= (1, 1)
        await redis.zadd(f"{_prefix(gateway)}:groups", {group: 0})
        await engines(echo).start()

        async def removed() -> bool:
            return (await redis.xlen(left.stream_key), await redis.zcard(left.queue_key)) == (0, 0)

        await until(removed)
    assert (await gateway.result(tasks[0].id, timeout_seconds=PATIENCE)).state == "succeeded"


def _prefix(engine: DocketEngine) -> str:
    return engine._turns._prefix


async def test_a_submission_meets_no_script_that_redis_doesn_t_know(
    engines: Engines, redis_server: RedisServer
) -> None:
    gateway = engines()
    await gateway.start()
    redis_server.ask(b"CONFIG", b"RESETSTAT")
    for delay in (0.0, 30.0):
        await gateway.submit(wanted(delay_seconds=delay))
    async with gateway._turns.docket.redis() as redis:
        assert "errorstat_NOSCRIPT" not in await redis.info("errorstats")

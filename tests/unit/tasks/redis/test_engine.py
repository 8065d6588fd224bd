"""What is the Redis engine's own: workers that die, turns that get lost, dead letters, a Redis that isn't there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic_core import from_json, to_json
from redis.asyncio import Redis

from tests.unit.tasks.redis.conftest import Engines
from weaver_ai.errors import EngineUnavailable, QueueFull, TaskNotFound
from weaver_ai.tasks import TaskContext, TaskError, TaskHandler, TaskOutcome, TaskRequest
from weaver_ai.tasks.payloads import CANCELLED, IDEMPOTENCY_SECONDS
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.testing.fakes.redis.real import RedisServer

pytest_plugins = ["tests.fixtures.redis_server"]

PATIENCE = 15.0


async def echo(context: TaskContext) -> TaskOutcome:
    return TaskOutcome(result=context.record.input)


async def fail(_context: TaskContext) -> TaskOutcome:
    return TaskOutcome(error=TaskError(code="run-failed", message="it didn't work"))


async def forever(_context: TaskContext) -> TaskOutcome:
    await asyncio.Event().wait()
    return TaskOutcome()


def wanted(what: str = "x", **options: object) -> TaskRequest:
    return TaskRequest(capability="work", input=what, **options)


async def until(look: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await look():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def dying(engine: DocketEngine) -> AsyncIterator[None]:
    """A worker that runs inside the block, and at its end is gone without a word, as after `kill -9`."""
    await engine.start()
    yield
    await engine.aclose()


async def test_a_gateway_runs_nothing_and_says_that_nobody_does(engines: Engines) -> None:
    gateway = engines()
    await gateway.start()
    task = await gateway.submit(wanted())
    early = await gateway.result(task.id, timeout_seconds=0.2)
    health = await gateway.health()
    assert (early.state, health.state, health.reason, health.queued) == (
        "queued",
        "degraded",
        "no worker takes tasks",
        1,
    )
    assert await gateway.drain(0) == await gateway.drain(0)
    worker = engines(echo)
    await worker.start()
    done = await gateway.result(task.id, timeout_seconds=PATIENCE)
    assert (done.state, done.result) == ("succeeded", "x")


async def test_a_task_that_loses_worker_after_worker_is_given_up_by_name(engines: Engines) -> None:
    gateway = engines()
    await gateway.start()
    task = await gateway.submit(wanted())
    for attempt in (1, 2, 3):
        async with dying(engines(forever)):

            async def begun(attempt: int = attempt) -> bool:
                record = await gateway.status(task.id)
                return record.state == "running" and record.attempts == attempt

            await until(begun)
    witness = engines(echo)
    await witness.start()
    lost = await gateway.result(task.id, timeout_seconds=PATIENCE)
    assert (lost.state, lost.attempts) == ("failed", 3)
    assert lost.error == TaskError(
        code="worker-lost",
        message="3 workers died or fell silent while they ran the task",
        hint="see their logs; 'weaver tasks retry' puts the task back",
    )
    assert [event.type for event in await gateway.past_events(task.id)] == [
        "task.queued",
        *["task.started", "task.requeued"] * 2,
        "task.started",
        "task.failed",
    ]


async def test_a_cancelled_task_whose_worker_died_is_not_run_again(engines: Engines) -> None:
    gateway = engines(unwind_seconds=0.1)
    await gateway.start()
    task = await gateway.submit(wanted())
    worker = engines(forever)
    async with dying(worker):

        async def running() -> bool:
            return (await gateway.status(task.id)).state == "running"

        await until(running)
    assert (await gateway.cancel(task.id)).state == "running"
    witness = engines(echo)
    await witness.start()
    done = await gateway.result(task.id, timeout_seconds=PATIENCE)
    assert (done.state, done.attempts, done.error and done.error.code) == ("cancelled", 1, "run-cancelled")


async def test_a_lost_turn_is_made_up_for(engines: Engines, redis_server: RedisServer) -> None:
    gateway = engines()
    await gateway.start()
    task = await gateway.submit(wanted())
    async with gateway._turns.docket.redis() as redis:
        await redis.delete(gateway._turns.docket.stream_key)
    worker = engines(echo)
    await worker.start()
    assert (await gateway.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"


async def test_a_task_whose_turn_could_not_be_added_is_accepted_all_the_same(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weaver_ai.tasks.redis.engine._OUTAGE_SECONDS", 0.1)
    gateway, worker = engines(), engines(echo)
    await gateway.start()
    async with dying(engines(forever)):  # a group that serves the task, and so would have its turn
        pass

    async def lost(*_: object) -> None:
        raise EngineUnavailable("the task engine's Redis is gone")

    with monkeypatch.context() as patch:
        patch.setattr(gateway._turns, "add", lost)
        task = await gateway.submit(wanted(delay_seconds=0.1))
    await worker.start()
    done = await gateway.result(task.id, timeout_seconds=PATIENCE)
    assert (done.state, done.attempts) == ("succeeded", 1)


async def test_a_heartbeat_may_say_more_than_is_known_here(engines: Engines, redis_server: RedisServer) -> None:
    worker = engines(echo)
    await worker.start()
    assert (await worker.health()).state == "ok"
    async with Redis.from_url(redis_server.url) as redis:
        (key,) = [key async for key in redis.scan_iter(match="*:workers", _type="hash")]
        ((name, told),) = (await redis.hgetall(key)).items()
        at, _, said = told.partition(b" ")
        newer = {**from_json(said), "temperature": 21}
        await redis.hset(key, f"{name.decode()}-newer", at + b" " + to_json(newer))
        assert (await worker.health()).state == "ok"


async def test_more_turns_than_tasks_do_no_harm(engines: Engines) -> None:
    engine = engines(echo)
    await engine.start()
    await engine._turns.top_up(20)
    task = await engine.submit(wanted())
    done = await engine.result(task.id, timeout_seconds=PATIENCE)

    async def taken() -> bool:
        return await engine._turns.untaken() == 0

    await until(taken)
    assert (done.state, done.attempts) == ("succeeded", 1)


async def test_dead_letters_are_listed_and_put_back(engines: Engines) -> None:
    failing = engines(fail)
    async with dying(failing):
        ids = [(await failing.submit(wanted(str(number)))).id for number in range(3)]
        for task_id in ids:
            await failing.result(task_id, timeout_seconds=PATIENCE)
    engine = engines(echo)
    await engine.start()
    listed = await engine.listed()
    assert sorted(record.id for record in listed) == sorted(ids)
    assert len(await engine.listed(limit=2)) == 2
    assert await engine.retry(ids[1]) == "failed"
    done = await engine.result(ids[1], timeout_seconds=PATIENCE)
    assert (done.state, done.result, done.error, done.attempts) == ("succeeded", "1", None, 2)
    assert await engine.retry(ids[1]) == "succeeded"
    assert sorted(record.id for record in await engine.listed()) == sorted([ids[0], ids[2]])
    with pytest.raises(TaskNotFound, match=r"^no task 'nowhere'$"):
        await engine.retry("nowhere")


def stumbling(code: str) -> TaskHandler:
    """Keeps a step of one request, which it counts in each attempt, and fails until an earlier attempt kept it."""

    async def handler(context: TaskContext) -> TaskOutcome:
        assert context.steps is not None
        step = context.steps.asked("echo", "x")
        if context.steps.recall(step) is not None:
            return TaskOutcome(result="done", usage={"requests": 2}, cost=0.5)
        await context.steps.keep(step, "x")
        error = TaskError(code=code, message="it didn't work")
        return TaskOutcome(error=error, usage={"requests": 3}, cost=0.75, kept_usage={"requests": 1}, kept_cost=0.25)

    return handler


@pytest.mark.parametrize(
    ("code", "state", "requests", "cost"),
    [("run-failed", "succeeded", 4, 1.0), ("step-changed", "failed", 6, 1.5)],
    ids=["steps replayed", "steps forgotten"],
)
async def test_what_a_dead_letter_used_is_counted_when_it_is_put_back(
    engines: Engines, code: str, state: str, requests: int, cost: float
) -> None:
    engine = engines(stumbling(code))
    await engine.start()
    task = await engine.submit(wanted())
    failed = await engine.result(task.id, timeout_seconds=PATIENCE)
    assert (failed.state, failed.usage, failed.cost) == ("failed", {"requests": 3}, 0.75)
    await engine.retry(task.id)
    done = await engine.result(task.id, timeout_seconds=PATIENCE)
    assert (done.state, done.usage, done.cost) == (state, {"requests": requests}, cost)


async def test_what_a_task_used_that_was_handed_back_is_counted(engines: Engines) -> None:
    began = asyncio.Event()

    async def interrupted(_context: TaskContext) -> TaskOutcome:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return TaskOutcome(error=CANCELLED, usage={"requests": 2}, cost=0.5)
        raise AssertionError

    async def going_on(_context: TaskContext) -> TaskOutcome:
        return TaskOutcome(usage={"requests": 1}, cost=0.25)

    leaving = engines(interrupted)
    await leaving.start()
    task = await leaving.submit(wanted())
    await began.wait()
    await leaving.drain(0.01)
    waiting = await leaving.status(task.id)
    assert (waiting.state, waiting.usage, waiting.cost) == ("queued", {"requests": 2}, 0.5)
    other = engines(going_on)
    await other.start()
    done = await other.result(task.id, timeout_seconds=PATIENCE)
    assert (done.state, done.attempts, done.usage, done.cost) == ("succeeded", 2, {"requests": 3}, 0.75)


async def test_finished_tasks_expire_and_one_with_a_key_stays(engines: Engines) -> None:
    engine = engines(echo, ttl_seconds=0.2)
    await engine.start()
    plain = await engine.submit(wanted())
    keyed = await engine.submit(wanted(idempotency_key="k"))
    await engine.result(keyed.id, timeout_seconds=PATIENCE)

    async def gone() -> bool:
        try:
            await engine.status(plain.id)
        except TaskNotFound:
            return True
        return False

    await until(gone)
    assert (await engine.submit(wanted(idempotency_key="k"))).id == keyed.id


async def test_a_key_is_honoured_for_a_day_and_its_task_can_be_read_as_long(
    engines: Engines, redis_server: RedisServer
) -> None:
    engine = engines(echo, ttl_seconds=0.2)
    await engine.start()
    task = await engine.submit(wanted(idempotency_key="for a day"))
    await engine.result(task.id, timeout_seconds=PATIENCE)
    async with Redis.from_url(redis_server.url) as redis:
        (key,) = [name async for name in redis.scan_iter("test-*:key:for a day")]
        (record,) = [name async for name in redis.scan_iter(f"test-*:task:{task.id}")]
        left, readable = await redis.pttl(key), await redis.pttl(record)
    assert IDEMPOTENCY_SECONDS - PATIENCE < left / 1000 <= IDEMPOTENCY_SECONDS == 86_400
    assert readable >= left


async def test_a_full_queue_counts_the_workers_of_everyone(engines: Engines) -> None:
    gateway = engines(queue_size=1)
    await gateway.start()
    await gateway.submit(wanted())
    with pytest.raises(QueueFull) as full:
        await gateway.submit(wanted())
    assert (full.value.message, full.value.retry_after) == ("1 tasks are waiting already", 1.0)


async def test_before_its_start_it_takes_nothing() -> None:
    engine = DocketEngine("redis://127.0.0.1:1")
    with pytest.raises(EngineUnavailable, match=r"^the task engine hasn't started$"):
        await engine.submit(wanted(idempotency_key="k"))
    assert ((await engine.health()).state, (await engine.health()).reason) == ("down", "not started")


async def test_a_redis_that_is_not_there_is_waited_for_a_moment_and_then_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weaver_ai.tasks.redis.engine._OUTAGE_SECONDS", 0.2)
    engine = DocketEngine("redis://:a-password@127.0.0.1:1", echo)
    await engine.start()
    try:
        with pytest.raises(EngineUnavailable) as gone:
            await engine.submit(wanted())
        health = await engine.health()
        assert gone.value.message == "the task engine's Redis can't be used: ConnectionError"
        assert gone.value.retry_after == 5.0
        assert (health.state, health.reason, health.latency) == ("degraded", gone.value.message, None)
    finally:
        await engine.aclose()


@pytest.mark.parametrize("beat", [b"no heartbeat", b"1 {}", b'1 {"concurrency": "many"}'])
async def test_what_it_cannot_read_is_told_and_does_not_fail_who_asks(engines: Engines, beat: bytes) -> None:
    gateway = engines()
    await gateway.start()
    async with gateway._turns.docket.redis() as redis:
        await redis.hset(f"{gateway._records._redis.prefix}:workers", "strange", beat)
    health = await gateway.health()
    reason = "its state in Redis can't be read; the log says why"
    assert (health.state, health.reason, health.latency) == ("degraded", reason, None)


async def test_a_redis_that_comes_late_is_used_without_a_restart() -> None:
    server = RedisServer()
    server.start()
    server.kill()
    engine = DocketEngine(server.url, echo)
    await engine.start()
    try:
        submitting = asyncio.create_task(engine.submit(wanted()))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(server.start)
        done = await engine.result((await submitting).id, timeout_seconds=PATIENCE)
        assert (done.state, done.attempts) == ("succeeded", 1)
    finally:
        await engine.aclose()
        server.stop()


@pytest.mark.parametrize(
    ("refusing", "taking", "reason"),
    [
        (
            "REPLICAOF 127.0.0.1 1",
            "REPLICAOF NO ONE",
            "the task engine's Redis takes no writes: ReadOnlyError",
        ),
        (
            "CONFIG SET maxmemory 1",
            "CONFIG SET maxmemory 0",
            "the task engine's Redis takes no writes: OutOfMemoryError",
        ),
    ],
)
async def test_a_redis_that_takes_no_writes_is_told_until_it_takes_one(
    monkeypatch: pytest.MonkeyPatch, refusing: str, taking: str, reason: str
) -> None:
    monkeypatch.setattr("weaver_ai.tasks.redis.engine._OUTAGE_SECONDS", 0.2)
    server = RedisServer()
    server.start()
    engine = DocketEngine(server.url)
    await engine.start()
    try:
        async with engine._turns.docket.redis() as redis:
            await redis.execute_command(*refusing.split())
            with pytest.raises(EngineUnavailable):
                await engine.submit(wanted())
            for _ in range(2):
                health = await engine.health()
                assert (health.state, health.reason, health.queued) == ("degraded", reason, 0)
            await redis.execute_command(*taking.split())
        assert (await engine.health()).reason == "no worker takes tasks"
    finally:
        await engine.aclose()
        server.stop()

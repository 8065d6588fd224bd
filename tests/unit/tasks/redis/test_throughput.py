"""What makes the engine on Redis fast and must keep its promises: places that go on, events that nobody waits for."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import pytest

from tests.unit.tasks.redis.conftest import Engines
from tests.unit.tasks.redis.test_engine import PATIENCE, dying, echo, forever, until, wanted
from weaver_ai.tasks import TaskContext, TaskEvent, TaskOutcome
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.tasks.redis.turns import TurnTaker
from weaver_ai.tasks.redis.worker import TaskWorker
from weaver_ai.testing.fakes.redis.real import RedisServer

pytest_plugins = ["tests.fixtures.redis_server"]

PIECES = 200


@pytest.fixture
def no_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_worker: TaskWorker) -> None:
        pass

    monkeypatch.setattr(TaskWorker, "_sweep", nothing)


async def speak(context: TaskContext) -> TaskOutcome:
    """Say what a model would, in small pieces."""
    for number in range(PIECES):
        await context.emit("text.delta", {"text": f"{number} ", "step": None})
        await asyncio.sleep(0)
    return TaskOutcome()


def said(events: list[TaskEvent]) -> str:
    return "".join(str(event.data["text"]) for event in events if event.type == "text.delta")


ALL_OF_IT = "".join(f"{number} " for number in range(PIECES))


@pytest.mark.usefixtures("no_sweeps")
async def test_a_worker_goes_on_while_tasks_wait_though_their_turns_are_gone(engines: Engines) -> None:
    gateway = engines()
    await gateway.start()
    async with dying(engines(forever)):  # a group, so that each task has a turn
        pass
    tasks = [await gateway.submit(wanted(str(number))) for number in range(20)]
    stream = gateway._turns.docket.stream_key
    async with gateway._turns.docket.redis() as redis:
        for message, _ in (await redis.xrange(stream))[1:]:
            await redis.xdel(stream, message)
    await engines(echo, concurrency=1).start()
    for number, task in enumerate(tasks):
        done = await gateway.result(task.id, timeout_seconds=PATIENCE)
        assert (done.state, done.result, done.attempts) == ("succeeded", str(number), 1)


async def test_turns_are_used_up_with_the_tasks(engines: Engines, redis_server: RedisServer) -> None:
    engine = engines(echo, concurrency=2)
    await engine.start()
    tasks = [await engine.submit(wanted(str(number))) for number in range(30)]
    tasks.append(await engine.submit(wanted(delay_seconds=0.2)))
    for task in tasks:
        assert (await engine.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"
    docket = engine._turns.docket
    async with docket.redis() as redis:

        async def none_left() -> bool:
            pending = await redis.xpending(docket.stream_key, docket.worker_group_name)
            told = [key async for key in redis.scan_iter(match=f"{docket.key('runs:')}*")]
            return await redis.xlen(docket.stream_key) == 0 and pending["pending"] == 0 and not told

        await until(none_left)  # the delayed task may have run before docket has looked for its turn


async def test_a_place_does_not_go_on_while_docket_waits_to_connect_again(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancellations aren't heard of meanwhile, and nothing says yet that Redis stays."""
    monkeypatch.setattr(TurnTaker, "takes", property(lambda _taker: False))
    asked: list[bool] = []
    engine = engines(echo, concurrency=1)
    assert engine._worker is not None
    finish = engine._worker._redis.finish

    async def watched(*arguments: object, go_on: bool) -> object:
        asked.append(go_on)
        return await finish(*arguments, go_on=go_on)  # type: ignore[arg-type]

    monkeypatch.setattr(engine._worker._redis, "finish", watched)
    await engine.start()
    tasks = [await engine.submit(wanted()) for _ in range(3)]
    for task in tasks:
        assert (await engine.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"
    assert asked == [False] * 3


async def test_after_a_lost_connection_others_are_taken_beside_a_long_task(
    engines: Engines, redis_server: RedisServer
) -> None:
    async def long_or_short(context: TaskContext) -> TaskOutcome:
        return await (forever if context.record.input == "long" else echo)(context)

    gateway, engine = engines(), engines(long_or_short, concurrency=2)
    await gateway.start()
    await engine.start()
    long = await gateway.submit(wanted("long"))

    async def runs() -> bool:
        return (await gateway.status(long.id)).state == "running"

    await until(runs)
    redis_server.ask(b"CLIENT", b"KILL", b"TYPE", b"normal")
    for _ in range(3):  # beside it is one place
        short = await gateway.submit(wanted("short"))
        assert (await gateway.result(short.id, timeout_seconds=PATIENCE)).state == "succeeded"
    assert await runs()
    stopped = await gateway.cancel(long.id)
    assert (stopped.state, stopped.attempts) == ("cancelled", 1)


async def test_a_cancellation_that_is_heard_of_before_the_task_is_not_lost(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = engines(forever)
    assert worker._worker is not None
    claim = worker._worker._redis.claim

    async def late(turn: tuple[bytes, str]) -> object:
        claimed = await claim(turn)
        if claimed is not None:
            worker._worker._interrupt(claimed.record.id)  # type: ignore[union-attr]
        return claimed

    monkeypatch.setattr(worker._worker._redis, "claim", late)
    monkeypatch.setattr(TaskWorker, "_beat", lambda _worker: asyncio.sleep(0))  # which would see it, too
    await worker.start()
    task = await worker.submit(wanted())
    await worker._turns.top_up(1)  # without heartbeats nobody serves it
    assert (await worker.result(task.id, timeout_seconds=PATIENCE)).state == "cancelled"


async def test_a_cancellation_of_an_earlier_run_does_not_stop_a_later_one(engines: Engines) -> None:
    gateway, engine = engines(), engines(echo)
    await gateway.start()
    task = await gateway.submit(wanted())
    worker = engine._worker
    assert worker is not None
    with worker._asks():  # some place always asks, while there is much to do
        worker._interrupt(task.id)  # it ran elsewhere, failed all the same, and was put back
        await engine.start()
        assert (await gateway.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"


async def test_a_task_that_comes_when_the_grace_is_over_is_handed_back_and_not_run(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    async def work(context: TaskContext) -> TaskOutcome:
        ran.append(context.record.id)
        return await forever(context)

    leaving = engines(work)
    assert leaving._worker is not None
    claim, asked, go_on = leaving._worker._redis.claim, asyncio.Event(), asyncio.Event()

    async def late(turn: tuple[bytes, str]) -> object:
        asked.set()
        await go_on.wait()
        return await claim(turn)

    monkeypatch.setattr(leaving._worker._redis, "claim", late)
    await leaving.start()
    task = await leaving.submit(wanted())
    async with asyncio.timeout(PATIENCE):
        await asked.wait()
    drained = asyncio.create_task(leaving.drain(0))

    async def grace_is_over() -> bool:
        return leaving._worker is not None and leaving._worker._grace_is_over

    await until(grace_is_over)
    go_on.set()
    await drained
    assert ((await leaving.status(task.id)).state, ran) == ("queued", [])


async def test_a_drain_waits_for_a_silent_redis_once_and_not_for_each_task(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def stubborn(_context: TaskContext) -> TaskOutcome:
        while not ended.is_set():
            with suppress(asyncio.CancelledError):
                await ended.wait()
        return TaskOutcome()

    leaving = engines(stubborn, concurrency=3, unwind_seconds=0.05)
    worker = leaving._worker
    assert worker is not None
    release, together = worker._redis.release, asyncio.Barrier(3)

    async def silent(*arguments: object) -> None:
        async with asyncio.timeout(PATIENCE):
            await together.wait()  # one by one they would wait for good
        await release(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(worker._redis, "release", silent)
    await leaving.start()
    tasks = [await leaving.submit(wanted()) for _ in range(3)]

    async def all_run() -> bool:
        return len(worker._jobs) == 3

    await until(all_run)
    try:
        report = await leaving.drain(0)
    finally:
        ended.set()
    assert set(report.handed_back) == {task.id for task in tasks}
    assert {(await leaving.status(task.id)).state for task in tasks} == {"queued"}


@pytest.mark.usefixtures("no_sweeps")
async def test_the_turns_of_a_group_that_stays_busy_do_not_pile_up(engines: Engines) -> None:
    engine = engines(forever, concurrency=1)
    await engine.start()
    running = await engine.submit(wanted())

    async def runs() -> bool:
        return (await engine.status(running.id)).state == "running"

    await until(runs)
    stream = engine._turns.docket.stream_key
    async with engine._turns.docket.redis() as redis:
        async with redis.pipeline(transaction=False) as pipeline:
            for _ in range(9_999):
                pipeline.xadd(stream, {"key": "left"})
            await pipeline.execute()
        for _ in range(3):
            await engine.submit(wanted())
        assert await redis.xlen(stream) == 10_000
        await redis.xtrim(stream, maxlen=0, approximate=False)


async def test_no_more_turns_are_made_up_for_than_there_can_be_places(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engines(echo)
    worker = engine._worker
    assert worker is not None
    made: list[int] = []

    async def waits(**_: object) -> tuple[int, tuple[str, ...]]:
        return 50_000, ()

    async def untaken() -> int:
        return 990

    async def top_up(number: int) -> None:
        made.append(number)

    async def mine(_seconds: float) -> bool:
        return True

    monkeypatch.setattr(worker._redis, "sweep", waits)
    monkeypatch.setattr(worker._redis, "first_of_sweepers", mine)
    monkeypatch.setattr(worker._turns, "untaken", untaken)
    monkeypatch.setattr(worker._turns, "top_up", top_up)
    for _ in range(2):
        await worker._sweep()
    assert made == [10, 10]


async def test_a_run_that_streams_is_not_held_up_by_a_redis_that_hangs(
    engines: Engines, redis_server: RedisServer
) -> None:
    release, spoken = asyncio.Event(), asyncio.Event()

    async def handler(context: TaskContext) -> TaskOutcome:
        await release.wait()
        outcome = await speak(context)
        spoken.set()
        return outcome

    engine = engines(handler)
    await engine.start()
    task = await engine.submit(wanted())

    async def running() -> bool:
        return (await engine.status(task.id)).state == "running"

    await until(running)
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        release.set()
        async with asyncio.timeout(PATIENCE):
            await spoken.wait()  # while Redis says nothing; to wait for one write alone takes 5 s
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    done = await engine.result(task.id, timeout_seconds=PATIENCE)
    events = await engine.past_events(task.id)
    assert (done.state, done.attempts) == ("succeeded", 1)
    assert said(events) == ALL_OF_IT
    assert events[-1].type == "task.succeeded"


async def test_text_is_told_in_a_few_events_and_in_full(engines: Engines) -> None:
    engine = engines(speak)
    await engine.start()
    task = await engine.submit(wanted())
    done = await engine.result(task.id, timeout_seconds=PATIENCE)
    events = [event async for event in engine.events(task.id)]
    assert done.state == "succeeded"
    assert said(events) == ALL_OF_IT
    assert len(events) < PIECES / 2
    assert [event.type for event in events if event.type != "text.delta"] == [
        "task.queued",
        "task.started",
        "task.succeeded",
    ]
    assert [int(event.id) for event in events] == list(range(1, len(events) + 1))


async def test_what_was_dropped_in_a_long_outage_leaves_a_gap_that_readers_see(engines: Engines) -> None:
    """As many events as nothing holds, while none can be written; their end is told, and how many are missing."""
    engine = engines(_torrent)
    assert engine._worker is not None
    await _refusing_events(engine)
    await engine.start()
    task = await engine.submit(wanted())
    assert (await engine.result(task.id, timeout_seconds=PATIENCE)).state == "succeeded"
    events = [event async for event in engine.events(task.id)]
    assert [(event.type, event.data) for event in events[2:4]] == [
        ("events.dropped", {"count": 44}),
        ("progress", {"number": 45}),
    ]
    assert [event.data for event in events[3:-1]] == [{"number": number} for number in range(45, 301)]
    assert events[-1].type == "task.succeeded"


async def _torrent(context: TaskContext) -> TaskOutcome:
    for number in range(1, 301):
        await context.emit("progress", {"number": number})
    return TaskOutcome()


async def _refusing_events(engine: DocketEngine) -> None:
    async def away(*_: object) -> bool:
        await asyncio.Event().wait()
        return False

    assert engine._worker is not None
    engine._worker._redis.emit = away  # type: ignore[method-assign]

"""What Redis has done and could not say, for the connection broke: it is asked again, and answers the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha1

import pytest

from tests.unit.tasks.redis.test_engine import PATIENCE, echo, until, wanted
from weaver_ai.errors import ProviderUnavailable
from weaver_ai.tasks import Retry, TaskContext, TaskHandler, TaskOutcome, TaskPolicy
from weaver_ai.tasks.redis import scripts
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.testing.fakes.redis.real import RedisServer

pytest_plugins = ["tests.fixtures.redis_server"]

LEASE = 30.0  # nothing here waits for it


class Cable:
    """Between an engine and Redis; it breaks when Redis has done a certain script, before the reply is through."""

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis
        self._doomed: bytes | None = None
        self.port = 0
        self.breaks = 0

    def break_after(self, script: str) -> None:
        self._redis.ask(b"SCRIPT", b"LOAD", script.encode())  # it is done, and not only found to be unknown
        self._doomed = sha1(script.encode(), usedforsecurity=False).hexdigest().encode()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[None]:
        async with await asyncio.start_server(self._connected, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", self._redis.port)
        doomed = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._asks(reader, redis_writer, doomed))
                both.create_task(self._answers(redis_reader, writer, doomed))
        except* (ConnectionError, EOFError):
            pass  # one side has gone, and the other goes with it
        finally:
            writer.close()
            redis_writer.close()

    async def _asks(self, reader: asyncio.StreamReader, redis: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        while data := await reader.read(65536):
            if self._doomed is not None and self._doomed in data:
                self._doomed = None
                doomed.set()
            redis.write(data)
            await redis.drain()
        raise EOFError

    async def _answers(self, redis: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        while data := await redis.read(65536):
            if doomed.is_set():
                self.breaks += 1
                raise EOFError
            writer.write(data)
            await writer.drain()
        raise EOFError


@pytest.fixture
async def cable(redis_server: RedisServer) -> AsyncIterator[Cable]:
    cable = Cable(redis_server)
    async with cable.laid():
        yield cable


@pytest.fixture
async def gateway(redis_server: RedisServer) -> AsyncIterator[DocketEngine]:
    engine = DocketEngine(redis_server.url, prefix="replies", lease_seconds=LEASE)
    await engine.start()
    yield engine
    await engine.aclose()


@asynccontextmanager
async def behind(cable: Cable, handler: TaskHandler, **options: object) -> AsyncIterator[DocketEngine]:
    """A worker with one place whose connections go through the cable, once it has beaten."""
    url = f"redis://127.0.0.1:{cable.port}"
    engine = DocketEngine(url, handler, prefix="replies", lease_seconds=LEASE, concurrency=1, **options)  # type: ignore[arg-type]
    await engine.start()
    yield engine
    await engine.aclose()


async def test_a_task_whose_claim_was_not_heard_of_is_run_at_once(cable: Cable, gateway: DocketEngine) -> None:
    async with behind(cable, echo):
        cable.break_after(scripts.CLAIM)
        task = await gateway.submit(wanted())
        done = await gateway.result(task.id, timeout_seconds=PATIENCE)
    assert (done.state, done.attempts, cable.breaks) == ("succeeded", 1, 1)
    assert await types(gateway, task.id) == ["task.queued", "task.started", "task.succeeded"]


async def test_the_next_task_that_came_with_an_end_that_was_not_heard_of_is_run_at_once(
    cable: Cable, gateway: DocketEngine, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = [await gateway.submit(wanted(str(number))) for number in range(3)]
    cable.break_after(scripts.FINISH)
    async with behind(cable, echo):
        for number, task in enumerate(tasks):
            done = await gateway.result(task.id, timeout_seconds=PATIENCE)
            assert (done.state, done.result, done.attempts) == ("succeeded", str(number), 1)
            assert await types(gateway, task.id) == ["task.queued", "task.started", "task.succeeded"]
    assert cable.breaks == 1
    assert "given to another worker" not in caplog.text


async def test_and_the_one_that_came_when_another_was_put_off(cable: Cable, gateway: DocketEngine) -> None:
    failed: list[str] = []

    async def once(context: TaskContext) -> TaskOutcome:
        if context.record.input == "fails" and not failed:
            failed.append(context.record.id)
            raise ProviderUnavailable("busy")
        return await echo(context)

    policy = TaskPolicy(retry=Retry(retries=1, pause_seconds=0.1))
    first, second = await gateway.submit(wanted("fails", retries=1)), await gateway.submit(wanted("works"))
    cable.break_after(scripts.PUT_OFF)
    async with behind(cable, once, policies={"work": policy}):
        done = [await gateway.result(task.id, timeout_seconds=PATIENCE) for task in (first, second)]
    assert [(each.state, each.attempts, each.retried) for each in done] == [("succeeded", 2, 1), ("succeeded", 1, 0)]
    assert cable.breaks == 1


async def test_a_drain_counts_a_task_as_finished_though_its_end_was_not_heard_of(
    cable: Cable, gateway: DocketEngine
) -> None:
    release = asyncio.Event()

    async def waits(context: TaskContext) -> TaskOutcome:
        await release.wait()
        return await echo(context)

    async with behind(cable, waits) as worker:
        task = await gateway.submit(wanted())

        async def runs() -> bool:
            return (await gateway.status(task.id)).state == "running"

        await until(runs)
        drained = asyncio.create_task(worker.drain(PATIENCE))
        await asyncio.sleep(0)
        cable.break_after(scripts.FINISH)
        release.set()
        report = await drained
    assert (report.finished, report.handed_back, cable.breaks) == ((task.id,), (), 1)


async def test_a_turn_that_is_delivered_twice_gives_one_run(
    gateway: DocketEngine, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    async def work(context: TaskContext) -> TaskOutcome:
        ran.append(context.record.id)
        await again.wait()
        return await echo(context)

    again = asyncio.Event()
    engine = DocketEngine(redis_server.url, work, prefix="replies", lease_seconds=LEASE)
    worker = engine._worker
    assert worker is not None
    claim = worker._redis.claim

    async def twice(turn: tuple[bytes, str]) -> object:
        monkeypatch.setattr(worker._redis, "claim", claim)
        claimed = await claim(turn)
        second.append(asyncio.create_task(_later(turn)))
        return claimed

    async def _later(turn: tuple[bytes, str]) -> None:
        await until(began)
        await worker._take(turn)
        again.set()

    async def began() -> bool:
        return bool(ran)

    second: list[asyncio.Task[None]] = []
    monkeypatch.setattr(worker._redis, "claim", twice)
    await engine.start()
    try:
        task = await gateway.submit(wanted())
        done = await gateway.result(task.id, timeout_seconds=PATIENCE)
        await asyncio.gather(*second)
    finally:
        await engine.aclose()
    assert (done.state, done.attempts, ran) == ("succeeded", 1, [task.id])


async def types(engine: DocketEngine, task_id: str) -> list[str]:
    return [event.type for event in await engine.past_events(task_id)]

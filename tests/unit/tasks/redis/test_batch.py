"""Commands that share a write, and none that suffers from another."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import cast
from uuid import uuid4

import pytest
from docket import Docket
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from weaver_ai.tasks.redis.batch import RedisBatches
from weaver_ai.tasks.redis.pool import RedisPool
from weaver_ai.testing.fakes.redis.real import RedisServer

pytest_plugins = ["tests.fixtures.redis_server"]


@pytest.fixture
async def batches(redis_server: RedisServer) -> AsyncIterator[RedisBatches]:
    async with RedisPool(redis_server.url) as pool, pool.docket(f"test-{uuid4().hex}") as docket:
        yield RedisBatches(docket, reply_seconds=5.0)


def _reads(server: RedisServer) -> int:
    """How often the server has read from a socket."""
    (line,) = (line for line in server.ask(b"INFO", b"stats").split(b"\r\n") if line.startswith(b"total_reads_proc"))
    return int(line.partition(b":")[2])


async def test_what_is_asked_at_once_is_sent_together(batches: RedisBatches, redis_server: RedisServer) -> None:
    await batches.command("PING")  # a connection is made
    before = _reads(redis_server)
    answers = await asyncio.gather(*(batches.command("INCR", "number") for _ in range(60)))
    assert sorted(answers) == list(range(1, 61))
    assert _reads(redis_server) - before < 10


async def test_more_than_one_write_holds_goes_in_several(batches: RedisBatches) -> None:
    answers = await asyncio.gather(*(batches.command("ECHO", str(number)) for number in range(500)))
    assert [int(answer) for answer in answers] == list(range(500))


async def test_a_script_that_redis_does_not_know_is_told_to_it(
    batches: RedisBatches, redis_server: RedisServer
) -> None:
    for _ in range(2):
        answers = await asyncio.gather(*(batches.script("return ARGV[1]", number) for number in range(5)))
        assert answers == [b"0", b"1", b"2", b"3", b"4"]
        redis_server.ask(b"SCRIPT", b"FLUSH")


async def test_a_command_that_is_refused_leaves_the_others_alone(batches: RedisBatches) -> None:
    good, bad, after = await asyncio.gather(
        batches.command("SET", "text", "x"),
        batches.command("INCR", "text"),
        batches.command("GET", "text"),
        return_exceptions=True,
    )
    assert (good, after) == (True, b"x")
    assert isinstance(bad, ResponseError)


async def test_who_has_given_up_is_not_sent_for(batches: RedisBatches) -> None:
    asked = asyncio.ensure_future(batches.command("SET", "mark", "1"))
    await asyncio.sleep(0)
    asked.cancel()
    assert await batches.command("GET", "mark") is None


async def test_a_redis_that_hangs_is_given_up_and_nothing_is_sent_again(
    batches: RedisBatches, redis_server: RedisServer
) -> None:
    await batches.command("PING")
    batches._reply_seconds = 0.2
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        asked = (batches.command("INCR", "number") for _ in range(3))
        found = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    assert [type(error) for error in found] == [TimeoutError] * 3
    assert await batches.command("INCR", "number") in {1, 4}  # it may have had them; it didn't get them twice


async def test_at_the_end_nobody_waits_any_more(batches: RedisBatches) -> None:
    asked = asyncio.ensure_future(batches.command("BLPOP", "nothing", 60))
    for _ in range(2):  # it is on its way
        await asyncio.sleep(0)
    await batches.command("PING")  # in the other lane
    await batches.aclose()
    assert (await asyncio.gather(asked, return_exceptions=True))[0].__class__ is asyncio.CancelledError


async def test_without_redis_everyone_is_told_and_it_is_used_when_it_is_back() -> None:
    server = RedisServer()
    server.start()
    try:
        async with RedisPool(server.url) as pool, pool.docket(f"test-{uuid4().hex}") as docket:
            batches = RedisBatches(docket, reply_seconds=5.0)
            assert await batches.command("ECHO", "x") == b"x"
            server.kill()
            found = await asyncio.gather(*(batches.command("ECHO", "x") for _ in range(3)), return_exceptions=True)
            assert [isinstance(error, RedisConnectionError) for error in found] == [True] * 3
            server.start()
            assert await batches.command("ECHO", "y") == b"y"
    finally:
        server.stop()


class _Held:
    """Redis, whose replies come all at once when they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.let_go = asyncio.Event()
        self.contexts: list[str | None] = []
        monkeypatch.setattr("weaver_ai.tasks.redis.batch._answers", self._answers)
        self.batches = RedisBatches(cast("Docket", self), reply_seconds=30.0)

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[None]:
        yield None

    async def _answers(self, redis: object, commands: Sequence[tuple[object, ...]]) -> list[object]:
        del redis
        self.contexts.append(_asker.get())
        await self.let_go.wait()
        return [command[0] for command in commands]


_asker: ContextVar[str | None] = ContextVar("test_asker", default=None)


async def test_who_asks_again_as_both_lanes_come_free_is_sent_for(monkeypatch: pytest.MonkeyPatch) -> None:
    held = _Held(monkeypatch)

    async def twice() -> list[object]:
        return [await held.batches.command("FIRST"), await held.batches.command("SECOND")]

    asked = asyncio.create_task(twice())
    await asyncio.sleep(0)
    other = asyncio.create_task(held.batches.command("OTHER"))
    while len(held.contexts) < 2:
        await asyncio.sleep(0)
    held.let_go.set()
    async with asyncio.timeout(10):
        assert await asyncio.gather(asked, other) == [["FIRST", "SECOND"], "OTHER"]


async def test_a_lane_is_in_the_context_of_none_that_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    held = _Held(monkeypatch)
    held.let_go.set()
    _asker.set("the first one")
    assert await held.batches.command("PING") == "PING"
    assert held.contexts == [None]

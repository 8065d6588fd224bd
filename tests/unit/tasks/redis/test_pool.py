"""The one pool: who waits for a connection, and for how long."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.exceptions import MaxConnectionsError
from redis.exceptions import TimeoutError as RedisTimeoutError

from weaver_ai.tasks import TaskContext, TaskOutcome, TaskRequest
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.tasks.redis.pool import RedisPool
from weaver_ai.testing.fakes.redis.real import RedisServer

pytest_plugins = ["tests.fixtures.redis_server"]


@pytest.fixture
async def pool(redis_server: RedisServer) -> AsyncIterator[RedisPool]:
    """With eight connections, for which one waits half a second."""
    async with RedisPool(f"{redis_server.url}?max_connections=8&timeout=0.5&client_name=pool") as made:
        yield made


async def held(pool: RedisPool) -> list[asyncio.Task[object]]:
    """Every connection of the pool is in use until somebody pushes to `free`."""
    holding = [asyncio.create_task(pool.client.blpop(["free"], timeout=0)) for _ in range(8)]
    while len(pool.connections._in_use_connections) < 8:
        await asyncio.sleep(0.01)
    return holding


async def test_more_users_than_connections_take_turns(redis_server: RedisServer) -> None:
    async with RedisPool(f"{redis_server.url}?max_connections=8&timeout=30&client_name=turns") as pool:
        answers = await asyncio.gather(*(pool.client.blpop([f"none-{number}"], timeout=0.02) for number in range(30)))
        assert answers == [None] * 30
        async with Redis.from_url(redis_server.url, decode_responses=True) as other:
            assert len([client for client in await other.client_list() if client["name"] == "turns"]) == 8


async def test_who_waits_too_long_is_told_so(pool: RedisPool) -> None:
    holding = await held(pool)
    with pytest.raises(MaxConnectionsError, match="all 8 connections are in use"):
        await pool.client.ping()
    assert await pool.trouble() == "all 8 connections are in use (max_connections of WEAVER_REDIS_URL)"
    for task in holding:
        task.cancel()
    await asyncio.wait(holding)
    assert await pool.trouble() is None


async def test_a_place_that_is_given_up_goes_to_the_next(pool: RedisPool) -> None:
    holding = await held(pool)
    impatient, patient = (asyncio.create_task(pool.trouble()) for _ in range(2))
    await asyncio.sleep(0)
    holding[0].cancel()
    while not pool.connections._available_connections:  # the place is the impatient one's by now, or free
        await asyncio.sleep(0)
    impatient.cancel()
    assert await patient is None
    for task in holding:
        task.cancel()
    await asyncio.wait(holding)


async def test_a_redis_that_hangs_is_given_up() -> None:
    with RedisServer() as server:
        async with RedisPool(f"{server.url}?socket_timeout=0.3&socket_connect_timeout=0.3") as pool:
            assert await pool.trouble() is None
            os.kill(server.pid, signal.SIGSTOP)
            try:
                with pytest.raises(RedisTimeoutError, match=r"no reply within 0.3 s"):
                    await pool.client.ping()
            finally:
                os.kill(server.pid, signal.SIGCONT)
            async with asyncio.timeout(30):
                while await pool.trouble() is not None:
                    await asyncio.sleep(0.05)


async def test_an_engine_has_no_other_connections(redis_server: RedisServer) -> None:
    async def echo(context: TaskContext) -> TaskOutcome:
        return TaskOutcome(result=context.record.input)

    name = f"one-{uuid4().hex}"
    engine = DocketEngine(f"{redis_server.url}?client_name={name}", echo, prefix=f"test-{uuid4().hex}")
    await engine.start()
    try:
        record = await engine.submit(TaskRequest(capability="echo", input="order 7"))
        assert (await engine.result(record.id, timeout_seconds=30)).state == "succeeded"
        async with Redis.from_url(redis_server.url, decode_responses=True) as other:
            clients = [client for client in await other.client_list() if client["db"] == "0"]
        pool = engine.redis.connections
        mine = [client for client in clients if client["name"] == name]
        assert len(mine) == len(pool._available_connections) + len(pool._in_use_connections)
        unnamed = [client for client in clients if client["name"] != name and client["cmd"] != "client|list"]
        assert [client for client in unnamed if "xread" in client["cmd"] or client["psub"] != "0"] == []
    finally:
        await engine.drain(0)
        await engine.aclose()

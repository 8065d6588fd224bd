"""What a waiting task takes of Redis's memory."""

from __future__ import annotations

from uuid import uuid4

from redis.asyncio import Redis

from weaver_ai.tasks import TaskRequest
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.testing.fakes.redis.real import RedisServer

pytest_plugins = ["tests.fixtures.redis_server"]


async def test_a_waiting_task_takes_what_it_holds(running_redis_server: RedisServer) -> None:
    prefix = f"test-{uuid4().hex}"
    gateway = DocketEngine(running_redis_server.url, prefix=prefix)
    await gateway.start()
    try:
        task = await gateway.submit(TaskRequest(capability="echo", input="refund order 7"))
        async with Redis.from_url(running_redis_server.url) as redis:
            taken = {
                kind: await redis.memory_usage(f"{prefix}:{kind}:{task.id}", samples=0) for kind in ("task", "events")
            }
    finally:
        await gateway.aclose()
    # A new stream would take more than 4,096 bytes for its one event.
    assert 0 < taken["events"] < 1500
    assert 0 < taken["task"] < 2000


async def test_where_restore_is_forbidden_a_task_is_taken_all_the_same(running_redis_server: RedisServer) -> None:
    name, password = "limited", uuid4().hex
    async with Redis.from_url(running_redis_server.url) as redis:
        await redis.execute_command("ACL", "SETUSER", name, "on", f">{password}", "~*", "&*", "+@all", "-restore")
        url = running_redis_server.url.replace("redis://", f"redis://{name}:{password}@")
        gateway = DocketEngine(url, prefix=f"test-{uuid4().hex}")
        await gateway.start()
        try:
            task = await gateway.submit(TaskRequest(capability="echo", input="refund order 7"))
            assert (await gateway.status(task.id)).state == "queued"
        finally:
            await gateway.aclose()
            await redis.execute_command("ACL", "DELUSER", name)

"""What a test's Redis promises, over the fake and over a real redis-server: the same answers, the same faults."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from weaver_ai.testing.fakes.redis import TestRedis
from weaver_ai.testing.fakes.redis.fake import FakeBackend
from weaver_ai.testing.fakes.redis.handle import running
from weaver_ai.testing.fakes.redis.real import RealBackend, RedisServer
from weaver_ai.testing.faults import FaultSpec, fault
from weaver_ai.testing.faults.plan import FaultPlan

pytest_plugins = ["tests.fixtures.redis_server"]

HOST = "redis.prod.example"
EARLY = redis.Redis.from_url(f"redis://app:{'pass' + 'word'}@{HOST}:6390/3", decode_responses=True)


@pytest.fixture(params=["fake", "real"])
def backend(request: pytest.FixtureRequest) -> Any:
    return FakeBackend() if request.param == "fake" else RealBackend(request.getfixturevalue("redis_server"))


@pytest.fixture
def plan() -> Iterator[FaultPlan]:
    with FaultPlan("1") as made:
        yield made


@pytest.fixture
def server(backend: Any, plan: FaultPlan) -> Iterator[TestRedis]:
    with running(backend) as started:
        yield started


def once(**options: Any) -> redis.Redis:
    """A client that tries each command once."""
    return redis.Redis(host=HOST, decode_responses=True, retry=Retry(NoBackoff(), 0), **options)


# Who talks to it


def test_every_client_talks_to_the_same_server(server: TestRedis) -> None:
    EARLY.set("key", "value")
    clients = [
        redis.Redis(host=HOST, db=3, decode_responses=True),
        redis.from_url(f"rediss://{HOST}/3", decode_responses=True),
        redis.from_url("unix:///nowhere/redis.sock?db=3", decode_responses=True, protocol=2),  # 8.0.0 fails with 3
        redis.Redis(connection_pool=redis.ConnectionPool(host=HOST, db=3, decode_responses=True)),
        redis.Redis(connection_pool=redis.BlockingConnectionPool(host=HOST, db=3, decode_responses=True)),
        redis.Redis(host=HOST, db=3, decode_responses=True, protocol=2),
        redis.Redis(port=server.port, db=3, decode_responses=True),
    ]
    assert [client.get("key") for client in clients] == ["value"] * len(clients)
    for client in clients:
        client.close()


async def test_asyncio_clients_do_too(server: TestRedis) -> None:
    EARLY.set("key", "value")
    clients = [
        redis.asyncio.Redis(host=HOST, db=3, decode_responses=True),
        redis.asyncio.from_url(f"rediss://{HOST}/3", decode_responses=True),
        redis.asyncio.from_url("unix:///nowhere/redis.sock?db=3", decode_responses=True),
        redis.asyncio.Redis(host=HOST, db=3, decode_responses=True, protocol=2),
    ]
    assert [await client.get("key") for client in clients] == ["value"] * len(clients)
    for client in clients:
        await client.aclose()


def test_another_process_does_too(server: TestRedis) -> None:
    code = "import os, redis; redis.from_url(os.environ['REDIS_URL']).set('from', 'outside')"
    subprocess.run([sys.executable, "-c", code], env={**server.env}, check=True, timeout=30)
    with server.client() as client:
        assert client.get("from") == "outside"


def test_each_test_begins_empty_and_a_client_of_the_last_one_goes_on(backend: Any) -> None:
    with running(backend):
        EARLY.set("left", "over")
    with running(backend):
        assert EARLY.get("left") is None
        assert EARLY.dbsize() == 0


def test_an_asyncio_client_of_the_last_test_goes_on_in_another_loop(backend: Any) -> None:
    client = redis.asyncio.Redis(host=HOST, decode_responses=True)

    async def use() -> bool:
        return bool(await client.set("key", "value"))

    for _ in range(2):
        with running(backend):
            assert asyncio.run(use())


async def test_an_asyncio_client_may_stay_open_at_the_end_of_a_test(backend: Any) -> None:
    client = redis.asyncio.Redis(host=HOST)
    with running(backend):
        await client.set("key", "value")
    assert not any(connection.is_connected for connection in client.connection_pool._available_connections)


def test_a_client_that_was_connected_before_comes_over_and_goes_back(backend: Any, redis_server: RedisServer) -> None:
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        client.set("key", "before")
        with running(backend) as server:
            assert client.get("key") is None
            assert server.connections == 1
        assert client.set("key", "after") is True
        assert redis_server.ask(b"GET", b"key") == b"$5\r\nafter\r\n"


async def test_an_asyncio_client_does_too(backend: Any, redis_server: RedisServer) -> None:
    async with redis.asyncio.Redis(port=redis_server.port, decode_responses=True) as client:
        await client.set("key", "before")
        with running(backend) as server:
            assert await client.get("key") is None
            assert server.connections == 1
        assert await client.set("key", "after") is True
        assert redis_server.ask(b"GET", b"key") == b"$5\r\nafter\r\n"


def test_an_error_names_the_address_of_the_application(server: TestRedis, plan: FaultPlan) -> None:
    plan.arm(fault.redis.down())
    with pytest.raises(redis.ConnectionError) as refused:
        once().get("key")
    assert str(refused.value) == f"Error 111 connecting to {HOST}:6379. Connection refused."


# What it answers


def test_the_commands_of_a_cache(server: TestRedis) -> None:
    with server.client() as client:
        assert client.set("key", "value", nx=True, ex=100) is True
        assert client.set("key", "other", nx=True) is None
        assert 0 < client.ttl("key") <= 100
        assert client.set("gone", "soon", px=30) is True
        time.sleep(0.06)
        assert client.get("gone") is None
        assert client.incrby("count", 5) == 5
        assert client.mget("key", "none", "count") == ["value", None, "5"]


def test_hashes_sorted_sets_and_streams(server: TestRedis) -> None:
    with server.client() as client:
        assert client.hset("hash", mapping={"a": 1, "b": "two"}) == 2
        assert client.hgetall("hash") == {"a": "1", "b": "two"}
        assert client.zadd("scores", {"low": 1, "high": 2.5}) == 2
        assert client.zrange("scores", 0, -1, withscores=True) == [("low", 1.0), ("high", 2.5)]
        assert client.zpopmin("scores") == [("low", 1.0)]
        first = client.xadd("stream", {"n": 1}, id="1-1")
        client.xadd("stream", {"n": 2}, id="2-1")
        assert client.xrange("stream") == [("1-1", {"n": "1"}), ("2-1", {"n": "2"})]
        [[name, [entry]]] = client.xread({"stream": first}, block=10)
        assert (name, entry) == ("stream", ("2-1", {"n": "2"}))


def test_a_group_reads_acknowledges_and_claims(server: TestRedis) -> None:
    with server.client() as client:
        client.xgroup_create("stream", "workers", id="0", mkstream=True)
        client.xadd("stream", {"n": 1}, id="1-1")
        [[_, [(id_, _)]]] = client.xreadgroup("workers", "one", {"stream": ">"})
        assert client.xpending("stream", "workers")["pending"] == 1
        _, [claimed], _ = client.xautoclaim("stream", "workers", "two", 0)
        assert claimed[0] == id_
        assert client.xack("stream", "workers", id_) == 1
        assert client.xpending("stream", "workers")["pending"] == 0


def test_transactions(server: TestRedis) -> None:
    with server.client() as client:
        with client.pipeline() as pipeline:
            assert pipeline.set("a", 1).incr("a").get("a").execute() == [True, 2, "2"]
        with client.pipeline() as watching:
            watching.watch("a")
            client.set("a", 9)
            watching.multi()
            watching.set("a", 10)
            with pytest.raises(redis.WatchError):
                watching.execute()
        assert client.get("a") == "9"


def test_scripts_and_locks(server: TestRedis) -> None:
    pytest.importorskip("lupa", reason="the fake runs Lua with lupa only")
    with server.client() as client:
        assert client.eval("return {KEYS[1], ARGV[1], redis.call('incr', KEYS[1])}", 1, "n", "x") == ["n", "x", 1]
        double = client.register_script("return redis.call('get', KEYS[1]) * 2")
        client.set("n", 21)
        assert double(keys=["n"]) == 42
        with client.lock("lock", timeout=5):
            assert client.lock("lock").acquire(blocking=False) is False
        assert client.lock("lock").acquire(blocking=False) is True


def test_errors_are_those_of_redis(server: TestRedis) -> None:
    with server.client() as client:
        client.rpush("list", "a")
        with pytest.raises(
            redis.ResponseError, match=r"^WRONGTYPE Operation against a key holding the wrong kind of value$"
        ):
            client.get("list")
        client.set("text", "a")
        with pytest.raises(redis.ResponseError, match=r"^value is not an integer or out of range$"):
            client.incr("text")
        assert client.ping() is True  # the connection survived


def test_what_blocks_waits_for_another_client(server: TestRedis) -> None:
    with server.client() as waiting, server.client() as pushing:
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(waiting.blpop(["queue"], timeout=10)))
        thread.start()
        while not server.connections:
            time.sleep(0.005)
        time.sleep(0.05)
        pushing.rpush("queue", "job")
        thread.join(10)
        assert answers == [("queue", "job")]
        began = time.perf_counter()
        assert waiting.blpop(["queue"], timeout=0.1) is None
        assert time.perf_counter() - began >= 0.09


async def test_a_reader_of_a_stream_is_woken(server: TestRedis) -> None:
    client = server.async_client()
    reading = asyncio.ensure_future(client.xread({"events": "$"}, block=5000))
    await asyncio.sleep(0.05)
    writing = server.client()
    writing.xadd("events", {"n": 1}, id="1-1")
    writing.close()
    [[name, entries]] = await reading
    await client.aclose()
    assert (name, entries) == ("events", [("1-1", {"n": "1"})])


def test_who_left_while_waiting_takes_nothing(server: TestRedis) -> None:
    impatient = once(socket_timeout=0.05)
    with pytest.raises(redis.TimeoutError):
        impatient.blpop(["queue"], timeout=30)
    time.sleep(0.1)
    with server.client() as client:
        client.rpush("queue", "job")
        assert client.lpop("queue") == "job"


@pytest.mark.parametrize("protocol", [2, 3])
def test_published_messages_arrive(server: TestRedis, protocol: int) -> None:
    with redis.Redis(host=HOST, decode_responses=True, protocol=protocol) as client, client.pubsub() as listening:
        listening.subscribe("news")
        assert listening.get_message(timeout=2)["type"] == "subscribe"
        assert client.publish("news", "hello") == 1
        message = listening.get_message(timeout=2)
        assert (message["channel"], message["data"]) == ("news", "hello")
        listening.psubscribe("n*")
        assert listening.get_message(timeout=2)["type"] == "psubscribe"


def test_binary_values_come_back_as_they_are(server: TestRedis) -> None:
    data = bytes(range(256)) * 300
    with server.client(decode_responses=False) as client:
        client.set(b"\r\n\x00", data)
        assert client.get(b"\r\n\x00") == data


# What goes wrong, the same in both


def said(error: pytest.ExceptionInfo[Exception]) -> tuple[str, str]:
    return type(error.value).__name__, str(error.value)


def test_down_until_it_is_lifted(server: TestRedis, plan: FaultPlan) -> None:
    client = once()
    client.set("kept", 1)
    with plan.arm(fault.redis.down()) as down:
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                client.get("kept")
        assert server.connections == 0
        assert down.hits >= 1
    assert client.get("kept") == "1"


async def test_down_for_asyncio(server: TestRedis, plan: FaultPlan) -> None:
    from redis.asyncio.retry import Retry as AsyncRetry

    client = redis.asyncio.Redis(host=HOST, decode_responses=True, retry=AsyncRetry(NoBackoff(), 0))
    await client.set("kept", 1)
    with plan.arm(fault.redis.down()), pytest.raises(redis.ConnectionError):
        await client.get("kept")
    assert await client.get("kept") == "1"
    await client.aclose()


def test_down_from_the_start(backend: Any, plan: FaultPlan) -> None:
    with running(backend) as server:
        plan.arm(fault.redis.down())
        with pytest.raises(redis.ConnectionError):
            once().ping()
        code = "import os, redis; redis.from_url(os.environ['REDIS_URL'], retry=None).ping()"
        done = subprocess.run(
            [sys.executable, "-c", code], env={**server.env}, capture_output=True, text=True, check=False, timeout=30
        )
        assert "Connection refused" in done.stderr


def test_down_on_one_call_loses_that_connection_only(server: TestRedis, plan: FaultPlan) -> None:
    client = once()
    plan.arm(fault.redis.down()).on_call(2)
    client.set("a", 1)
    with pytest.raises(redis.ConnectionError):
        client.set("a", 2)
    assert client.get("a") == "1"


def test_slow_is_late_or_a_timeout(server: TestRedis, plan: FaultPlan) -> None:
    client = once()
    client.ping()
    with plan.arm(fault.redis.slow(0.1)):
        began = time.perf_counter()
        assert client.get("a") is None
        assert time.perf_counter() - began >= 0.1
    impatient = once(socket_timeout=0.1)
    impatient.ping()
    with plan.arm(fault.redis.slow(5)), pytest.raises(redis.TimeoutError):
        impatient.get("a")


def test_flaky_fails_so_often_and_then_works(server: TestRedis, plan: FaultPlan) -> None:
    client = once()
    flaky = plan.arm(fault.redis.flaky(2))
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            client.incr("n")
    assert client.incr("n") == 1
    assert flaky.struck == [1, 2]


def test_a_client_that_retries_gets_over_it(server: TestRedis, plan: FaultPlan) -> None:
    client = redis.Redis(host=HOST, decode_responses=True, retry=Retry(NoBackoff(), 3))
    flaky = plan.arm(fault.redis.flaky(2))
    assert client.incr("n") == 1
    assert flaky.hits == 2


def test_a_replica_reads_and_does_not_write(server: TestRedis, plan: FaultPlan) -> None:
    client = once()
    client.set("a", 1)
    plan.arm(fault.redis.readonly())
    assert client.get("a") == "1"
    with pytest.raises(redis.exceptions.ReadOnlyError) as refused:
        client.set("a", 2)
    assert str(refused.value) == "You can't write against a read only replica."
    with pytest.raises(redis.exceptions.ReadOnlyError):
        client.delete("a")
    with pytest.raises(redis.exceptions.ReadOnlyError):
        client.eval("return redis.call('set', 'a', 2)", 0)


def test_without_memory_only_what_takes_none_goes(server: TestRedis, plan: FaultPlan) -> None:
    client = once()
    client.set("a", 1)
    plan.arm(fault.redis.oom())
    with pytest.raises(redis.exceptions.OutOfMemoryError) as refused:
        client.set("b", 2)
    assert str(refused.value) == "command not allowed when used memory > 'maxmemory'."
    assert client.get("a") == "1"
    assert client.delete("a") == 1


@pytest.mark.parametrize(
    ("refusing", "kind", "words"),
    [
        (fault.redis.readonly(), redis.exceptions.ReadOnlyError, "You can't write against a read only replica."),
        (fault.redis.oom(), redis.exceptions.OutOfMemoryError, "command not allowed when used memory > 'maxmemory'."),
    ],
    ids=["readonly", "oom"],
)
def test_a_script_that_reads_runs_and_one_that_writes_is_refused(
    server: TestRedis, plan: FaultPlan, refusing: FaultSpec, kind: type[Exception], words: str
) -> None:
    client = once()
    client.set("a", 1)
    read, write = "return redis.call('GET', 'a')", "redis.call('GET', 'a') redis.call('SET', 'a', 2) return 1"
    sha = client.script_load(write)
    with plan.arm(refusing):
        assert client.eval(read, 0) == "1"
        for asked in (lambda: client.eval(write, 0), lambda: client.evalsha(sha, 0)):
            with pytest.raises(kind) as refused:
                asked()
            assert str(refused.value).startswith(words)
        with client.pipeline() as pipeline:
            answers = pipeline.eval(read, 0).eval(write, 0).execute(raise_on_error=False)
        assert (answers[0], type(answers[1])) == ("1", kind)
    assert client.get("a") == "1"
    assert client.evalsha(sha, 0) == 1


def test_a_refused_command_spoils_its_transaction(server: TestRedis, plan: FaultPlan) -> None:
    client = once()
    plan.arm(fault.redis.readonly())
    with client.pipeline() as pipeline, pytest.raises(redis.RedisError):
        pipeline.get("a").set("a", 1).execute()
    plan.lift_all()
    assert client.get("a") is None
    assert client.set("a", 2) is True


def test_refusals_keep_their_place_in_a_pipeline(server: TestRedis, plan: FaultPlan) -> None:
    client = once()
    client.set("a", 1)
    plan.arm(fault.redis.readonly())
    with client.pipeline(transaction=False) as pipeline:
        got = pipeline.get("a").set("a", 2).get("a").delete("a").execute(raise_on_error=False)
    assert [type(each).__name__ for each in got] == ["str", "ReadOnlyError", "str", "ReadOnlyError"]


def test_a_restart_closes_every_connection_once(server: TestRedis, plan: FaultPlan) -> None:
    first, second = once(), once()
    first.set("kept", 1)
    second.ping()
    plan.arm(fault.redis.reconnect())
    with pytest.raises(redis.ConnectionError):
        first.get("kept")
    assert first.get("kept") == "1"
    assert second.get("kept") == "1"


def test_what_a_client_says_when_it_connects_is_no_call(server: TestRedis, plan: FaultPlan) -> None:
    second = plan.arm(fault.redis.flaky(1)).on_call(2)
    for _ in range(2):
        with once(client_name="app", db=1) as client:
            assert client.connection_pool.get_connection().is_connected
    assert second.calls == 0


def test_a_ping_is_a_call_by_which_health_checks_see_the_fault(server: TestRedis, plan: FaultPlan) -> None:
    client = once(socket_timeout=0.2)
    with plan.arm(fault.redis.slow(5)), pytest.raises(redis.TimeoutError):
        client.ping()
    with plan.arm(fault.redis.flaky(1)):
        with pytest.raises(redis.ConnectionError):
            client.ping()
        assert client.ping()
    for refusing in (fault.redis.readonly(), fault.redis.oom()):
        with plan.arm(refusing).optional():
            assert client.ping(), "it writes nothing"


def test_faults_say_what_a_real_server_says(redis_server: RedisServer, plan: FaultPlan) -> None:
    """The words, taken from a redis-server that is in these states."""
    with running(RealBackend(redis_server)):
        client = once()
        client.set("a", 1)
        redis_server.ask(b"CONFIG", b"SET", b"maxmemory", b"1")
        with pytest.raises(redis.RedisError) as real_oom:
            client.set("b", 1)
        redis_server.ask(b"CONFIG", b"SET", b"maxmemory", b"0")
        with plan.arm(fault.redis.oom()), pytest.raises(redis.RedisError) as our_oom:
            client.set("b", 1)
        redis_server.ask(b"REPLICAOF", b"127.0.0.1", b"1")
        with pytest.raises(redis.RedisError) as real_readonly:
            client.set("b", 1)
        with client.pipeline() as pipeline, pytest.raises(redis.RedisError) as real_abort:
            pipeline.get("a").set("b", 1).execute()
        redis_server.ask(b"REPLICAOF", b"NO", b"ONE")
        plan.arm(fault.redis.readonly())
        with pytest.raises(redis.RedisError) as our_readonly:
            client.set("b", 1)
        with client.pipeline() as pipeline, pytest.raises(redis.RedisError) as our_abort:
            pipeline.get("a").set("b", 1).execute()
    assert said(our_oom) == said(real_oom)
    assert said(our_readonly) == said(real_readonly)
    assert said(our_abort) == said(real_abort)


# What only a real server has


def test_what_the_fake_has_not_it_says() -> None:
    with running(FakeBackend()) as server, server.client() as client:
        for command in (("INFO",), ("CONFIG", "GET", "maxmemory"), ("CLUSTER", "SLOTS"), ("WAIT", 1, 10)):
            with pytest.raises(redis.ResponseError) as refused:
                client.execute_command(*command)
            assert str(refused.value) == (
                f"the fake Redis has no {command[0]}; a real server has: pytest --weaver-redis=real"
            )
        with pytest.raises(redis.ResponseError, match=r"^unknown command"):
            client.execute_command("NOSUCHCOMMAND")
        assert server.refused == ["INFO", "CONFIG", "CLUSTER", "WAIT"]
        assert next(iter(server.lines())) == "the fake Redis has no INFO; a real server has: pytest --weaver-redis=real"


def test_without_lupa_a_script_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lupa", None)
    with running(FakeBackend()) as server, server.client() as client:
        with pytest.raises(redis.ResponseError) as refused:
            client.eval("return 1", 0)
        assert str(refused.value) == (
            "the fake Redis runs EVAL with lupa only: pip install 'fakeredis[lua]'; or pytest --weaver-redis=real"
        )


def test_clients_of_fakeredis_itself_join() -> None:
    import fakeredis

    with running(FakeBackend()) as server, server.client() as client:
        client.set("key", "value")
        with fakeredis.FakeRedis(decode_responses=True) as direct:
            assert direct.get("key") == "value"
            assert direct.connection_pool.connection_kwargs["host"] == "fakeredis"

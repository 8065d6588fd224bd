"""Generated sequences of commands, answered by the fake and by a real redis-server: alike."""

from __future__ import annotations

import pytest
import redis
import redis.asyncio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry

from weaver_ai.testing.fakes.redis.fake import FakeBackend
from weaver_ai.testing.fakes.redis.handle import running
from weaver_ai.testing.fakes.redis.real import RealBackend, RedisServer

pytest_plugins = ["tests.fixtures.redis_server"]

KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["", "1", "-7", "2.5", "text", "\x00\xff"])
NUMBERS = st.integers(-5, 5).map(str)
SCORES = st.sampled_from(["-1", "0", "1", "1.5", "3e2"])
FIELDS = st.sampled_from(["f", "g"])
IDS = st.sampled_from(["0", "1-1", "2-0", "3-7", "*nonsense"])
SECONDS = st.sampled_from(["100", "1000", "0", "-1"])
COMMAND = st.one_of(
    st.tuples(st.just("SET"), KEYS, VALUES),
    st.tuples(st.just("SET"), KEYS, VALUES, st.just("NX")),
    st.tuples(st.just("SET"), KEYS, VALUES, st.just("XX"), st.just("GET")),
    st.tuples(st.just("SET"), KEYS, VALUES, st.just("NX"), st.just("EX"), SECONDS),
    st.tuples(st.just("SETEX"), KEYS, SECONDS, VALUES),
    st.tuples(st.sampled_from(["GET", "STRLEN", "TYPE", "TTL", "PERSIST", "EXISTS", "DEL", "GETDEL"]), KEYS),
    st.tuples(st.sampled_from(["INCR", "DECR"]), KEYS),
    st.tuples(st.just("INCRBY"), KEYS, NUMBERS),
    st.tuples(st.just("APPEND"), KEYS, VALUES),
    st.tuples(st.just("EXPIRE"), KEYS, SECONDS),
    st.tuples(st.just("HSET"), KEYS, FIELDS, VALUES),
    st.tuples(st.just("HSETNX"), KEYS, FIELDS, VALUES),
    st.tuples(st.sampled_from(["HGET", "HDEL", "HEXISTS"]), KEYS, FIELDS),
    st.tuples(st.sampled_from(["HGETALL", "HLEN", "HKEYS", "HVALS"]), KEYS),
    st.tuples(st.just("HINCRBY"), KEYS, FIELDS, NUMBERS),
    st.tuples(st.sampled_from(["LPUSH", "RPUSH"]), KEYS, VALUES),
    st.tuples(st.sampled_from(["LPOP", "RPOP", "LLEN"]), KEYS),
    st.tuples(st.just("LRANGE"), KEYS, NUMBERS, NUMBERS),
    st.tuples(st.sampled_from(["SADD", "SREM", "SISMEMBER"]), KEYS, VALUES),
    st.tuples(st.just("SCARD"), KEYS),
    st.tuples(st.just("ZADD"), KEYS, SCORES, FIELDS),
    st.tuples(st.just("ZADD"), KEYS, st.sampled_from(["NX", "XX", "GT", "LT"]), SCORES, FIELDS),
    st.tuples(st.sampled_from(["ZSCORE", "ZREM", "ZRANK"]), KEYS, FIELDS),
    st.tuples(st.just("ZINCRBY"), KEYS, SCORES, FIELDS),
    st.tuples(st.just("ZRANGE"), KEYS, NUMBERS, NUMBERS, st.just("WITHSCORES")),
    st.tuples(st.just("ZRANGEBYSCORE"), KEYS, st.sampled_from(["-inf", "(1", "0"]), st.sampled_from(["+inf", "2"])),
    st.tuples(st.sampled_from(["ZPOPMIN", "ZCARD"]), KEYS),
    st.tuples(st.just("ZREMRANGEBYSCORE"), KEYS, SCORES, SCORES),
    st.tuples(st.just("XADD"), KEYS, IDS, FIELDS, VALUES),
    st.tuples(st.just("XADD"), KEYS, st.just("MAXLEN"), st.just("2"), IDS, FIELDS, VALUES),
    st.tuples(st.sampled_from(["XRANGE", "XREVRANGE"]), KEYS, st.sampled_from(["-", "+", "1-1"]), st.just("+")),
    st.tuples(st.just("XREAD"), st.just("COUNT"), st.just("2"), st.just("STREAMS"), KEYS, IDS),
    st.tuples(st.sampled_from(["XLEN"]), KEYS),
    st.tuples(st.just("XDEL"), KEYS, IDS.filter(lambda id_: id_ != "*nonsense")),  # the fake looks at the id first
    st.tuples(st.just("XTRIM"), KEYS, st.just("MAXLEN"), st.just("1")),
)
TRANSACTION = st.lists(COMMAND, min_size=1, max_size=3).map(lambda commands: [("MULTI",), *commands, ("EXEC",)])
SEQUENCES = st.lists(COMMAND.map(lambda command: [command]) | TRANSACTION, max_size=14).map(
    lambda parts: [command for part in parts for command in part]
)


class Talker:
    """One plain connection: sends commands, gives replies as the protocol has them."""

    def __init__(self, port: int, protocol: int) -> None:
        self._client = redis.Redis(port=port, protocol=protocol, retry=Retry(NoBackoff(), 0))
        self._connection = self._client.connection_pool.get_connection()

    def say(self, command: tuple[str, ...]) -> object:
        self._connection.send_command(*command)
        try:
            return comparable(self._connection.read_response())
        except redis.ResponseError as refused:
            return comparable(refused)

    def close(self) -> None:
        self._client.connection_pool.release(self._connection)
        self._client.close()


def comparable(reply: object) -> object:
    """Replies without what may differ: the words of an error beyond its kind, the order of a set."""
    if isinstance(reply, Exception):
        return f"error {type(reply).__name__}"
    if isinstance(reply, set):
        return sorted(reply)
    if isinstance(reply, dict):
        return {key: comparable(value) for key, value in reply.items()}
    if isinstance(reply, list):
        return [comparable(each) for each in reply]
    return reply


LATER = str(2**42)  # milliseconds since 1970, a hundred years from now
OVER = [
    (("EXPIRE", "a", "0"), ("SET", "a", "", "NX")),
    (("EXPIRE", "a", "0"), ("GET", "a"), ("EXISTS", "a"), ("TTL", "a")),
    (("EXPIRE", "a", "0"), ("HSET", "a", "f", "1")),
    (("EXPIRE", "a", "0"), ("EXPIRE", "a", "100"), ("DEL", "a")),
    (("PEXPIRE", "a", "0"), ("INCR", "a")),
    (("EXPIREAT", "a", "1"), ("SET", "a", "", "NX")),
    (("GETEX", "a", "EXAT", "1"), ("SET", "a", "", "NX")),
    (("PEXPIREAT", "a", "1"), ("PERSIST", "a")),
    (("EXPIRE", "a", "100"), ("SET", "a", "", "NX"), ("TTL", "a")),
    (("PEXPIREAT", "a", LATER), ("PERSIST", "a"), ("GET", "a")),
    (("EXPIRE", "nothing", "0"), ("EXISTS", "nothing")),
]


@pytest.mark.parametrize("commands", OVER, ids=lambda commands: " ".join(commands[0]))
@pytest.mark.parametrize("transaction", [True, False], ids=["transaction", "one by one"])
def test_what_expires_at_once_is_gone_at_once(
    redis_server: RedisServer, commands: tuple[tuple[str, ...], ...], transaction: bool
) -> None:
    sent = [("MULTI",), *commands, ("EXEC",)] if transaction else list(commands)
    sent = [("SET", "a", "1"), *sent, ("GET", "a")]
    fake, real = (answers_of(backend, sent, 2) for backend in (FakeBackend(), RealBackend(redis_server)))
    assert fake == real


def answers_of(backend: FakeBackend | RealBackend, commands: list[tuple[str, ...]], protocol: int) -> list[object]:
    with running(backend) as server:
        talker = Talker(server.port, protocol)
        answers = [talker.say(command) for command in commands]
        talker.close()
    return answers


@pytest.mark.parametrize("protocol", [2, 3])
def test_sequences_of_commands_are_answered_alike(redis_server: RedisServer, protocol: int) -> None:
    fake, real = FakeBackend(), RealBackend(redis_server)

    @settings(max_examples=120, deadline=None)
    @given(SEQUENCES)
    @example([("SET", "a", "1"), ("MULTI",), ("EXPIRE", "a", "0"), ("SET", "a", "", "NX"), ("EXEC",), ("GET", "a")])
    def compare(commands: list[tuple[str, ...]]) -> None:
        answers = [answers_of(backend, commands, protocol) for backend in (fake, real)]
        for command, one, other in zip(commands, *answers, strict=True):
            assert one == other, command

    compare()

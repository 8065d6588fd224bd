"""The fixture `fake_redis` in somebody else's test files, fake and real."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import opentelemetry.instrumentation.redis
import pytest
import redis.asyncio

import weaver_ai.testing.fakes.redis.fixture
from tests.integration.plugin.conftest import Run
from weaver_ai.testing.fakes.redis.real import NOT_INSTALLED

# A run in this process drops what it was the first to import, and would import it again each time.
PRELOADED = (opentelemetry.instrumentation.redis, redis.asyncio, weaver_ai)

REAL = pytest.param(
    "real", marks=pytest.mark.skipif(shutil.which("redis-server") is None, reason=NOT_INSTALLED), id="real"
)
AUTO = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
BACKENDS = pytest.mark.parametrize("backend", ["fake", REAL])

APPLICATION = """
import redis, redis.asyncio
from weaver_ai.testing import span
from weaver_ai.testing.faults import every, fault

CACHE = redis.Redis.from_url("redis://app:any@redis.shop.example:6390/1", decode_responses=True)

def remember(key, value):
    CACHE.set(key, value, ex=60)
    return CACHE.get(key)
"""


@BACKENDS
def test_the_same_tests_on_either(run_here: Run, backend: str) -> None:
    result = run_here(
        APPLICATION
        + f"""
def test_sync(fake_redis):
    assert remember("a", "1") == "1"
    assert fake_redis.client().ttl("a") == -2  # that is database 0
    assert redis.Redis(port=fake_redis.port, db=1).ttl("a") > 0

async def test_async(fake_redis):
    async with redis.asyncio.from_url("redis://elsewhere/1", decode_responses=True) as client:
        assert await client.get("a") is None
        remember("a", "2")
        assert await client.get("a") == "2"

def test_which(fake_redis):
    assert fake_redis.is_real is ({backend!r} == "real")
""",
        f"--weaver-redis={backend}",
        *AUTO,
        plugins=["pytest_asyncio.plugin"],
    )
    result.assert_outcomes(passed=3)


@BACKENDS
def test_every_fault_of_redis_and_what_the_application_makes_of_it(run_here: Run, backend: str) -> None:
    result = run_here(
        """
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from weaver_ai.testing.faults import every, fault

def cached(key):
    client = redis.Redis(socket_timeout=0.5, retry=Retry(NoBackoff(), 0))
    try:
        client.set(key, 1)
        return "stored"
    except redis.RedisError as error:
        return type(error).__name__

EXPECTED = {
    "redis-down": "ConnectionError",
    "redis-slow-3s": "TimeoutError",
    "redis-flaky-1": "ConnectionError",
    "redis-readonly": "ReadOnlyError",
    "redis-oom": "OutOfMemoryError",
    "redis-reconnect": "ConnectionError",
}

@pytest.mark.faults(fault.redis.slow(3), *[spec for spec in every(fault.redis) if spec.kind != "slow"])
def test_it(fake_redis, armed_fault):
    assert cached("a") == EXPECTED[armed_fault.id]
    armed_fault.lift()
    assert cached("a") == "stored"
""",
        f"--weaver-redis={backend}",
        "-v",
    )
    result.assert_outcomes(passed=6)


@BACKENDS
def test_spans_name_the_address_of_the_application(run_here: Run, backend: str) -> None:
    result = run_here(
        APPLICATION
        + """
from opentelemetry.instrumentation.redis import RedisInstrumentor

@pytest.fixture(autouse=True)
def traced():
    RedisInstrumentor().instrument()
    yield
    RedisInstrumentor().uninstrument()

def test_it(spans, fake_redis):
    remember("a", "1")
    first, second = spans.all(kind="client")
    assert (first.name, second.name) == ("SET", "GET")
    assert "redis.shop.example" in first.attributes.values()
    assert str(fake_redis.port) not in map(str, first.attributes.values())
""",
        f"--weaver-redis={backend}",
    )
    result.assert_outcomes(passed=1)


def test_what_the_fake_has_not_is_in_the_report_even_if_it_was_swallowed(run_here: Run) -> None:
    result = run_here(
        APPLICATION
        + """
def test_it(fake_redis):
    try:
        CACHE.info()
    except redis.RedisError:
        pass
    assert False
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- weaver fake Redis -*",
            "the fake Redis has no INFO; a real server has: pytest --weaver-redis=real",
        ]
    )


def test_without_a_redis_server_the_option_says_so(
    run_here: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run_here("def test_it(fake_redis): pass\n", "--weaver-redis=real")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["--weaver-redis=real: redis-server is not installed: apt-get install redis-server, or brew install redis"]
    )


def test_without_the_extra_it_says_which(run: Run) -> None:
    result = run(
        """
        import sys
        sys.modules["fakeredis"] = None

        def test_it(fake_redis):
            pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["the fixture 'fake_redis' needs the extra 'fakes': pip install 'weaver-ai[[]testing,fakes]'"]
    )
    assert "During handling" not in result.stdout.str()


def test_time_passes_for_the_fake_as_the_clock_says(run_here: Run) -> None:
    result = run_here(
        APPLICATION
        + """
def test_it(frozen_clock, fake_redis):
    remember("a", "1")
    frozen_clock.advance(59)
    assert CACHE.get("a") == "1"
    frozen_clock.advance(2)
    assert CACHE.get("a") is None
"""
    )
    result.assert_outcomes(passed=1)


def test_back_off_of_redis_py_costs_no_time(run_here: Run) -> None:
    result = run_here(
        """
        import redis

        def test_it(frozen_clock, fake_redis, faults):
            faults.redis.flaky(3)
            assert redis.Redis().incr("n") == 1  # redis-py's own three retries
            assert len(frozen_clock.slept) == 3
        """
    )
    result.assert_outcomes(passed=1)


def test_a_session_with_several_tests_leaves_no_server_behind(run: Run) -> None:
    result = run(
        APPLICATION
        + """
import subprocess

PIDS = []

@pytest.mark.parametrize("n", range(3))
def test_it(fake_redis, n):
    assert remember("a", n) == str(n)
    PIDS.append(CACHE.info()["process_id"])

def test_one_server_for_all():
    assert len(set(PIDS)) == 1
    print("PID", PIDS[0])
""",
        "--weaver-redis=real",
        "-s",
    )
    if shutil.which("redis-server") is None:
        pytest.skip(NOT_INSTALLED)
    result.assert_outcomes(passed=4)
    found = re.search(r"PID (\d+)", result.stdout.str())
    assert found is not None
    assert not Path(f"/proc/{found[1]}").exists()

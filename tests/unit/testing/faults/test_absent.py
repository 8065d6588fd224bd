import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from weaver_ai.testing.faults.absent import extras, modules_of, without, without_extra

ROOT = Path(__file__).parents[4]


def test_a_package_can_not_be_imported_and_is_not_found():
    import redis

    with without("redis"):
        assert find_spec("redis") is None
        with pytest.raises(ModuleNotFoundError) as missing:
            importlib.import_module("redis")
        assert missing.value.name == "redis"
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("redis.asyncio")
    assert sys.modules["redis"] is redis
    assert importlib.import_module("redis") is redis


def test_a_module_inside_a_namespace_goes_alone():
    name = "opentelemetry.instrumentation.redis"
    before = importlib.import_module(name)
    with without(name):
        assert find_spec("opentelemetry.instrumentation") is not None
        with pytest.raises(ImportError):
            from opentelemetry.instrumentation import redis  # noqa: F401
    assert importlib.import_module(name) is before
    assert sys.modules["opentelemetry.instrumentation"].redis is before


def test_it_comes_back_after_an_error():
    import redis

    with pytest.raises(LookupError), without("redis"):
        raise LookupError
    assert sys.modules["redis"] is redis


def test_the_extras_are_those_of_the_project():
    found = extras()
    assert {"fakes", "gateway", "logfire", "redis", "testing"} <= set(found)
    assert set(found["redis"]) == {"opentelemetry-instrumentation-redis", "pydocket", "redis"}


def test_what_a_distribution_brings_alone():
    assert modules_of(["redis"]) == ["redis"]
    assert modules_of(["opentelemetry-instrumentation-redis"]) == ["opentelemetry.instrumentation.redis"]
    assert modules_of(["no-such-distribution"]) == []


def test_an_extra_takes_all_it_brings():
    with without_extra("redis"):
        assert find_spec("redis") is None
        with pytest.raises(ImportError):
            importlib.import_module("opentelemetry.instrumentation.redis")
        assert find_spec("opentelemetry.instrumentation.httpx") is not None
    assert find_spec("redis") is not None


def test_an_unknown_extra_is_refused_with_those_there_are():
    with pytest.raises(ValueError) as refused, without_extra("redos"):
        pass
    assert str(refused.value) == f"weaver-ai has no extra 'redos'; it has {', '.join(sorted(extras()))}"


SCRIPT = """
import logging
from opentelemetry import trace
from weaver_ai.settings import Settings
from weaver_ai.telemetry import configure_telemetry, start_span
from weaver_ai.telemetry.runtime import current_telemetry
from weaver_ai.testing.faults.absent import without_logfire

settings = Settings(_env_file=None, telemetry_service_name="shop")
first = configure_telemetry(settings) if {before} else current_telemetry()
provider = trace.get_tracer_provider()
with without_logfire():
    chosen = configure_telemetry(settings)
    print(chosen.name, type(trace.get_tracer_provider()).__module__.partition(".")[0])
    with start_span("inside"):
        pass
    try:
        import logfire
    except ModuleNotFoundError as missing:
        print(missing.name)
assert current_telemetry() is first
assert trace.get_tracer_provider() is provider
print(configure_telemetry(settings).name)
import logfire
"""


@pytest.mark.parametrize("before", [True, False])
def test_telemetry_chooses_again_without_logfire_and_comes_back(before):
    pytest.importorskip("logfire", reason="where Logfire is not installed there is nothing to take away")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(before=before)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Logfire not available - install with: pip install 'weaver-ai[logfire]'") == 1, done.stderr
    printed = [line for line in done.stdout.splitlines() if line in {"opentelemetry opentelemetry", "logfire"}]
    assert printed == ["opentelemetry opentelemetry", "logfire", "logfire"], done.stdout + done.stderr

"""Components: what makes the service degraded, and what doesn't."""

from __future__ import annotations

import asyncio

import pytest

from weaver_ai.agents import ProviderStatus
from weaver_ai.gateway.health import RedisCheck, _engine, _telemetry, is_degraded, providers_of, survey
from weaver_ai.gateway.schemas import Component
from weaver_ai.tasks import EngineHealth
from weaver_ai.tasks.redis.pool import RedisPool
from weaver_ai.telemetry import ExporterHealth
from weaver_ai.telemetry.off_backend import OffTelemetry
from weaver_ai.testing.fakes.redis.real import RedisServer

pytest_plugins = ["tests.fixtures.redis_server"]


@pytest.mark.parametrize(
    ("state", "degraded"),
    [
        ("ok", False),
        ("off", False),
        ("configured", False),
        ("unconfigured", False),
        ("degraded", True),
        ("down", True),
    ],
)
def test_what_degrades(state: str, degraded: bool) -> None:
    fine, other = Component(state="ok"), Component.model_validate({"state": state})
    assert is_degraded({"a": fine, "b": other}) is degraded


async def test_parts_are_asked_at_the_same_time_and_a_silent_one_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weaver_ai.gateway.health._TIMEOUT_SECONDS", 0.05)
    both = asyncio.Barrier(2)

    async def meets() -> Component:
        await both.wait()
        return Component(state="ok")

    async def silent() -> Component:
        await asyncio.sleep(60)
        raise AssertionError("it was waited for")

    found = await survey({"a": meets, "b": meets, "c": silent})
    assert {name: part.state for name, part in found.items()} == {"a": "ok", "b": "ok", "c": "down"}
    assert found["c"].reason == "no answer within 0.05 s"


async def test_the_engine() -> None:
    class Engine:
        async def health(self) -> EngineHealth:
            return EngineHealth(state="degraded", reason="slow", latency=0.0123)

    assert await _engine(Engine()) == Component(state="degraded", reason="slow", latency_ms=12.3)  # type: ignore[arg-type]


async def test_an_engine_without_a_server_tells_how_long_it_took_to_answer() -> None:
    class Engine:
        async def health(self) -> EngineHealth:
            await asyncio.sleep(0.01)
            return EngineHealth(state="ok")

    found = await _engine(Engine())  # type: ignore[arg-type]
    assert found.latency_ms is not None
    assert 5 < found.latency_ms < 1000


async def test_telemetry_that_is_off() -> None:
    assert await _telemetry(OffTelemetry()) == Component(state="off")


@pytest.mark.parametrize(
    ("health", "component"),
    [
        (ExporterHealth("ok"), Component(state="ok")),
        (ExporterHealth("ok", latency=0.0042), Component(state="ok", latency_ms=4.2)),
        (ExporterHealth("degraded", reason="refused"), Component(state="degraded", reason="refused")),
        (
            ExporterHealth("off"),
            Component(state="off", reason="nothing leaves this process: no exporter is configured"),
        ),
    ],
)
async def test_telemetry_that_is_on(health: ExporterHealth, component: Component) -> None:
    class On(OffTelemetry):
        enabled = True

        def exporter_health(self) -> ExporterHealth:
            return health

    assert await _telemetry(On()) == component


def test_providers() -> None:
    statuses = [ProviderStatus(name="openai", configured=True), ProviderStatus(name="anthropic", configured=False)]
    assert providers_of(statuses) == {
        "openai": Component(state="configured"),
        "anthropic": Component(state="unconfigured", reason="ANTHROPIC_API_KEY isn't set"),
    }


async def test_redis_that_answers(redis_server: RedisServer) -> None:
    check = RedisCheck(RedisPool(redis_server.url))
    found = await check()
    await check.aclose()
    assert (found.state, found.reason) == ("ok", None)
    assert found.latency_ms is not None


async def test_redis_that_refuses() -> None:
    check = RedisCheck(RedisPool("redis://127.0.0.1:1"))
    found = await check()
    await check.aclose()
    assert found == Component(state="down", reason="the ping failed: ConnectionError")

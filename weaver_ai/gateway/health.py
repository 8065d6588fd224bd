"""How the parts of the service are. No model provider is called to find out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from weaver_ai.agents import ProviderStatus
from weaver_ai.gateway.schemas import Component
from weaver_ai.tasks import Engine
from weaver_ai.telemetry import Telemetry

if TYPE_CHECKING:
    from weaver_ai.tasks.redis.pool import RedisPool

__all__ = ["Check", "RedisCheck", "checks_of", "is_degraded", "providers_of", "survey"]

Check = Callable[[], Awaitable[Component]]
"""Says how a part is, without raising."""

_TIMEOUT_SECONDS = 1.0


async def survey(checks: Mapping[str, Check]) -> dict[str, Component]:
    """Ask every part at the same time; one that doesn't answer within a second is down."""
    found = await asyncio.gather(*(_ask(check) for check in checks.values()))
    return dict(zip(checks, found, strict=True))


def is_degraded(components: Mapping[str, Component]) -> bool:
    """Whether any part is worse than it should be; a provider without a key isn't."""
    return any(component.state in ("degraded", "down") for component in components.values())


def providers_of(statuses: Iterable[ProviderStatus]) -> dict[str, Component]:
    """The model providers, as far as they can be told without calling them."""
    return {status.name: _provider(status) for status in statuses}


def checks_of(engine: Engine, telemetry: Telemetry) -> dict[str, Check]:
    """The parts that every gateway has. Redis is added by who owns its client."""
    return {
        "engine": lambda: _engine(engine),
        "telemetry": lambda: _telemetry(telemetry),
    }


async def _ask(check: Check) -> Component:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await check()
    except TimeoutError:
        return Component(state="down", reason=f"no answer within {_TIMEOUT_SECONDS:g} s")


async def _engine(engine: Engine) -> Component:
    began = time.perf_counter()
    health = await engine.health()
    # An engine without a server has no round trip to tell of: then it is how long it took to answer.
    seconds = time.perf_counter() - began if health.latency is None else health.latency
    return Component(state=health.state, latency_ms=_milliseconds(seconds), reason=health.reason)


async def _telemetry(telemetry: Telemetry) -> Component:
    health = telemetry.exporter_health()
    if telemetry.enabled and health.state == "off":
        return Component(state="off", reason="nothing leaves this process: no exporter is configured")
    latency = None if health.latency is None else _milliseconds(health.latency)
    return Component(state=health.state, latency_ms=latency, reason=health.reason)


def _provider(status: ProviderStatus) -> Component:
    if status.configured:
        return Component(state="configured")
    return Component(state="unconfigured", reason=f"{status.name.upper()}_API_KEY isn't set")


class RedisCheck:
    """Pings a Redis over the connections that the engine has, or over some of its own, which `aclose` closes."""

    def __init__(self, redis: RedisPool) -> None:
        self._redis = redis

    async def __call__(self) -> Component:
        began = time.perf_counter()
        if (trouble := await self._redis.trouble()) is not None:
            return Component(state="down", reason=f"the ping failed: {trouble}")
        return Component(state="ok", latency_ms=_milliseconds(time.perf_counter() - began))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)

"""What the routes work with: everything that the composition root put together, as one object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from weaver_ai.agents import Runner, Weaver
from weaver_ai.gateway.failures import report
from weaver_ai.gateway.health import Check
from weaver_ai.gateway.lifecycle import Lifecycle
from weaver_ai.gateway.streaming import EventStream
from weaver_ai.settings import Settings
from weaver_ai.tasks import Engine
from weaver_ai.telemetry import Telemetry

__all__ = ["CurrentService", "Service"]

_PATIENCE_SECONDS = 0.5
"""A probe is to be answered within a second, as orchestrators ask by default."""


@dataclass(frozen=True, slots=True)
class Service:
    """One gateway's parts. `checks` are the components that `/health` names."""

    settings: Settings
    weaver: Weaver
    runner: Runner
    engine: Engine
    telemetry: Telemetry
    lifecycle: Lifecycle
    checks: Mapping[str, Check]
    started_at: int

    @property
    def agent_ready(self) -> bool:
        """Whether there is anything to run."""
        return bool(self.weaver.capabilities)

    def stream(self, events: AsyncGenerator[bytes, None]) -> EventStream:
        """A response of these events, as long as the client reads and the gateway serves."""
        stall = self.settings.stream_stall_seconds
        return EventStream(events, lifecycle=self.lifecycle, report=report, stall=stall)

    async def ready(self) -> bool:
        """Whether traffic should come here."""
        if self.lifecycle.phase != "serving" or not self.agent_ready:
            return False
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return (await self.engine.health()).state != "down"
        except TimeoutError:
            return True  # its server is slow, and runs that are no tasks need none; `/health` tells


def _current(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(_current)]

"""The probes: is the process alive, and should traffic come here."""

from __future__ import annotations

from fastapi import APIRouter, Response

from weaver_ai import __version__
from weaver_ai.gateway.auth import IsStranger
from weaver_ai.gateway.health import is_degraded, providers_of, survey
from weaver_ai.gateway.schemas import Health, Ready
from weaver_ai.gateway.service import CurrentService

__all__ = ["router"]

router = APIRouter(tags=["probes"])


@router.head("/health", include_in_schema=False)
@router.get("/health", operation_id="health", summary="Liveness")
async def health(service: CurrentService, stranger: IsStranger) -> Health:
    """How each part is. A degraded service still answers 200: restarting it would mend nothing.

    Where keys are set, only who has one is told of the parts.
    """
    components = {**await survey(service.checks), **providers_of(service.runner.providers())}
    agent_ready = service.agent_ready
    return Health(
        status="degraded" if is_degraded(components) or not agent_ready else "healthy",
        service=service.telemetry.service_name,
        version=__version__,
        telemetry_enabled=service.telemetry.enabled,
        agent="ok" if agent_ready else "missing",
        components={} if stranger else components,
    )


@router.head("/ready", include_in_schema=False)
@router.get(
    "/ready",
    operation_id="ready",
    summary="Readiness",
    responses={503: {"model": Ready, "description": "Starting, draining, or without a working agent or engine."}},
)
async def ready(service: CurrentService, response: Response) -> Ready:
    """Whether traffic should come here. It drops before a shutdown ends anything."""
    is_ready = await service.ready()
    response.status_code = 200 if is_ready else 503
    return Ready(
        ready=is_ready,
        service=service.telemetry.service_name,
        telemetry=service.telemetry.enabled,
        agent_ready=service.agent_ready,
    )

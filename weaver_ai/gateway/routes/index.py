"""What a person sees who opens the address without knowing the paths."""

from __future__ import annotations

from fastapi import APIRouter

from weaver_ai import __version__
from weaver_ai.gateway.auth import IsStranger
from weaver_ai.gateway.schemas import Index
from weaver_ai.gateway.service import CurrentService

__all__ = ["router"]

router = APIRouter(tags=["probes"])

LINKS = {
    "documentation": "/docs",
    "openapi": "/openapi.json",
    "agents": "/v1/agents",
    "models": "/v1/models",
    "health": "/health",
    "ready": "/ready",
    "metrics": "/metrics",
}


@router.head("/", include_in_schema=False)
@router.get("/", operation_id="index", summary="What is here")
async def index(service: CurrentService, stranger: IsStranger) -> Index:
    """The agents and workflows of this gateway, and where to go on. Where keys are set, names are for who has one."""
    return Index(
        service=service.telemetry.service_name,
        version=__version__,
        agents=[] if stranger else list(service.weaver.agents),
        workflows=[] if stranger else list(service.weaver.workflows),
        links=LINKS,
    )

"""Metrics for a scraper."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from weaver_ai.gateway import examples
from weaver_ai.gateway.service import CurrentService

__all__ = ["router"]

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter(tags=["probes"])


@router.head("/metrics", include_in_schema=False)
@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus' text format 0.0.4.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": examples.METRICS}},
        }
    },
)
async def metrics(service: CurrentService) -> Response:
    """Every metric of this process in Prometheus' text format."""
    return Response(service.telemetry.prometheus(), headers={"content-type": TEXT_FORMAT})

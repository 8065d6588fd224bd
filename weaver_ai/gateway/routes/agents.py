"""Agents: what there is, and a run of one, whole or streamed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from weaver_ai.gateway.catalogue import catalogue
from weaver_ai.gateway.limits import require_json
from weaver_ai.gateway.runs import RUN_RESPONSES, answer_run
from weaver_ai.gateway.schemas import Catalogue, RunReport, RunRequest
from weaver_ai.gateway.service import CurrentService
from weaver_ai.gateway.strict_json import StrictRoute

__all__ = ["router"]

router = APIRouter(prefix="/v1/agents", tags=["agents"], route_class=StrictRoute)


@router.head("", include_in_schema=False)
@router.get("", operation_id="list_agents", summary="List agents and workflows")
async def list_agents(service: CurrentService) -> Catalogue:
    """Everything that can be run here, by name and by capability."""
    return catalogue(service)


@router.post(
    "/{name}/run",
    operation_id="run_agent",
    summary="Run an agent",
    response_model=RunReport,
    responses=RUN_RESPONSES,
    dependencies=[Depends(require_json)],
)
async def run(
    request: Request,
    name: Annotated[str, Path(max_length=64, description="The agent's name.", examples=["billing"])],
    body: RunRequest,
    service: CurrentService,
) -> RunReport | Response:
    """Run the agent and answer with what came of it. With `Accept: text/event-stream` it is streamed.

    The run ends when the client leaves; a task doesn't.
    """
    return await answer_run(request, service, service.weaver.find_agent(name), body.input)

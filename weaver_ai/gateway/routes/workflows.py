"""Workflows: run one, whole or streamed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from weaver_ai.gateway.limits import require_json
from weaver_ai.gateway.runs import RUN_RESPONSES, answer_run
from weaver_ai.gateway.schemas import RunReport, RunRequest
from weaver_ai.gateway.service import CurrentService
from weaver_ai.gateway.strict_json import StrictRoute

__all__ = ["router"]

router = APIRouter(prefix="/v1/workflows", tags=["workflows"], route_class=StrictRoute)


@router.post(
    "/{name}/run",
    operation_id="run_workflow",
    summary="Run a workflow",
    response_model=RunReport,
    responses=RUN_RESPONSES,
    dependencies=[Depends(require_json)],
)
async def run(
    request: Request,
    name: Annotated[str, Path(max_length=64, description="The workflow's name.", examples=["support"])],
    body: RunRequest,
    service: CurrentService,
) -> RunReport | Response:
    """Run the workflow and answer with what came of it. With `Accept: text/event-stream` it is streamed.

    The run ends when the client leaves; a task doesn't.
    """
    return await answer_run(request, service, service.weaver.find_workflow(name), body.input)

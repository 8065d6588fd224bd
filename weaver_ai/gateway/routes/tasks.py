"""Tasks: work that goes on when its client has gone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from pydantic import JsonValue
from pydantic_core import to_json

from weaver_ai.gateway import examples
from weaver_ai.gateway.disconnect import read_body
from weaver_ai.gateway.inputs import check_input
from weaver_ai.gateway.limits import EVENT_STREAM, negotiate, require_json
from weaver_ai.gateway.openapi import event_stream, problems
from weaver_ai.gateway.schemas import Task, TaskSubmission
from weaver_ai.gateway.service import CurrentService
from weaver_ai.gateway.streaming import event
from weaver_ai.gateway.strict_json import StrictRoute
from weaver_ai.tasks import Engine, TaskEvent

__all__ = ["router"]

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=StrictRoute)

TaskId = Annotated[
    str,
    Path(
        min_length=1, max_length=128, description="The `id` of the task.", examples=["0d696e2e1696422fb694da45e7ee67a8"]
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="The same key with the same body gives the same task for a day; with another body, 409.",
        examples=["order-7"],
    ),
]
LastEventId = Annotated[
    str | None,
    Header(
        max_length=128, description="The `id` of the last event that was read; the next ones follow.", examples=["2"]
    ),
]


@router.post(
    "",
    operation_id="submit_task",
    summary="Submit a task",
    status_code=202,
    responses={
        202: {
            "headers": {
                "Location": {"description": "Path of the task.", "required": True, "schema": {"type": "string"}}
            },
            "links": {
                operation: {"operationId": operation, "parameters": {"task_id": "$response.body#/task_id"}}
                for operation in ("read_task", "follow_task", "cancel_task")
            },
        },
        **problems(400, 404, 409, 413, 415, 422, 429, 503),
    },
    dependencies=[Depends(require_json)],
)
async def submit(
    body: TaskSubmission, service: CurrentService, response: Response, idempotency_key: IdempotencyKey = None
) -> Task:
    """Accept work for an agent or a workflow and answer at once; it goes on when the client has gone."""
    service.lifecycle.admit()
    check_input(service.weaver.find_capability(body.capability), body.input)
    record = await service.engine.submit(body.request(idempotency_key))
    response.headers["location"] = f"/v1/tasks/{record.id}"
    return Task.of(record)


@router.head("/{task_id}", include_in_schema=False)
@router.get("/{task_id}", operation_id="read_task", summary="Read a task", responses=problems(404, 422, 503))
async def read(task_id: TaskId, service: CurrentService) -> Task:
    """The task as it stands: state, result or error, attempts, usage, cost and trace."""
    return Task.of(await service.engine.status(task_id))


@router.delete("/{task_id}", operation_id="cancel_task", summary="Cancel a task", responses=problems(404, 422, 503))
async def cancel(task_id: TaskId, service: CurrentService) -> Task:
    """Stop the task, scheduled, queued or running; a finished one stays as it is."""
    return Task.of(await service.engine.cancel(task_id))


@router.get(
    "/{task_id}/events",
    operation_id="follow_task",
    summary="Follow a task",
    response_class=Response,
    responses={
        200: event_stream("The task's events; the last one ends the task.", examples.TASK_STREAM),
        204: {"description": "The task has ended, and `Last-Event-ID` was its last event."},
        **problems(404, 406, 413, 422, 503),
    },
)
async def follow(
    request: Request, task_id: TaskId, service: CurrentService, last_event_id: LastEventId = None
) -> Response:
    """Server-sent events, from the first or from the one after `Last-Event-ID`, until the one that ends the task."""
    negotiate(request.headers.getlist("accept"), [EVENT_STREAM])
    await read_body(request)
    return service.stream(_events(service.engine, task_id, last_event_id))


async def _events(engine: Engine, task_id: str, after: str | None) -> AsyncGenerator[bytes, None]:
    async for each in engine.events(task_id, after=after):
        yield _encoded(each)


def _encoded(each: TaskEvent) -> bytes:
    data: dict[str, JsonValue] = {"type": each.type, "time": each.time.isoformat(), **each.data}
    return event(to_json(data), name=each.type, id=each.id)

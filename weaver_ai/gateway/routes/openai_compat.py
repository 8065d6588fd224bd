"""OpenAI's chat completions and models, where the model is an agent or a workflow."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from weaver_ai.agents import Entry
from weaver_ai.agents.options import gives_text
from weaver_ai.gateway import examples
from weaver_ai.gateway.disconnect import run_while_connected
from weaver_ai.gateway.limits import require_json
from weaver_ai.gateway.openai_answers import chunks_of, completion_of
from weaver_ai.gateway.openai_messages import ask_of
from weaver_ai.gateway.openai_schemas import ChatCompletion, ChatRequest, Model, ModelList
from weaver_ai.gateway.openapi import event_stream, problems
from weaver_ai.gateway.service import CurrentService, Service
from weaver_ai.gateway.strict_json import StrictRoute

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["openai"], route_class=StrictRoute)


@router.post(
    "/chat/completions",
    operation_id="create_chat_completion",
    summary="Chat with an agent or a workflow",
    response_model=ChatCompletion,
    responses={
        200: event_stream(
            "The answer; with `stream`, `chat.completion.chunk` events that end with `[DONE]`.", examples.CHAT_STREAM
        ),
        **problems(400, 404, 413, 415, 422, 429, 502, 503, 504),
    },
    dependencies=[Depends(require_json)],
)
async def complete(request: Request, body: ChatRequest, service: CurrentService) -> ChatCompletion | Response:
    """OpenAI's chat completions. `tools` are those that the client runs; the agent's own stay here.

    An agent gets the whole conversation, a workflow the text of the last user's message.
    """
    entry = service.weaver.find(body.model)
    ask = ask_of(body, entry)
    service.lifecycle.admit()
    if body.stream:
        events = service.runner.stream(entry, ask.value, ask.options)
        whole = entry.kind == "workflow" or not gives_text(entry, ask.options)
        chunks = chunks_of(events, body, created=int(time.time()), whole=whole)
        return service.stream(chunks)
    result = await run_while_connected(request, service.lifecycle, service.runner.run(entry, ask.value, ask.options))
    return completion_of(result, body.model, created=int(time.time()))


@router.head("/models", include_in_schema=False)
@router.get("/models", operation_id="list_models", summary="List models")
async def list_models(service: CurrentService) -> ModelList:
    """Every agent and workflow, as OpenAI lists models."""
    entries: list[Entry] = [*service.weaver.agents.values(), *service.weaver.workflows.values()]
    return ModelList(data=[_model(entry, service) for entry in entries])


@router.head("/models/{name}", include_in_schema=False)
@router.get("/models/{name}", operation_id="read_model", summary="Read a model", responses=problems(404, 422))
async def read_model(
    name: Annotated[str, Path(max_length=64, description="An agent's or a workflow's name.", examples=["billing"])],
    service: CurrentService,
) -> Model:
    """One agent or workflow, as OpenAI shows a model."""
    return _model(service.weaver.find(name), service)


def _model(entry: Entry, service: Service) -> Model:
    return Model(id=entry.name, created=service.started_at)

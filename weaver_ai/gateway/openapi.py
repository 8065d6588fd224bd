"""The OpenAPI document: every error that a route can answer with, and what a stream looks like."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from weaver_ai.gateway.auth import GUARDED_PATHS, OPEN_PATHS
from weaver_ai.gateway.limits import EVENT_STREAM
from weaver_ai.gateway.openai_schemas import ChatCompletion
from weaver_ai.gateway.problems import MEDIA_TYPE, OpenAIError, Problem, openai_type, type_uri
from weaver_ai.gateway.schemas import Health, RunReport, Task

__all__ = ["describe", "event_stream", "problems"]

_REASONS = {
    400: "The body isn't valid JSON.",
    401: "A key is needed, or the one that was sent isn't known.",
    404: "There is nothing by that name.",
    406: "The `Accept` header takes nothing that is served here.",
    409: "The idempotency key came with another body before.",
    413: "The body is larger than this server takes.",
    415: "The body isn't declared to be JSON, or is compressed.",
    422: "The request doesn't fit; `errors` names each part that doesn't.",
    429: "The queue is full, or the model provider's rate limit was hit; see `Retry-After`.",
    500: "The run failed, or the server did.",
    502: "The model provider failed, refused the request, or answered with something unusable.",
    503: "Shutting down, or the model provider or the task engine can't be reached.",
    504: "The model provider or the run took too long.",
}
_EXAMPLES = {
    400: ("malformed-json", "Malformed JSON", "the body isn't valid JSON: expected value at line 1 column 11"),
    401: ("unauthenticated", "Authentication required", "this needs a key: send 'Authorization: Bearer <key>'"),
    404: ("agent-not-found", "Agent not found", "no agent 'biling'"),
    406: ("not-acceptable", "Not acceptable", "this is served as application/json or text/event-stream"),
    409: ("idempotency-conflict", "Idempotency key reused", "the key was used for another body"),
    413: ("body-too-large", "Request body too large", "the body is larger than 1048576 bytes"),
    415: ("unsupported-media-type", "Unsupported media type", "the body must be JSON"),
    422: ("invalid-input", "Invalid input", "body.imput: unknown field; did you mean 'input'?"),
    429: ("provider-rate-limited", "Model provider rate limit", "openai (gpt-5-mini) is rate limiting: status 429"),
    500: ("run-failed", "Run failed", "the agent 'billing' failed"),
    502: ("provider-unavailable", "Model provider unavailable", "openai (gpt-5-mini) is unavailable: status 500"),
    503: ("draining", "Shutting down", "this process is shutting down"),
    504: ("provider-timeout", "Model provider timed out", "openai (gpt-5-mini) didn't answer in time"),
}
_RETRY_AFTER = {"description": "Seconds after which a retry is worth it.", "schema": {"type": "integer", "minimum": 0}}
_EVENT_SCHEMA = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {"type": "string", "contentMediaType": "application/json"},
        "event": {"type": "string"},
        "id": {"type": "string"},
    },
}
_ID_HEADERS = {
    "X-Request-ID": {"description": "The id that was sent, or a new one.", "schema": {"type": "string"}},
    "traceparent": {"description": "The trace of this request (W3C Trace Context).", "schema": {"type": "string"}},
}
_HEADERS_OF = {
    401: {"WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}}},
    429: {"Retry-After": _RETRY_AFTER},
    503: {"Retry-After": _RETRY_AFTER},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can answer with these problems."""
    return {
        status: {
            "description": _REASONS[status],
            "headers": _HEADERS_OF.get(status, {}),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": _example(status)}},
        }
        for status in statuses
    }


def _example(status: int) -> dict[str, Any]:
    code, title, detail = _EXAMPLES[status]
    problem = Problem(
        type=type_uri(code),
        title=title,
        status=status,
        detail=detail,
        instance="/v1/agents/billing/run",
        request_id="5f0c3f4e9f0b4f0e8a7d7c1c2b3a4d5e",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        retry_after=2.0 if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE) else None,
        error=OpenAIError(message=detail, type=openai_type(status), code=code),
    )
    return problem.model_dump(mode="json", exclude_none=True)


def event_stream(description: str, example: str) -> dict[str, Any]:
    """The 200 response of a route that streams; what else it can answer with is added to it by FastAPI.

    `itemSchema` is OpenAPI 3.2's (section 4.14.4): FastAPI describes its own streams with it in 3.1 documents too.
    """
    return {"description": description, "content": {EVENT_STREAM: {"itemSchema": _EVENT_SCHEMA, "example": example}}}


def describe(app: FastAPI, *, authenticated: bool) -> None:
    """Let `app.openapi()` give the whole document, made once.

    Args:
        app: with all of its routes.
        authenticated: whether clients need a key.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, authenticated=authenticated)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend it


def _document(app: FastAPI, *, authenticated: bool) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        license_info=app.license_info,
    )
    components = document.setdefault("components", {})
    # FastAPI leaves out every null, those of examples too, and knows no model of the problems.
    _, definitions = models_json_schema(
        [(model, "serialization") for model in (Problem, RunReport, Task, Health, ChatCompletion)],
        ref_template="#/components/schemas/{model}",
    )
    schemas = components.setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(operation, authenticated=authenticated and path not in OPEN_PATHS)
            if authenticated and path in GUARDED_PATHS:
                operation["security"] = [{}, {"bearer": []}]
    if authenticated:
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return document


def _complete(operation: dict[str, Any], *, authenticated: bool) -> None:
    added = [500, 401] if authenticated else [500]
    if authenticated:
        operation["security"] = [{"bearer": []}]
    for status, response in problems(*added).items():
        operation["responses"].setdefault(str(status), response)
    for status, response in operation["responses"].items():
        response["headers"] = {**response.get("headers", {}), **_ID_HEADERS}
        response.setdefault("description", HTTPStatus(int(status)).phrase)

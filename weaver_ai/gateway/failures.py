"""What happens when a request fails: it is on the span, in the log when it should be, and a problem for the client."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from opentelemetry import trace
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from weaver_ai.errors import WeaverError
from weaver_ai.gateway.problems import Described, ProblemResponse, problem_of
from weaver_ai.telemetry import log_error, log_warning, names, record_validation_errors

__all__ = ["UnhandledErrors", "handle_errors", "report"]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def report(error: BaseException, scope: Scope, known_fields: Sequence[str] = ()) -> Described:
    """Make a problem of `error`, put its code on the current span, and log it when the server is to blame.

    What Weaver didn't raise on purpose is recorded on the span and logged with its stack, by the redacting
    telemetry; the problem says nothing of it.
    """
    described = problem_of(error, scope, known_fields=known_fields)
    problem = described.problem
    span = trace.get_current_span()
    span.set_attribute(names.PROBLEM_TYPE, problem.code)
    context = {
        "http.request.method": scope["method"],
        "url.path": scope["path"],
        "http.response.status_code": problem.status,
        names.PROBLEM_TYPE: problem.code,
    }
    if isinstance(error, RequestValidationError):
        record_validation_errors(error.errors(), span)
    if not isinstance(error, WeaverError | HTTPException | RequestValidationError):
        span.record_exception(error)
        log_error("request failed unexpectedly", exception=error, **context)
    elif problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log_warning("request failed", detail=problem.detail, **context)
    return described


def handle_errors(app: FastAPI) -> None:
    """Answer every error that a route or the router raises with a problem."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            error.headers = {"allow": ", ".join(_allowed(request))}
        return ProblemResponse(report(error, request.scope, _known_fields(request)))

    for kind in (WeaverError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)


class UnhandledErrors:
    """ASGI middleware: what nothing else caught becomes `internal-error`.

    It stands in for Starlette's own handler, which would raise the error again for the server to print with its text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watching_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watching_send)
        except Exception as error:  # what no handler was made for: the client is told all the same
            described = report(error, scope)
            if started:  # too late for a status: the server cuts the connection, which tells the client
                raise
            await ProblemResponse(described)(scope, receive, send)


def _allowed(request: Request) -> list[str]:
    """The methods of the path, of all its routes: the router tells only those of the first one that it met."""
    scopes = [{**request.scope, "method": method} for method in _METHODS]
    routes = request.app.router.routes
    return [scope["method"] for scope in scopes if any(route.matches(scope)[0] is Match.FULL for route in routes)]


def _known_fields(request: Request) -> list[str]:
    """The fields of the body that the matched route takes."""
    body = getattr(request.scope.get("route"), "body_field", None)
    model = getattr(getattr(body, "field_info", None), "annotation", None)
    return list(getattr(model, "model_fields", ()))

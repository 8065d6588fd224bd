"""Request ids and trace context: taken when they are sane, made otherwise, returned on every response."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from weaver_ai.telemetry import bind_log_context, names

__all__ = ["RequestContext", "request_id_of"]

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}", re.ASCII)


class RequestContext:
    """ASGI middleware: an `X-Request-ID` and a `traceparent` for every response, and both ids for every log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with _inbound_trace(scope):
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = request_id_of(Headers(scope=scope).get("x-request-id"))
        # uvicorn shares the lifespan's state: a copy, so that no request sees another's id.
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        returned = {"x-request-id": request_id, **_trace_headers()}
        trace.get_current_span().set_attribute(names.REQUEST_ID, request_id)

        async def send_with_ids(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in returned.items():
                    headers[name] = value
            await send(message)

        with bind_log_context(request_id=request_id):
            await self._app(scope, receive, send_with_ids)


def request_id_of(sent: str | None) -> str:
    """The id that the client sent, or a new one when it sent none, or one that could forge a log line."""
    if sent is not None and _SANE_REQUEST_ID.fullmatch(sent):
        return sent
    return secrets.token_hex(16)


@contextmanager
def _inbound_trace(scope: Scope) -> Iterator[None]:
    """Without telemetry, or where it leaves a route out, the caller's trace is passed through as it came."""
    if trace.get_current_span().get_span_context().is_valid:
        yield
        return
    token = context.attach(propagate.extract(Headers(scope=scope)))
    try:
        yield
    finally:
        context.detach(token)


def _trace_headers() -> dict[str, str]:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return {name: carrier[name] for name in ("traceparent",) if name in carrier}

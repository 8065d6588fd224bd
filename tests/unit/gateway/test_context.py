"""Request ids and trace context on every response."""

from __future__ import annotations

import re
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from weaver_ai.gateway.context import RequestContext, request_id_of
from weaver_ai.telemetry.logs import log_context

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("sent", ["a", "order-7:retry.2", "A" * 128, "a/b+c=d@e~f_g"])
def test_a_sane_id_is_taken(sent: str) -> None:
    assert request_id_of(sent) == sent


@pytest.mark.parametrize(
    "sent", [None, "", "A" * 129, "with space", 'x" level=error', "line\nbreak", "tab\t", "caf\xe9", "a,b", "\x00"]
)
def test_any_other_is_replaced(sent: str | None) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", request_id_of(sent))


class App:
    """Answers, and remembers what it saw."""

    def __init__(self) -> None:
        self.log_context: dict[str, Any] = {}
        self.trace_id = 0
        self.request_id: str | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.log_context = dict(log_context())
        self.trace_id = trace.get_current_span().get_span_context().trace_id
        self.request_id = scope["state"]["request_id"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"of the app")]})


async def _get(headers: dict[str, str], state: dict[str, Any] | None = None) -> tuple[App, dict[str, str]]:
    app, sent = App(), list[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing reads here")

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": raw, "state": {} if state is None else state}
    await RequestContext(app)(scope, receive, send)
    return app, {name.decode(): value.decode() for name, value in sent[0]["headers"]}


async def test_the_id_is_on_the_response_in_the_scope_and_in_the_logs() -> None:
    app, headers = await _get({"x-request-id": "r-1"})
    assert headers["x-request-id"] == "r-1"
    assert app.request_id == "r-1"
    assert app.log_context == {"weaver.request.id": "r-1"}
    assert dict(log_context()) == {}


async def test_requests_share_no_state() -> None:
    shared: dict[str, Any] = {"of the lifespan": 1}
    await _get({"x-request-id": "r-1"}, shared)
    assert shared == {"of the lifespan": 1}


async def test_the_current_trace_is_returned() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("request") as span:
        app, headers = await _get({"traceparent": TRACEPARENT})
    context = span.get_span_context()
    assert headers["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-0")
    assert app.trace_id == context.trace_id
    assert span.attributes["weaver.request.id"] == headers["x-request-id"]  # type: ignore[attr-defined]


async def test_without_telemetry_the_callers_trace_is_passed_through() -> None:
    app, headers = await _get({"traceparent": TRACEPARENT})
    assert headers["traceparent"] == TRACEPARENT
    assert f"{app.trace_id:032x}" == TRACEPARENT.split("-")[1]
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("headers", [{}, {"traceparent": "00-zz-1-01"}])
async def test_without_telemetry_and_without_a_trace_there_is_none(headers: dict[str, str]) -> None:
    _, returned = await _get(headers)
    assert "traceparent" not in returned

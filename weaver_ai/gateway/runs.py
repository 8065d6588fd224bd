"""One run asked for over HTTP: answered whole, or streamed as it goes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

from weaver_ai.agents import Entry, RunEvent
from weaver_ai.gateway import examples
from weaver_ai.gateway.disconnect import run_while_connected
from weaver_ai.gateway.inputs import check_input
from weaver_ai.gateway.limits import EVENT_STREAM, JSON, negotiate
from weaver_ai.gateway.openapi import event_stream, problems
from weaver_ai.gateway.schemas import RunReport
from weaver_ai.gateway.service import Service
from weaver_ai.gateway.streaming import event

__all__ = ["RUN_RESPONSES", "answer_run"]

RUN_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: event_stream(
        "What came of the run; as `text/event-stream`, what happens in it, ended by `run.finished` or by `error`, "
        "whose data is a problem.",
        examples.RUN_STREAM,
    ),
    **problems(400, 404, 406, 413, 415, 422, 429, 502, 503, 504),
}


async def answer_run(request: Request, service: Service, entry: Entry, value: Any) -> RunReport | Response:
    """Run `entry` on `value` for as long as the client stays, and answer in the media type that it prefers."""
    media_type = negotiate(request.headers.getlist("accept"), [JSON, EVENT_STREAM])
    service.lifecycle.admit()
    check_input(entry, value)
    if media_type == EVENT_STREAM:
        return service.stream(_encoded(service.runner.stream(entry, value)))
    result = await run_while_connected(request, service.lifecycle, service.runner.run(entry, value))
    return RunReport.of(result)


async def _encoded(events: AsyncIterator[RunEvent]) -> AsyncGenerator[bytes, None]:
    async for each in events:
        yield event(to_json(each.to_json()), name=each.type)

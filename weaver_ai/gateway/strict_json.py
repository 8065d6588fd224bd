"""JSON as RFC 8259 has it, read once at the boundary."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["StrictRoute"]

_NOT_COMPRESSED = "the body must not be compressed: send it without 'Content-Encoding'"


class StrictRequest(Request):
    """A request whose JSON has no NaN, no half of a surrogate pair and no nesting without end.

    Python's own parser lets these through, and they fail later, when the value is written as JSON again. A body that
    is compressed isn't taken for broken JSON.
    """

    async def json(self) -> Any:
        if self.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise HTTPException(415, _NOT_COMPRESSED, {"accept-encoding": "identity"})
        body = await self.body()
        try:
            return from_json(body, allow_inf_nan=False)
        except ValueError as error:
            raise json.JSONDecodeError(str(error), "", 0) from error


class StrictRoute(APIRoute):
    """A route that reads its body strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly

"""Optional bearer authentication with keys from the settings."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from weaver_ai.gateway.problems import ProblemResponse, problem_of

__all__ = ["GUARDED_PATHS", "OPEN_PATHS", "BearerAuth", "IsStranger"]

GUARDED_PATHS = frozenset({"/", "/health"})
"""What needs no key, and tells more to who has one."""

OPEN_PATHS = GUARDED_PATHS | {"/ready", "/docs", "/openapi.json"}
"""What needs no key: the probes, and what says how to use the rest."""


_STRANGER = "sent_no_key"


class BearerAuth:
    """ASGI middleware: 401 without one of `keys`, before the body is read; open paths are told that there was none."""

    def __init__(self, app: ASGIApp, *, keys: Sequence[SecretStr]) -> None:
        self._app = app
        self._keys = [key.get_secret_value().encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope).get("authorization"))
        if refusal is None or scope["path"] in OPEN_PATHS:
            scope["state"] = {**scope.get("state", {}), _STRANGER: refusal is not None}
            await self._app(scope, receive, send)
            return
        await ProblemResponse(problem_of(refusal, scope))(scope, receive, send)

    def _refusal(self, authorization: str | None) -> HTTPException | None:
        if authorization is None:
            return _unauthenticated("this needs a key: send 'Authorization: Bearer <key>'", 'Bearer realm="weaver"')
        scheme, _, sent = authorization.partition(" ")
        token = sent.strip().encode("latin-1", errors="replace")
        # Every key is compared, each in constant time: neither its text nor its place shows in the duration.
        matches = [hmac.compare_digest(token, key) for key in self._keys]
        if scheme.lower() == "bearer" and any(matches):
            return None
        return _unauthenticated("the key isn't known here", 'Bearer realm="weaver", error="invalid_token"')


def _unauthenticated(detail: str, challenge: str) -> HTTPException:
    return HTTPException(401, detail, headers={"www-authenticate": challenge})


def _is_stranger(request: Request) -> bool:
    return bool(request.scope.get("state", {}).get(_STRANGER, False))


IsStranger = Annotated[bool, Depends(_is_stranger)]
"""Whether keys are set and the request has none of them."""

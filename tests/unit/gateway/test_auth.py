"""Keys: who gets in, and what the others are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from weaver_ai.gateway.auth import OPEN_PATHS, BearerAuth

KEYS = [SecretStr("first-key"), SecretStr("second-key")]


async def _get(path: str, authorization: str | None) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError("the body was read before the key")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    await BearerAuth(app, keys=KEYS)({"type": "http", "method": "GET", "path": path, "headers": headers}, receive, send)
    return sent


@pytest.mark.parametrize(
    "authorization", ["Bearer first-key", "Bearer second-key", "bearer first-key", "Bearer  first-key "]
)
async def test_a_known_key_gets_in(authorization: str) -> None:
    assert [message["status"] for message in await _get("/v1/agents", authorization)] == [200]


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
async def test_probes_and_documentation_need_no_key(path: str) -> None:
    assert (await _get(path, None))[0]["status"] == 200


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, 'Bearer realm="weaver"'),
        ("Bearer wrong", 'Bearer realm="weaver", error="invalid_token"'),
        ("Bearer ", 'Bearer realm="weaver", error="invalid_token"'),
        ("Bearer", 'Bearer realm="weaver", error="invalid_token"'),
        ("Basic first-key", 'Bearer realm="weaver", error="invalid_token"'),
        ("Bearer first-key,second-key", 'Bearer realm="weaver", error="invalid_token"'),
        ("Bearer f\xefrst-key", 'Bearer realm="weaver", error="invalid_token"'),
    ],
)
async def test_others_are_challenged(authorization: str | None, challenge: str) -> None:
    start, body = await _get("/v1/agents", authorization)
    problem = json.loads(body["body"])
    assert start["status"] == 401
    assert dict(start["headers"])[b"www-authenticate"].decode() == challenge
    assert problem["type"] == "urn:weaver:problem:unauthenticated"
    assert problem["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("path", ["/metrics", "/v1/agents", "/health/", "/healthz", "//health"])
async def test_nothing_else_is_open(path: str) -> None:
    assert (await _get(path, None))[0]["status"] == 401

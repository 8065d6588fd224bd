"""Sizes and media types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from weaver_ai.gateway.limits import EVENT_STREAM, JSON, BodyLimit, negotiate, require_json


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/event-stream", EVENT_STREAM),
        ("TEXT/event-stream", EVENT_STREAM),
        ("text/*", EVENT_STREAM),
        ("application/json;q=0.5, text/event-stream", EVENT_STREAM),
        ("text/event-stream;q=0.5, application/json", JSON),
        ("text/event-stream, */*;q=0.1", EVENT_STREAM),
        ("application/json;q=0, */*", EVENT_STREAM),
        ("text/html, */*;q=0.8", JSON),
        ("application/json; charset=utf-8", JSON),
        ("text/event-stream;q=high", EVENT_STREAM),
    ],
)
def test_the_preferred_media_type_is_chosen(accept: str | None, chosen: str) -> None:
    assert negotiate([] if accept is None else [accept], [JSON, EVENT_STREAM]) == chosen


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0, text/event-stream;q=0", "image/*"])
def test_nothing_acceptable_is_406_and_says_what_there_is(accept: str) -> None:
    with pytest.raises(HTTPException) as caught:
        negotiate([accept], [JSON, EVENT_STREAM])

    assert (caught.value.status_code, caught.value.detail) == (
        406,
        "this is served as application/json or text/event-stream",
    )


def test_two_accept_headers_are_one() -> None:
    assert negotiate(["text/html", EVENT_STREAM], [JSON, EVENT_STREAM]) == EVENT_STREAM


def _request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw})


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=UTF-8", "application/vnd.api+json", "APPLICATION/JSON"],
)
def test_json_passes(content_type: str) -> None:
    require_json(_request(content_length="2", content_type=content_type))


def test_no_body_needs_no_type() -> None:
    require_json(_request(content_length="0"))
    require_json(_request())


@pytest.mark.parametrize(
    "headers",
    [
        {"content_length": "2"},
        {"content_length": "2", "content_type": "text/plain"},
        {"content_length": "2", "content_type": "application/x-www-form-urlencoded"},
        {"content_length": "2", "content_type": "application/json; charset=utf-16"},
        {"transfer_encoding": "chunked", "content_type": "text/json"},
    ],
)
def test_a_body_that_is_not_json_is_415(headers: dict[str, str]) -> None:
    with pytest.raises(HTTPException) as caught:
        require_json(_request(**headers))
    assert caught.value.status_code == 415
    assert caught.value.headers == {"accept": "application/json"}


async def _post(limit: int, chunks: list[bytes], declared: int | None = None) -> list[dict[str, Any]]:
    """The messages that a client gets from an app that reads its whole body."""
    sent: list[dict[str, Any]] = []
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": place < len(chunks)}
        for place, chunk in enumerate(chunks, start=1)
    ]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    await BodyLimit(app, limit=limit)(scope, receive, send)
    return sent


async def test_a_body_of_exactly_the_limit_passes() -> None:
    assert (await _post(4, [b"ab", b"cd"], declared=4))[0]["status"] == 200


async def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    start, body = await _post(4, [], declared=5)
    assert start["status"] == 413
    assert json.loads(body["body"])["detail"] == "the body is larger than 4 bytes"


async def test_chunks_over_the_limit_raise_into_whoever_reads_them() -> None:
    with pytest.raises(HTTPException) as caught:
        await _post(4, [b"abc", b"de", b"never read"])
    assert caught.value.status_code == 413


async def test_a_lying_length_is_not_believed() -> None:
    with pytest.raises(HTTPException) as caught:
        await _post(4, [b"abcdef"], declared=2)
    assert caught.value.status_code == 413

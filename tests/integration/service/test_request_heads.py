"""What a client may send before and after a body has an end, for who keeps it whole keeps everybody waiting."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable

import pytest

from tests.fixtures.gateway import Gateway
from weaver_ai.cli.bounded_http import MOST_BYTES

pytest_plugins = ["tests.fixtures.providers"]

HOST = b"host: here\r\n"
RUN = b"POST /v1/agents/billing/run HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\n"
FLOOD = [b"x" * 16_384] * 64


def _said(gateway: Gateway, pieces: Iterable[bytes]) -> bytes:
    """All that the gateway answers until it closes the connection, which may be while this still sends."""
    said = b""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                connection.sendall(piece)
        except OSError:
            pass  # it has closed
        try:
            while data := connection.recv(65536):
                said += data
        except OSError:
            pass  # what was sent and never read
    return said


@pytest.mark.parametrize(
    "endless",
    [
        b"GET /v1/agents HTTP/1.1\r\n" + HOST + b"x-endless: " + b"".join(FLOOD),
        b"GET /v1/agents HTTP/1.1\r\n" + HOST + b"".join(b"x-%d: %b\r\n" % (n, b"y" * 1000) for n in range(80)),
        b"GET /v1/agents?" + b"".join(FLOOD),
    ],
    ids=["a header", "headers", "the request line"],
)
def test_a_head_that_does_not_end_is_refused(keyless_gateway: Gateway, endless: bytes) -> None:
    # One byte too many, and no more: what it doesn't read would take the answer away from the client.
    pieces = [endless[at : min(at + 9_000, MOST_BYTES + 1)] for at in range(0, MOST_BYTES + 1, 9_000)]
    head, _, body = _said(keyless_gateway, pieces).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"content-type: application/problem+json" in head
    problem = json.loads(body)
    assert (problem["status"], problem["title"]) == (431, "Request Header Fields Too Large")
    assert problem["detail"] == "The request line and the headers may have 65,536 bytes."


@pytest.mark.parametrize(
    "begun",
    [
        RUN + b'transfer-encoding: chunked\r\n\r\n15\r\n{"input": "refund 7"}\r\n0\r\nx-endless: ',
        RUN + b"transfer-encoding: chunked\r\n\r\n15;extension=",
    ],
    ids=["trailers", "extensions of a chunk"],
)
def test_what_does_not_end_about_a_body_closes_the_connection(keyless_gateway: Gateway, begun: bytes) -> None:
    sent = 0

    def pieces() -> Iterable[bytes]:
        nonlocal sent
        yield begun
        for piece in FLOOD * 64:
            sent += len(piece)
            yield piece

    assert b" 200 " not in _said(keyless_gateway, pieces())
    assert sent < 64 * 16_384 * 32, "it was all taken"


def test_a_large_head_and_a_large_body_are_taken(keyless_gateway: Gateway) -> None:
    cookie = b"cookie: " + b"c" * 60_000 + b"\r\n"
    body = b'{"input": "refund order 7' + b" " * 800_000 + b'"}'
    length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    whole = RUN + cookie + length + body
    for pieces in ([whole], [whole[at : at + 9_000] for at in range(0, len(whole), 9_000)]):
        assert _said(keyless_gateway, pieces).startswith(b"HTTP/1.1 200 OK\r\n")

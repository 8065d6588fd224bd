"""The body of a request, within bounds: by its length or in chunks, plain or compressed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final, Protocol

__all__ = ["CODINGS", "Refused", "read_body", "unzipped"]

CODINGS: Final[Mapping[str, int]] = {"gzip": 31, "deflate": 15}
"""What a body may be compressed by, and what zlib calls that (RFC 9110, section 8.4.1)."""

_LINE: Final = 256
_TRAILERS: Final = 32
_DIGITS: Final = 16


class Refused(Exception):
    """The request can't be taken; `status` and the message say why."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


def read_body(stream: _Stream, headers: Mapping[str, str], limit: int) -> bytes:
    """The body as it was sent: RFC 9112, sections 6 and 7.1; nothing beyond it is read.

    Args:
        stream: where the headers have been read from.
        headers: their names in lower case.
        limit: bytes that it may have.

    Raises:
        Refused: it is longer, cut off, or sent in a way that isn't known.
    """
    coding = headers.get("transfer-encoding", "").strip().lower()
    if coding == "chunked":
        return _chunks(stream, limit)
    if coding:
        raise Refused(501, f"Transfer-Encoding {coding!r:.40} is not known")
    length = headers.get("content-length", "").strip()
    if not length:
        raise Refused(411, "the request has neither Content-Length nor chunks")
    if not (length.isascii() and length.isdigit()):
        raise Refused(400, f"Content-Length is a number, not {length!r:.40}")
    size = int(length[:20])
    if size > limit:
        raise _too_long(limit)
    return _exactly(stream, size)


def unzipped(body: bytes, coding: str, limit: int) -> bytes:
    """What was compressed by one of `CODINGS`; gzip may have any number of members.

    Raises:
        Refused: it holds more than `limit` bytes, or isn't whole.
    """
    parts: list[bytes] = []
    room = limit
    while body:
        member = zlib.decompressobj(wbits=CODINGS[coding])
        try:
            part = member.decompress(body, room + 1)
        except zlib.error as error:
            raise Refused(400, f"the body is not {coding}: {error}") from error
        if len(part) > room:
            raise _too_long(limit)
        if not member.eof:
            raise Refused(400, f"the body is not {coding}: it is cut off")
        parts.append(part)
        room -= len(part)
        body = member.unused_data
    return b"".join(parts)


def _chunks(stream: _Stream, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit
    while size := _chunk_size(stream):
        if size > room:
            raise _too_long(limit)
        parts.append(_exactly(stream, size))
        room -= size
        if _exactly(stream, 2) != b"\r\n":
            raise Refused(400, "a chunk is longer than it says")
    for _ in range(_TRAILERS):
        if stream.readline(_LINE) in {b"\r\n", b"\n", b""}:
            return b"".join(parts)
    raise Refused(400, "the chunks have no end")


def _chunk_size(stream: _Stream) -> int:
    line = stream.readline(_LINE)
    digits = line.split(b";")[0].strip()
    if not digits or len(digits) > _DIGITS or not set(digits) <= set(b"0123456789abcdefABCDEF"):
        raise Refused(400, f"a chunk begins with its size, not {line[:40]!r}")
    return int(digits, 16)


def _exactly(stream: _Stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise Refused(400, "the body is cut off")
    return data


def _too_long(limit: int) -> Refused:
    return Refused(413, f"the body has more than {limit} bytes")

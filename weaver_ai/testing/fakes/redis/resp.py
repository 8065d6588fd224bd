"""The Redis serialization protocol, as bytes: requests in, replies out, and where a reply ends.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

__all__ = ["Commands", "ProtocolError", "Replies", "encode", "error", "pack"]

_CRLF: Final = b"\r\n"
_AGGREGATES: Final = b"*~>%|"
_BULKS: Final = b"$!="


class ProtocolError(Exception):
    """What was read breaks the protocol."""


def pack(command: Iterable[bytes]) -> bytes:
    """A command as a client sends it."""
    parts = list(command)
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def error(message: str) -> bytes:
    """An error reply; its first word is the code."""
    return f"-{message.replace(chr(13), ' ').replace(chr(10), ' ')}\r\n".encode()


class _Frames:
    """Cuts a stream into frames; what is incomplete waits for more."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def _line(self, start: int) -> tuple[bytes, int] | None:
        end = self._buffer.find(_CRLF, start)
        return None if end < 0 else (bytes(self._buffer[start:end]), end + 2)


class Commands(_Frames):
    """What a client sends, as commands."""

    def feed(self, data: bytes) -> Iterator[list[bytes]]:
        """The commands that are complete now.

        Raises:
            ProtocolError: for what no client sends.
        """
        self._buffer += data
        while (found := self._command()) is not None:
            command, end = found
            del self._buffer[:end]
            if command:
                yield command

    def _command(self) -> tuple[list[bytes], int] | None:
        line = self._line(0)
        if line is None:
            return None
        head, at = line
        if not head.startswith(b"*"):
            return head.split(), at  # an inline command, as a person types it
        parts: list[bytes] = []
        for _ in range(_number(head)):
            size = self._line(at)
            if size is None:
                return None
            if not size[0].startswith(b"$"):
                raise ProtocolError(f"expected '$', got {size[0][:1]!r}")
            length = _number(size[0])
            end = size[1] + length + 2
            if len(self._buffer) < end:
                return None
            parts.append(bytes(self._buffer[size[1] : size[1] + length]))
            at = end
        return parts, at


class Replies(_Frames):
    """What a server sends, cut where replies end; nothing is decoded."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The replies that are complete now, each with all its bytes."""
        self._buffer += data
        while (end := self._end(0)) is not None:
            reply = bytes(self._buffer[:end])
            del self._buffer[:end]
            yield reply

    def _end(self, start: int) -> int | None:
        line = self._line(start)
        if line is None:
            return None
        head, at = line
        kind = head[:1]
        if kind in _BULKS and kind:
            length = _number(head)
            end = at if length < 0 else at + length + 2
            return end if len(self._buffer) >= end else None
        if kind in _AGGREGATES and kind:
            items = max(0, _number(head)) * (2 if kind in b"%|" else 1)
            items += kind == b"|"  # attributes stand before the reply that they belong to
            for _ in range(items):
                inner = self._end(at)
                if inner is None:
                    return None
                at = inner
        return at


def encode(value: Any, protocol: int, *, push: bool = False) -> Iterator[bytes]:
    """A Python value as RESP2 or RESP3; `bytes` are bulk strings, an int is an int."""
    match value:
        case None:
            yield b"_\r\n" if protocol == 3 else b"$-1\r\n"  # noqa: PLR2004
        case bool():
            yield (b"#t\r\n" if value else b"#f\r\n") if protocol == 3 else b":%d\r\n" % value  # noqa: PLR2004
        case int():
            yield b":%d\r\n" % value
        case float():
            text = _float(value)
            yield b",%s\r\n" % text if protocol == 3 else b"$%d\r\n%s\r\n" % (len(text), text)  # noqa: PLR2004
        case bytes():
            yield b"$%d\r\n%s\r\n" % (len(value), value)
        case str():
            yield from encode(value.encode(), protocol)
        case Mapping():
            yield b"%%%d\r\n" % len(value) if protocol == 3 else b"*%d\r\n" % (2 * len(value))  # noqa: PLR2004
            for key, item in value.items():
                yield from encode(key, protocol)
                yield from encode(item, protocol)
        case set() | frozenset() | list() | tuple():
            yield _head(value, protocol, push=push) % len(value)
            for item in value:
                yield from encode(item, protocol)
        case _:
            raise TypeError(f"no reply can hold a {type(value).__name__}")


def _head(value: Any, protocol: int, *, push: bool) -> bytes:
    if protocol == 2:  # noqa: PLR2004
        return b"*%d\r\n"
    if isinstance(value, set | frozenset):
        return b"~%d\r\n"
    return b">%d\r\n" if push else b"*%d\r\n"


def _float(value: float) -> bytes:
    if value in {float("inf"), float("-inf")}:
        return b"inf" if value > 0 else b"-inf"
    return repr(value).removesuffix(".0").encode()


def _number(head: bytes) -> int:
    try:
        return int(head[1:])
    except ValueError as reason:
        raise ProtocolError(f"expected a number, got {head[1:20]!r}") from reason

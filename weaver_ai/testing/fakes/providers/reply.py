"""An answer as it goes over the wire: status, headers, and the body in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["EVENT_STREAM", "Broken", "BrokenKind", "Pause", "Piece", "Reply", "json_reply", "sse", "torn"]

EVENT_STREAM = "text/event-stream; charset=utf-8"

BrokenKind = Literal[
    "ConnectError", "ConnectTimeout", "PoolTimeout", "ReadError", "ReadTimeout", "RemoteProtocolError", "WriteError",
    "WriteTimeout",
]  # fmt: skip


class Broken(Exception):
    """The connection fails: raised in place of a reply or out of its pieces; the client sees its own error of the kind.

    `kind` is the name that httpx, httpx2 and their cores all give it.
    """

    def __init__(self, kind: BrokenKind, message: str) -> None:
        super().__init__(message)
        self.kind: BrokenKind = kind


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing comes for a while; a client whose read timeout is shorter times out."""

    seconds: float


Piece = bytes | Pause


@dataclass(slots=True)
class Reply:
    """One answer.

    Attributes:
        headers: names in lower case; `content-length` or `transfer-encoding` is among them.
        pieces: the body, made while it is read.
        delay: seconds before the status line.
        broken: comes in place of the status line, after the delay.
    """

    status: int
    headers: dict[str, str]
    pieces: Iterable[Piece] = field(repr=False)
    delay: float = 0.0
    broken: Broken | None = None


def json_reply(status: int, headers: dict[str, str], body: Any) -> Reply:
    """A whole JSON body."""
    data = json.dumps(body).encode()
    return Reply(status, {**headers, "content-type": "application/json", "content-length": str(len(data))}, [data])


def sse(name: str | None, data: Any) -> bytes:
    """One server-sent event; data that is a string is sent as it is (`[DONE]`)."""
    payload = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"event: {name}\ndata: {payload}\n\n".encode() if name else f"data: {payload}\n\n".encode()


def torn(events: Iterable[bytes]) -> Iterator[bytes]:
    """The events as a network delivers them: at times two at once, at times one in two halves.

    A reader that takes a piece for an event, or a piece's end for a character's, does not survive it. Nothing
    is held back past the event that follows.
    """
    held = b""
    for number, event in enumerate(events):
        if number % 4 == 1:
            held = event
        elif number % 4 == 3:  # noqa: PLR2004 - the last of four: whole, torn, whole with the one before, torn
            half = len(event) // 2
            yield event[:half]
            yield event[half:]
        else:
            yield held + event
            held = b""
    if held:
        yield held

"""Server-sent events as a client reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass(frozen=True)
class ServerEvent:
    """One event; `data` is parsed where it is JSON."""

    name: str
    data: Any
    id: str | None = None


def events_of(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """Read events as they come; comments (keep-alives) are left out."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                yield _event(fields)
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))


def read(response: httpx2.Response) -> list[ServerEvent]:
    """Every event of a response that has been read whole."""
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    return list(events_of(response.text.splitlines()))


def _event(fields: dict[str, list[str]]) -> ServerEvent:
    text = "\n".join(fields["data"])
    data = text if text == "[DONE]" else json.loads(text)
    return ServerEvent(fields.get("event", ["message"])[-1], data, fields.get("id", [None])[-1])

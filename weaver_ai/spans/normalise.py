"""The one place that knows what differs from run to run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from weaver_ai.spans.model import AttributeValue

__all__ = ["normalise"]

_KEYS: Final = {
    "client.port": "<port>",
    "code.line.number": "<line>",
    "container.id": "<id>",
    "gen_ai.agent.call.id": "<id>",
    "gen_ai.conversation.id": "<id>",
    "gen_ai.response.id": "<id>",
    "gen_ai.tool.call.id": "<id>",
    "host.id": "<id>",
    "host.name": "<host>",
    "messaging.message.id": "<id>",
    "net.peer.port": "<port>",
    "network.local.port": "<port>",
    "network.peer.port": "<port>",
    "process.pid": "<id>",
    "server.port": "<port>",
    "service.instance.id": "<id>",
    "thread.id": "<id>",
    "thread.name": "<thread>",
}
_SHAPES: Final = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b"), "<id>"),
    (re.compile(r"\b0x[0-9a-f]{6,16}\b", re.IGNORECASE), "<address>"),
    (re.compile(r"(?<=localhost:)\d+|(?<=127\.0\.0\.1:)\d+|(?<=0\.0\.0\.0:)\d+|(?<=\[::1\]:)\d+"), "<port>"),
    (re.compile(r"(?<=\w/)\d+\.\d+(?:\.\w+)+\b"), "<version>"),
)


def normalise(key: str, value: AttributeValue) -> AttributeValue:
    """The value with what changes between two runs of the same code replaced: ids, times, ports, versions, hosts.

    The attribute's name decides where it can; else the value's shape does, inside of texts too.

    Example:
        >>> normalise("server.port", 53211)
        '<port>'
        >>> normalise("url.full", "http://127.0.0.1:53211/v1")
        'http://127.0.0.1:<port>/v1'
    """
    if key in _KEYS:
        return _KEYS[key]
    if key.endswith(".version"):
        return "<version>"
    return _by_shape(value)


def _by_shape(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        for shape, word in _SHAPES:
            value = shape.sub(word, value)
        return value
    if isinstance(value, Mapping):
        return {key: normalise(key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_by_shape(inner) for inner in value]
    return value

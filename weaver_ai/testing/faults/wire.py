"""What a failing provider sends: its error bodies, and the beginnings of answers that never end.

Sources: https://platform.openai.com/docs/guides/error-codes and https://docs.anthropic.com/en/api/errors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from weaver_ai.testing.faults.spec import Edge

__all__ = ["Dialect", "Sent", "beginning", "cut", "dialect_of", "error_body", "garbage", "wants_stream"]

Dialect: TypeAlias = Literal["openai-chat", "openai-responses", "anthropic", "plain"]

_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI_CODES: Final = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
_MESSAGES: Final = {
    401: "The API key is not valid.",
    429: "Rate limit reached.",
    529: "Overloaded.",
}
_HALF: Final = "The first half"


@dataclass(frozen=True)
class Sent:
    """What comes over the wire: a content type and pieces of body, each as it is sent."""

    content_type: str
    pieces: tuple[bytes, ...]


def dialect_of(edge: Edge, path: str) -> Dialect:
    if edge == "anthropic":
        return "anthropic"
    if edge == "openai":
        return "openai-responses" if path.rstrip("/").endswith("/responses") else "openai-chat"
    return "plain"


def wants_stream(body: bytes, accept: str) -> bool:
    """Whether the caller asked for server-sent events, by its body's `stream` or by its Accept header."""
    if "text/event-stream" in accept:
        return True
    try:
        asked = json.loads(body)
    except ValueError:
        return False
    return isinstance(asked, dict) and asked.get("stream") is True


def error_body(dialect: Dialect, status: int) -> bytes:
    """As this provider writes it; the message says that it is a fault's."""
    message = f"{_MESSAGES.get(status, 'The server had an error.')} (injected by weaver's faults)"
    if dialect == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")  # noqa: PLR2004
        return _json({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fault"})
    if dialect == "plain":
        return _json({"error": message})
    kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004
    if status == 429:  # noqa: PLR2004
        kind = "requests"
    return _json({"error": {"message": message, "type": kind, "param": None, "code": _OPENAI_CODES.get(status)}})


def garbage(dialect: Dialect, *, stream: bool) -> Sent:
    """An answer that begins well and can't be parsed."""
    if not stream:
        return Sent("application/json", (b'{"id": "fault", "choices": [',))
    broken = b'data: {"id": "fault", "choices": [\n\n'
    if dialect == "anthropic":
        broken = b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": \n\n'
    if dialect == "openai-responses":
        broken = b'event: response.output_text.delta\ndata: {"type": "response.output_text.delta", \n\n'
    return Sent("text/event-stream", (*_events(dialect), broken))


def beginning(dialect: Dialect, *, stream: bool) -> Sent:
    """The first half of an answer that could have become a good one."""
    if stream:
        return Sent("text/event-stream", _events(dialect))
    whole = _json({"id": "fault", "object": "chat.completion", "choices": [{"message": {"content": _HALF}}]})
    return Sent("application/json", (whole[: len(whole) // 2],))


def cut(body: bytes, *, stream: bool) -> tuple[bytes, ...]:
    """The first half of a whole answer; of a stream, whole events, at least one."""
    if not stream:
        return (body[: len(body) // 2],)
    events = [event + b"\n\n" for event in body.split(b"\n\n") if event.strip()]
    return tuple(events[: max(1, len(events) // 2)])


def _events(dialect: Dialect) -> tuple[bytes, ...]:
    match dialect:
        case "openai-chat":
            delta = {"role": "assistant", "content": _HALF}
            chunk = {
                "id": "chatcmpl-fault",
                "object": "chat.completion.chunk",
                "created": 0,
                "model": "fault",
                "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
            }
            return (_event(None, chunk),)
        case "openai-responses":
            spoken: dict[str, Any] = {
                "item_id": "msg_fault",
                "output_index": 0,
                "content_index": 0,
                "delta": _HALF,
                "logprobs": [],
            }
            return (_event("response.output_text.delta", {**spoken, "sequence_number": 0}),)
        case "anthropic":
            message: dict[str, Any] = {
                "id": "msg_fault",
                "type": "message",
                "role": "assistant",
                "model": "fault",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }
            return (
                _event("message_start", {"message": message}),
                _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
                _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": _HALF}}),
            )
        case "plain":
            return (_event(None, {"text": _HALF}),)


def _event(name: str | None, data: dict[str, Any]) -> bytes:
    if name is None:
        return b"data: " + _json(data) + b"\n\n"
    return f"event: {name}\ndata: ".encode() + _json({"type": name, **data}) + b"\n\n"


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()

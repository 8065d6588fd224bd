"""Anthropic's messages: headers, errors, the body and the events of a stream.

Source: Anthropic's API reference; tests/contract/test_fake_providers.py checks it against the official types.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from weaver_ai.testing.fakes.providers.answers import Asked, Says, Usage, pieces
from weaver_ai.testing.fakes.providers.ids import Ids

__all__ = ["error", "headers", "message", "message_events", "message_usage"]

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def headers(ids: Ids) -> dict[str, str]:
    return {
        "request-id": ids.of("req_011", 21),
        "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-tokens-limit": "400000",
        "anthropic-ratelimit-tokens-remaining": "399000",
    }


def error(status: int, message: str, request_id: str, kind: str | None = None) -> dict[str, Any]:
    """The body of an error; `kind` replaces the error type that goes with the status."""
    kind = kind or _ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def message_usage(usage: Usage) -> dict[str, Any]:
    """Anthropic counts cached tokens beside `input_tokens`, not within them."""
    return {
        "input_tokens": usage.input - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.output,
        "service_tier": "standard",
    }


def message(says: Says, usage: Usage, asked: Asked, ids: Ids) -> dict[str, Any]:
    return {
        **_head(asked, ids),
        "content": list(_blocks(says, ids)),
        "stop_reason": _stop_reason(says),
        "usage": message_usage(usage),
    }


def message_events(says: Says, usage: Usage, asked: Asked, ids: Ids) -> Iterator[tuple[str | None, Any]]:
    def event(name: str, /, **values: Any) -> tuple[str, Any]:
        return name, {"type": name, **values}

    begun = {**_head(asked, ids), "content": [], "stop_reason": None}
    yield event("message_start", message={**begun, "usage": {**message_usage(usage), "output_tokens": 1}})
    for index, block in enumerate(_blocks(says, ids)):
        if block["type"] == "text":
            yield event("content_block_start", index=index, content_block={"type": "text", "text": ""})
            yield event("ping")
            for piece in pieces(block["text"]):
                yield event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        else:
            yield event("content_block_start", index=index, content_block={**block, "input": {}})
            for piece in ["", *pieces(json.dumps(block["input"]))]:
                delta = {"type": "input_json_delta", "partial_json": piece}
                yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    yield event(
        "message_delta",
        delta={"stop_reason": _stop_reason(says), "stop_sequence": None},
        usage={"output_tokens": usage.output},
    )
    yield event("message_stop")


def _stop_reason(says: Says) -> str:
    return "tool_use" if says.calls else "end_turn"


def _blocks(says: Says, ids: Ids) -> Iterator[dict[str, Any]]:
    if says.text or not says.calls:
        yield {"type": "text", "text": says.text}
    for call in says.calls:
        yield {"type": "tool_use", "id": ids.of("toolu_01", 22), "name": call.name, "input": dict(call.arguments)}


def _head(asked: Asked, ids: Ids) -> dict[str, Any]:
    return {
        "id": ids.of("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "stop_sequence": None,
    }

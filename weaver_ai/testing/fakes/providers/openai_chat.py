"""OpenAI's chat completions: the body and the chunks of a stream.

Source: OpenAI's API reference; tests/contract/test_fake_providers.py checks it against the official types.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from weaver_ai.testing.fakes.providers.answers import Asked, Says, Usage, pieces
from weaver_ai.testing.fakes.providers.ids import Ids

__all__ = ["chat", "chat_events", "chat_usage"]


def chat_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def chat(says: Says, usage: Usage, asked: Asked, ids: Ids) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": says.text or None,
        "refusal": None,
        "annotations": [],
    }
    if says.calls:
        message["tool_calls"] = [
            {
                "id": ids.of("call_", 24),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments_json},
            }
            for call in says.calls
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(says)}
    return {**_chat_head(asked, ids, "chat.completion"), "choices": [choice], "usage": chat_usage(usage)}


def chat_events(says: Says, usage: Usage, asked: Asked, ids: Ids) -> Iterator[tuple[str | None, Any]]:
    """The chunks, then `[DONE]`; usage comes only when `stream_options.include_usage` asks for it."""
    head = _chat_head(asked, ids, "chat.completion.chunk")
    options = asked.body.get("stream_options") or {}
    extra = {"usage": None} if options.get("include_usage") else {}

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> tuple[None, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return None, {**head, "choices": [choice], **extra}

    yield chunk({"role": "assistant", "content": "" if not says.calls else None, "refusal": None})
    for piece in pieces(says.text):
        yield chunk({"content": piece})
    for index, call in enumerate(says.calls):
        function = {"name": call.name, "arguments": ""}
        opening = {"index": index, "id": ids.of("call_", 24), "type": "function", "function": function}
        yield chunk({"tool_calls": [opening]})
        for piece in pieces(call.arguments_json):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, _finish(says))
    if options.get("include_usage"):
        yield None, {**head, "choices": [], "usage": chat_usage(usage)}
    yield None, "[DONE]"


def _finish(says: Says) -> str:
    return "tool_calls" if says.calls else "stop"


def _chat_head(asked: Asked, ids: Ids, kind: str) -> dict[str, Any]:
    return {
        "id": ids.of("chatcmpl-", 29),
        "object": kind,
        "created": int(time.time()),
        "model": asked.model,
        "service_tier": "default",
        "system_fingerprint": "fp_" + "0" * 10,
    }

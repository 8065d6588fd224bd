"""OpenAI's responses: the body and the typed events of a stream.

Source: OpenAI's API reference; tests/contract/test_fake_providers.py checks it against the official types.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from weaver_ai.testing.fakes.providers.answers import Asked, Says, Usage, pieces
from weaver_ai.testing.fakes.providers.ids import Ids

__all__ = ["response", "response_events", "response_usage"]


def response_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def response(says: Says, usage: Usage, asked: Asked, ids: Ids) -> dict[str, Any]:
    output = list(_items(says, ids))
    return {**_response_head(asked, ids), "status": "completed", "output": output, "usage": response_usage(usage)}


def response_events(says: Says, usage: Usage, asked: Asked, ids: Ids) -> Iterator[tuple[str | None, Any]]:
    """The typed events, numbered from 0, from `response.created` to `response.completed`."""
    head = _response_head(asked, ids)
    number = 0

    def event(name: str, /, **values: Any) -> tuple[str, Any]:
        nonlocal number
        data = {"type": name, "sequence_number": number, **values}
        number += 1
        return name, data

    begun = {**head, "status": "in_progress", "output": [], "usage": None}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    items = list(_items(says, ids))
    for index, item in enumerate(items):
        place = {"item_id": item["id"], "output_index": index}
        empty: dict[str, Any] = {"content": []} if item["type"] == "message" else {"arguments": ""}
        yield event("response.output_item.added", output_index=index, item={**item, "status": "in_progress", **empty})
        if item["type"] == "message":
            part = item["content"][0]
            at = {**place, "content_index": 0}
            yield event("response.content_part.added", **at, part={**part, "text": ""})
            for piece in pieces(part["text"]):
                yield event("response.output_text.delta", **at, delta=piece, logprobs=[])
            yield event("response.output_text.done", **at, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **at, part=part)
        else:
            for piece in pieces(item["arguments"]):
                yield event("response.function_call_arguments.delta", **place, delta=piece)
            yield event("response.function_call_arguments.done", **place, arguments=item["arguments"])
        yield event("response.output_item.done", output_index=index, item=item)
    done = {**head, "status": "completed", "output": items, "usage": response_usage(usage)}
    yield event("response.completed", response=done)


def _items(says: Says, ids: Ids) -> Iterator[dict[str, Any]]:
    if says.text or not says.calls:
        part = {"type": "output_text", "text": says.text, "annotations": [], "logprobs": []}
        yield {
            "id": ids.of("msg_", 48),
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }
    for call in says.calls:
        yield {
            "id": ids.of("fc_", 48),
            "type": "function_call",
            "status": "completed",
            "call_id": ids.of("call_", 24),
            "name": call.name,
            "arguments": call.arguments_json,
        }


def _response_head(asked: Asked, ids: Ids) -> dict[str, Any]:
    return {
        "id": ids.of("resp_", 48),
        "object": "response",
        "created_at": int(time.time()),
        "error": None,
        "incomplete_details": None,
        "instructions": asked.body.get("instructions"),
        "max_output_tokens": None,
        "metadata": {},
        "model": asked.model,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "temperature": 1.0,
        "text": asked.body.get("text") or {"format": {"type": "text"}},
        "tool_choice": asked.body.get("tool_choice") or "auto",
        "tools": asked.body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }

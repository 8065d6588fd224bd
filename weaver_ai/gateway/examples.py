"""What the support desk answers: the examples of the OpenAPI document, each checked by a test against its model."""

from __future__ import annotations

from typing import Any, Final

__all__ = [
    "CATALOGUE",
    "CHAT_COMPLETION",
    "CHAT_STREAM",
    "HEALTH",
    "INDEX",
    "METRICS",
    "MODEL",
    "READY",
    "RUN_STREAM",
    "TASK_STREAM",
    "example",
]


def example(value: dict[str, Any]) -> dict[str, Any]:
    """`json_schema_extra` of a model with this one example."""
    return {"examples": [value]}


_TERMS: Final[dict[str, Any]] = {
    "retries": 3,
    "retried_on": ["provider-rate-limited", "provider-timeout", "provider-unavailable", "provider-unreachable"],
    "pause_seconds": 1.0,
    "longest_pause_seconds": 60.0,
    "concurrency": 4,
}
CATALOGUE: Final[dict[str, Any]] = {
    "agents": [
        {
            "name": "billing",
            "capability": "billing",
            "description": "Looks orders up and refunds them.",
            "models": ["gpt-5-mini", "claude-haiku-4-5"],
            "offline": False,
            "remarks": [],
            "tasks": _TERMS,
        }
    ],
    "workflows": [
        {
            "name": "support",
            "capability": "support",
            "description": "Classifies a customer's message and lets the right specialist answer it.",
            "input_schema": {"type": "string"},
            "tasks": _TERMS,
        }
    ],
    "bounds": {
        "run_timeout_seconds": 120.0,
        "provider_timeout_seconds": 60.0,
        "provider_retries": 2,
        "longest_deadline_seconds": 31622400.0,
        "longest_delay_seconds": 2592000.0,
        "body_bytes": 1048576,
    },
}
HEALTH: Final[dict[str, Any]] = {
    "status": "degraded",
    "service": "weaver-ai",
    "version": "0.1.0",
    "telemetry_enabled": True,
    "agent": "ok",
    "components": {
        "engine": {"state": "ok", "latency_ms": 0.012, "reason": None},
        "telemetry": {"state": "ok", "latency_ms": None, "reason": None},
        "redis": {"state": "down", "latency_ms": None, "reason": "the ping failed: ConnectionError"},
        "openai": {"state": "configured", "latency_ms": None, "reason": None},
        "anthropic": {"state": "unconfigured", "latency_ms": None, "reason": "ANTHROPIC_API_KEY isn't set"},
    },
}
READY: Final[dict[str, Any]] = {"ready": True, "service": "weaver-ai", "telemetry": True, "agent_ready": True}
INDEX: Final[dict[str, Any]] = {
    "service": "weaver-ai",
    "version": "0.1.0",
    "agents": ["classifier", "billing", "technical"],
    "workflows": ["support"],
    "links": {"documentation": "/docs", "agents": "/v1/agents"},
}
MODEL: Final[dict[str, Any]] = {"id": "billing", "object": "model", "created": 1795449600, "owned_by": "weaver"}
CHAT_COMPLETION: Final[dict[str, Any]] = {
    "id": "chatcmpl-1076f9443d964959a5ee13a8d843a56e",
    "object": "chat.completion",
    "created": 1795449600,
    "model": "support",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Order 7 (espresso machine) is refunded: 249.00 EUR.",
                "refusal": None,
                "tool_calls": None,
            },
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {
        "prompt_tokens": 107,
        "completion_tokens": 30,
        "total_tokens": 137,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
    "system_fingerprint": None,
}
RUN_STREAM: Final = (
    "event: run.started\n"
    'data: {"run_id":"1076f9443d964959a5ee13a8d843a56e","name":"billing","kind":"agent",'
    '"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}\n\n'
    'event: text.delta\ndata: {"text":"Order 7 ","step":null}\n\n'
)
TASK_STREAM: Final = (
    "event: task.queued\n"
    'data: {"type":"task.queued","time":"2026-11-23T15:05:33.943218+00:00","priority":"normal"}\nid: 1\n\n'
    "event: task.started\n"
    'data: {"type":"task.started","time":"2026-11-23T15:05:33.944001+00:00","attempt":1}\nid: 2\n\n'
    "event: task.retrying\n"
    'data: {"type":"task.retrying","time":"2026-11-23T15:05:34.120077+00:00","attempt":1,"code":"provider-timeout",'
    '"message":"openai (gpt-5-mini) didn\'t answer in time","delay_seconds":0.82}\nid: 3\n\n'
)
CHAT_STREAM: Final = (
    'data: {"id":"chatcmpl-1076f9443d964959a5ee13a8d843a56e","object":"chat.completion.chunk","created":1795449600,'
    '"model":"billing","choices":[{"index":0,"delta":{"role":"assistant","content":"Order 7 "},"finish_reason":null}]}'
    "\n\ndata: [DONE]\n\n"
)
METRICS: Final = (
    "# HELP http_server_active_requests Number of active HTTP server requests.\n"
    "# TYPE http_server_active_requests gauge\n"
    'http_server_active_requests{http_request_method="GET",url_scheme="http"} 1.0\n'
)

"""A downstream test file with `providers`, as mypy --strict and pyright see it. It is checked, never run."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

from weaver_ai.testing.fakes import (
    Broken,
    Call,
    Message,
    Provider,
    Providers,
    Reply,
    Says,
    ToolCall,
    Usage,
    embedding,
    says,
    structured,
    tool_call,
)


def test_answers(providers: Providers) -> None:
    def answer(call: Call) -> Says | str:
        return tool_call("refund", order=7) if call.stream else call.text

    assert_type(
        providers.openai.replies("text", tool_call("refund", order=7), structured({"order": 7}), answer), Provider
    )
    providers.openai.replies(says("a", tool_call("b"), usage=Usage(1, 2)), embedding([0.1, 0.2]))
    providers.anthropic.always(lambda call: call.model)
    providers.openai.replies(7)  # type: ignore[arg-type]
    providers.openai.replies(lambda call: 7)  # type: ignore[arg-type,return-value]
    says(7)  # type: ignore[arg-type]
    assert_type(providers.openai.at("https://llm.example.com"), Provider)


def test_calls(providers: Providers) -> None:
    call = providers.openai.calls[0]
    assert_type(call.messages, list[Message])
    assert_type(call.messages[0].tool_calls, tuple[ToolCall, ...])
    assert_type(call.tool_names, list[str])
    assert_type(call.model, str)
    assert_type(call.stream, bool)
    assert_type(call.headers["authorization"], str)
    assert_type(call.usage, Usage | None)
    assert_type(call.body, Any)
    assert_type(providers.calls, list[Call])


def test_edges(providers: Providers) -> None:
    def edge(call: Call, go: Callable[[], Reply]) -> Reply:
        if call.stream:
            raise Broken("ReadTimeout", "timed out")
        return go()

    remove = providers.openai.intercept(edge)
    remove()
    assert_type(providers.openai.error(429, "Slow down.", retry_after=2), Reply)
    Broken("Timeout", "timed out")  # type: ignore[arg-type]

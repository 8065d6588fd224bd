"""A run's result as OpenAI's answer, whole and in pieces."""

from __future__ import annotations

from weaver_ai.agents import RunResult, Usage
from weaver_ai.gateway.openai_answers import completion_of

USED = Usage(input_tokens=120, output_tokens=30, requests=2, tool_calls=1, cached_tokens=100, reasoning_tokens=10)


def result_of(text: str) -> RunResult:
    return RunResult(run_id="r1", name="a", kind="agent", output=text, text=text, usage=USED, cost=None)


def test_cached_and_reasoning_tokens_are_told_as_openai_tells_them() -> None:
    answer = completion_of(result_of("hello"), "a", created=1)
    assert answer.usage.model_dump() == {
        "prompt_tokens": 120,
        "completion_tokens": 30,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 10},
    }

"""What comes of a run, and what it used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Generic, Literal, TypeVar

from pydantic import JsonValue
from pydantic_ai import RunUsage
from pydantic_ai.messages import ModelMessage

__all__ = ["Ledger", "PendingCall", "RunResult", "Step", "ToolCall", "Usage"]

OutputT = TypeVar("OutputT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, model requests and tool calls.

    Attributes:
        cached_tokens: of the input's, those that the provider read from its cache.
        reasoning_tokens: of the output's, those that the model thought with.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    tool_calls: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            requests=self.requests + other.requests,
            tool_calls=self.tool_calls + other.tool_calls,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )

    @classmethod
    def of(cls, usage: RunUsage) -> Usage:
        return cls(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            requests=usage.requests,
            tool_calls=usage.tool_calls,
            cached_tokens=usage.cache_read_tokens,
            reasoning_tokens=usage.output_reasoning_tokens,
        )

    def to_json(self) -> dict[str, int]:
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": self.total_tokens,
            "requests": self.requests,
            "tool_calls": self.tool_calls,
            "cached_tokens": self.cached_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }


@dataclass(slots=True)
class Ledger:
    """What a run has used so far, its failed steps included. Hand one to a run to read it when the run has failed.

    Attributes:
        cost: US dollars, or None as soon as one model response has no known price.
    """

    usage: Usage = field(default_factory=Usage)
    cost: Decimal | None = Decimal(0)

    def add(self, usage: Usage, cost: Decimal | None) -> None:
        self.usage += usage
        self.cost = None if self.cost is None or cost is None else self.cost + cost


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool call that was made, with its result as JSON. `failed` tells that the model got an error for it."""

    id: str
    name: str
    arguments: Mapping[str, JsonValue]
    result: JsonValue = None
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCall:
    """A tool call that the caller has to make. The run goes on in another one that is given the result."""

    id: str
    name: str
    arguments: Mapping[str, JsonValue]
    kind: Literal["external", "approval"] = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[OutputT]):
    """What came of one step of a workflow; `output` is the agent's own object, not JSON."""

    name: str
    capability: str
    output: OutputT
    text: str
    usage: Usage
    cost: Decimal | None
    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What came of a run.

    Attributes:
        output: JSON; None while tool calls are pending.
        text: the output as text: itself if it is text, else compact JSON.
        cost: US dollars, or None when it isn't known; never 0 for unknown.
        model: the model that answered; several, comma-separated, when a workflow's steps used several.
        provider: like `model`.
        offline: whether the offline model answered, so that nobody takes it for a real one.
        trace_id: of the trace that the run is in, None without telemetry.
        tool_calls: those that were made, in order; a workflow's are those of all its steps.
        pending: those that the caller has to make before the run can go on.
        messages: the new messages of an agent's run; empty for a workflow.
    """

    run_id: str
    name: str
    kind: Literal["agent", "workflow"]
    output: JsonValue
    text: str
    usage: Usage
    cost: Decimal | None
    model: str | None = None
    provider: str | None = None
    offline: bool = False
    trace_id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    pending: tuple[PendingCall, ...] = ()
    messages: tuple[ModelMessage, ...] = ()

    def to_json(self) -> dict[str, JsonValue]:
        """What a caller over HTTP or a task's record gets to see: all but the messages."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "kind": self.kind,
            "output": self.output,
            "text": self.text,
            "usage": {**self.usage.to_json()},
            "cost": None if self.cost is None else float(self.cost),
            "model": self.model,
            "provider": self.provider,
            "offline": self.offline,
            "trace_id": self.trace_id,
            "tool_calls": [_call_json(call) for call in self.tool_calls],
        }


def _call_json(call: ToolCall) -> JsonValue:
    return {
        "id": call.id,
        "name": call.name,
        "arguments": dict(call.arguments),
        "result": call.result,
        "failed": call.failed,
    }

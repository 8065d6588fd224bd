"""What came of one agent or workflow inside of a run, before it is shown to anyone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import JsonValue
from pydantic_ai import AgentRunResult, DeferredToolRequests, RunUsage
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_core import to_json

from weaver_ai.agents.as_json import json_of, shown, whole_text
from weaver_ai.agents.offline import OFFLINE_PROVIDER
from weaver_ai.agents.registry import Entry
from weaver_ai.agents.result import Ledger, PendingCall, RunResult, Step, ToolCall, Usage
from weaver_ai.agents.watch import Watch, arguments_of

__all__ = ["Part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What came of one agent or workflow inside of a run."""

    output: Any
    usage: Usage
    cost: Decimal | None
    model: str | None
    provider: str | None
    offline: bool
    trace_id: str | None
    tool_calls: tuple[ToolCall, ...] = ()
    pending: tuple[PendingCall, ...] = ()
    messages: tuple[ModelMessage, ...] = ()

    @classmethod
    def of(cls, result: AgentRunResult[Any], usage: RunUsage, cost: Decimal | None, watch: Watch) -> Part:
        answer = result.response
        return cls(
            output=result.output,
            usage=Usage.of(usage),
            cost=cost,
            model=answer.model_name,
            provider=answer.provider_name,
            offline=answer.provider_name == OFFLINE_PROVIDER,
            trace_id=watch.trace_id,
            tool_calls=tuple(watch.calls),
            pending=tuple(_pending(result.output)),
            messages=tuple(result.new_messages()),
        )

    @classmethod
    def of_steps(cls, parts: Sequence[Part], output: object, ledger: Ledger, trace_id: str | None) -> Part:
        """What came of a workflow; the ledger has the failed steps as well, `parts` has not."""
        return cls(
            output=output,
            usage=ledger.usage,
            cost=ledger.cost,
            model=_joined(part.model for part in parts),
            provider=_joined(part.provider for part in parts),
            offline=any(part.offline for part in parts),
            trace_id=trace_id,
            tool_calls=tuple(call for part in parts for call in part.tool_calls),
        )

    def step(self, entry: Entry) -> Step[Any]:
        return Step(
            name=entry.name,
            capability=entry.capability,
            output=self.output,
            text=_text_of(self.output, shown(self.output)),
            usage=self.usage,
            cost=self.cost,
            model=self.model,
        )

    def result(self, run_id: str, entry: Entry) -> RunResult:
        """What the caller of the run gets.

        Raises:
            RunFailed: the output can't be written as JSON.
        """
        output = None if self.pending else json_of(self.output, f"the output of the {entry.kind} {entry.name!r}")
        return RunResult(
            run_id=run_id,
            name=entry.name,
            kind=entry.kind,
            output=output,
            text=_spoken(self.messages) if self.pending else _text_of(self.output, output),
            usage=self.usage,
            cost=self.cost,
            model=self.model,
            provider=self.provider,
            offline=self.offline,
            trace_id=self.trace_id,
            tool_calls=self.tool_calls,
            pending=self.pending,
            messages=self.messages,
        )


def _pending(output: object) -> Iterator[PendingCall]:
    if not isinstance(output, DeferredToolRequests):
        return
    kinds: tuple[tuple[Literal["external", "approval"], list[ToolCallPart]], ...] = (
        ("external", output.calls),
        ("approval", output.approvals),
    )
    for kind, calls in kinds:
        for call in calls:
            yield PendingCall(id=call.tool_call_id, name=call.tool_name, arguments=arguments_of(call), kind=kind)


def _spoken(messages: Sequence[ModelMessage]) -> str:
    answers = [message for message in messages if isinstance(message, ModelResponse)]
    return "".join(part.content for part in answers[-1].parts if isinstance(part, TextPart)) if answers else ""


def _text_of(output: object, as_json: JsonValue) -> str:
    if output is None:
        return ""
    return whole_text(output) if isinstance(output, str) else to_json(as_json).decode()


def _joined(values: Iterable[str | None]) -> str | None:
    return ", ".join(dict.fromkeys(value for value in values if value is not None)) or None

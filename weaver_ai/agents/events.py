"""What a streamed run tells while it runs. `type` is stable and is the name of the server-sent event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from pydantic import JsonValue

from weaver_ai.agents.result import RunResult, Usage

__all__ = [
    "RunEvent",
    "RunFinished",
    "RunStarted",
    "StepFinished",
    "StepStarted",
    "TextDelta",
    "ToolCalled",
    "ToolReturned",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The first event."""

    type: ClassVar[Literal["run.started"]] = "run.started"
    run_id: str
    name: str
    kind: Literal["agent", "workflow"]
    trace_id: str | None = None

    def to_json(self) -> dict[str, JsonValue]:
        return {"run_id": self.run_id, "name": self.name, "kind": self.kind, "trace_id": self.trace_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A workflow began a step. `step` counts from 1; a nested workflow's steps are `2.1`, `2.2`."""

    type: ClassVar[Literal["step.started"]] = "step.started"
    step: str
    name: str
    capability: str

    def to_json(self) -> dict[str, JsonValue]:
        return {"step": self.step, "name": self.name, "capability": self.capability}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """More of a model's text. In a workflow it is the text of the step `step`, not of the workflow's output."""

    type: ClassVar[Literal["text.delta"]] = "text.delta"
    text: str
    step: str | None = None

    def to_json(self) -> dict[str, JsonValue]:
        return {"text": self.text, "step": self.step}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalled:
    """A model asked for a tool, which is about to run."""

    type: ClassVar[Literal["tool.call"]] = "tool.call"
    id: str
    name: str
    arguments: Mapping[str, JsonValue]
    step: str | None = None

    def to_json(self) -> dict[str, JsonValue]:
        return {"id": self.id, "name": self.name, "arguments": dict(self.arguments), "step": self.step}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReturned:
    """A tool has run; `failed` when the model got an error for it."""

    type: ClassVar[Literal["tool.result"]] = "tool.result"
    id: str
    name: str
    result: JsonValue
    failed: bool = False
    step: str | None = None

    def to_json(self) -> dict[str, JsonValue]:
        return {"id": self.id, "name": self.name, "result": self.result, "failed": self.failed, "step": self.step}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    """A workflow's step ended well. A step that failed has no such event."""

    type: ClassVar[Literal["step.finished"]] = "step.finished"
    step: str
    name: str
    capability: str
    output: JsonValue
    usage: Usage

    def to_json(self) -> dict[str, JsonValue]:
        return {
            "step": self.step,
            "name": self.name,
            "capability": self.capability,
            "output": self.output,
            "usage": {**self.usage.to_json()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The last event of a run that ended well; one that didn't ends with an exception instead."""

    type: ClassVar[Literal["run.finished"]] = "run.finished"
    result: RunResult

    def to_json(self) -> dict[str, JsonValue]:
        return self.result.to_json()


RunEvent: TypeAlias = RunStarted | StepStarted | TextDelta | ToolCalled | ToolReturned | StepFinished | RunFinished

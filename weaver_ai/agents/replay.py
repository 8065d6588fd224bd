"""What came of a step, as JSON that another process makes the same of."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Union

from pydantic import JsonValue, PydanticUserError, TypeAdapter, ValidationError
from pydantic_ai.output import NativeOutput, PromptedOutput, TextOutput, ToolOutput
from pydantic_core import PydanticSerializationError, to_json

from weaver_ai.agents.as_json import shown
from weaver_ai.agents.part import Part
from weaver_ai.agents.registry import Entry, RegisteredAgent
from weaver_ai.agents.result import Ledger, ToolCall, Usage
from weaver_ai.tasks.steps import Asked, StepLog
from weaver_ai.telemetry import names
from weaver_ai.telemetry.logs import log_warning

__all__ = ["Replay"]


@dataclass(frozen=True, slots=True)
class Replay:
    """The steps of a task that are kept with it. An agent's whose output can't be made again from JSON isn't one.

    Attributes:
        kept: what the steps used that are kept by now.
    """

    log: StepLog
    kept: Ledger = field(default_factory=Ledger)

    def asked(self, entry: Entry, value: object, within: Asked | None) -> Asked:
        """Note that a workflow asks for a step; `within` is the one that it is a part of itself."""
        return self.log.asked(entry.capability, value, within)

    def recall(self, asked: Asked, entry: RegisteredAgent) -> Part | None:
        """What came of the agent's step in an earlier attempt; None too where the agent has another output by now."""
        kept = self.log.recall(asked)
        if kept is None:
            return None
        try:
            part = _KEPT.validate_python(kept).part(entry)
        except (PydanticUserError, ValidationError, TypeError):  # TypeError: a function makes it now
            log_warning(
                "a step is run again, for its kept result isn't an output of its agent any more",
                **{names.CAPABILITY: entry.capability},
            )
            return None
        self.kept.add(part.usage, part.cost)
        return part

    async def keep(self, asked: Asked, entry: RegisteredAgent, part: Part) -> None:
        """Keep what came of the agent's step, if it can be made again."""
        if part.pending or (output := _made_again(entry, part.output)) is None:
            self.log.unkept()
            return
        kept = _Kept(
            output=output[0],
            usage=part.usage,
            cost=part.cost,
            model=part.model,
            provider=part.provider,
            offline=part.offline,
            trace_id=part.trace_id,
            tool_calls=part.tool_calls,
        )
        if await self.log.keep(asked, shown(asdict(kept))):
            self.kept.add(part.usage, part.cost)
        else:
            self.log.unkept()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    output: JsonValue
    usage: Usage
    cost: Decimal | None
    model: str | None
    provider: str | None
    offline: bool
    trace_id: str | None
    tool_calls: tuple[ToolCall, ...]

    def part(self, entry: RegisteredAgent) -> Part:
        return Part(
            output=_adapter(entry).validate_json(to_json(self.output)),
            usage=self.usage,
            cost=self.cost,
            model=self.model,
            provider=self.provider,
            offline=self.offline,
            trace_id=self.trace_id,
            tool_calls=self.tool_calls,
        )


_KEPT: TypeAdapter[_Kept] = TypeAdapter(_Kept)


def _made_again(entry: RegisteredAgent, output: object) -> tuple[JsonValue] | None:
    """The output's JSON, in a tuple for it may be null; None when it doesn't lead back to an equal output."""
    try:
        adapter = _adapter(entry)
        value: JsonValue = adapter.dump_python(output, mode="json")
        same = adapter.validate_json(to_json(value)) == output
    except (PydanticUserError, PydanticSerializationError, ValidationError, TypeError):
        return None
    return (value,) if same else None


def _adapter(entry: RegisteredAgent) -> TypeAdapter[Any]:
    union: Any = Union[tuple(_types(entry.agent.output_type))]  # noqa: UP007 - of as many types as there are
    return TypeAdapter(union)


def _types(output_type: Any) -> Iterator[Any]:
    """The types that an agent's `output_type` names, whichever way the model is to give them.

    Raises:
        TypeError: a function makes the output, and what it makes isn't known.
    """
    if isinstance(output_type, list | tuple):
        for each in output_type:
            yield from _types(each)
    elif isinstance(output_type, ToolOutput):
        yield from _types(output_type.output)
    elif isinstance(output_type, NativeOutput | PromptedOutput):
        yield from _types(output_type.outputs)
    elif isinstance(output_type, TextOutput) or inspect.isroutine(output_type):
        raise TypeError("the output is made by a function")
    else:
        yield output_type

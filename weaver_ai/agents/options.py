"""What a single run may be given, and what pydantic-ai makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue, TypeAdapter
from pydantic_ai import DeferredToolRequests, DeferredToolResults, PromptedOutput, StructuredDict
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_core import to_json

from weaver_ai.agents.as_json import whole_text
from weaver_ai.agents.registry import RegisteredAgent
from weaver_ai.errors import InvalidInput

__all__ = ["RunOptions", "gives_text", "model_settings_of", "output_type_of", "prompt_of", "tool_results_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a single run may be given besides its input. All but the timeout are for agents only.

    Attributes:
        timeout_seconds: how long the run may take; the settings' `run_timeout_seconds`, unless given.
        history: earlier messages of the conversation, as pydantic-ai has them.
        tools: the caller's own tools. A run whose model calls one ends with `pending` calls.
        tool_results: for every pending call of the history's last response, by the call's id.
        model_settings: temperature and the like; they go over the agent's own.
        instructions: added to the agent's.
        output_schema: JSON schema of an object that the answer has to be, in place of the agent's own output.
        json_object: the answer has to be a JSON object, whichever; an agent whose own output is one keeps it.
    """

    timeout_seconds: float | None = None
    history: Sequence[ModelMessage] = ()
    tools: Sequence[ToolDefinition] = ()
    tool_results: Mapping[str, JsonValue] = field(default_factory=dict)
    model_settings: ModelSettings | None = None
    instructions: str | None = None
    output_schema: Mapping[str, Any] | None = None
    json_object: bool = False


def prompt_of(entry: RegisteredAgent, value: object, options: RunOptions) -> str | None:
    if value is None:
        if not options.history:
            raise InvalidInput(f"the agent {entry.name!r} needs an input")
        return None
    if isinstance(value, str):
        if not value.strip():
            raise InvalidInput(f"the input of the agent {entry.name!r} is empty")
        return whole_text(value)
    try:
        return to_json(value).decode()
    except ValueError as error:
        raise InvalidInput(
            f"the input of the agent {entry.name!r} can't be written as JSON",
            hint="give it text, or what pydantic can write",
        ) from error


def output_type_of(entry: RegisteredAgent, options: RunOptions) -> Any:
    if options.output_schema is not None:
        own = _structured(options.output_schema)
    elif options.json_object and not _is_object(entry):
        own = PromptedOutput(_ANY_OBJECT, template=_ONE_OBJECT)
    elif options.tools:
        own = entry.agent.output_type
    else:
        return None
    if not options.tools:
        return own
    return [*own, DeferredToolRequests] if isinstance(own, list | tuple) else [own, DeferredToolRequests]


def gives_text(entry: RegisteredAgent, options: RunOptions) -> bool:
    """Whether the run's output is what the model says last, word for word."""
    return options.output_schema is None and not options.json_object and entry.agent.output_type is str


_ANY_OBJECT = StructuredDict({"type": "object"}, name="json_object")
_ONE_OBJECT = "Answer with one JSON object and nothing else: no text around it, no Markdown."


def _is_object(entry: RegisteredAgent) -> bool:
    return entry.agent.output_json_schema().get("type") == "object"


def model_settings_of(options: RunOptions) -> ModelSettings | Callable[[object], ModelSettings] | None:
    """The settings, told anew at each step when they force a tool.

    Pydantic-ai refuses a fixed choice under which no run could end; but a call of the caller's own tool ends it.
    """
    settings = options.model_settings
    if settings is None or not isinstance(settings.get("tool_choice"), list):
        return settings
    return lambda _context: settings


def _structured(schema: Mapping[str, Any]) -> Any:
    try:
        made = StructuredDict(dict(schema))
        TypeAdapter(made).json_schema()
    except UserError as error:
        raise InvalidInput("the output schema can't be used", hint=error.message) from error
    except KeyError as error:  # pydantic's, for a reference that leads nowhere
        raise InvalidInput("the output schema has a $ref to a definition that it doesn't have") from error
    return made


def tool_results_of(options: RunOptions) -> DeferredToolResults | None:
    if not options.tool_results:
        return None
    calls = _pending_calls(options.history)
    if unknown := sorted(options.tool_results.keys() - calls):
        raise InvalidInput(f"no pending tool call {unknown[0]!r}", hint="results go to the calls of the last response")
    if missing := sorted(calls - options.tool_results.keys()):
        raise InvalidInput(f"the pending tool call {missing[0]!r} has no result")
    return DeferredToolResults(calls=dict(options.tool_results))


def _pending_calls(history: Sequence[ModelMessage]) -> set[str]:
    """The ids of the calls that the last response made and nothing after it has answered."""
    answered: set[str] = set()
    for message in reversed(history):
        if isinstance(message, ModelResponse):
            return {part.tool_call_id for part in message.parts if isinstance(part, ToolCallPart)} - answered
        answered.update(part.tool_call_id for part in message.parts if isinstance(part, ToolReturnPart))
    return set()

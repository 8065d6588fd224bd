"""What a model says.

An answer says what, never in which dialect: the same `tool_call("refund", order=7)` is sent as a
chat completion, a response or a message, streamed or not, by what the request asks for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

__all__ = [
    "Embedding",
    "Says",
    "Spoken",
    "Structured",
    "ToolCall",
    "Usage",
    "counted",
    "embedding",
    "pieces",
    "says",
    "spoken",
    "structured",
    "tool_call",
]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as a provider counts them; `cached` is a part of `input`, `reasoning` a part of `output`."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a function tool."""

    name: str
    arguments: Mapping[str, Any]
    id: str | None = None
    """As it stands in a request; an answer gets a new one when it is sent."""

    @property
    def arguments_json(self) -> str:
        return json.dumps(self.arguments)


@dataclass(frozen=True, slots=True)
class Says:
    """A model's turn: text, tool calls, or both. Without a usage the tokens are estimated."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Structured:
    """A value for what the request wants filled in: its output tool if it has one, else JSON text."""

    value: Any
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Embedding:
    """Vectors, one for each input of an embeddings request."""

    vectors: tuple[tuple[float, ...], ...]


Spoken = str | Says | Structured


class Asked(Protocol):
    """What the wire needs to know of a request."""

    @property
    def model(self) -> str: ...
    @property
    def body(self) -> Any: ...


@runtime_checkable
class _Dumps(Protocol):
    def model_dump(self, *, mode: str) -> Any: ...


def tool_call(name: str, /, **arguments: Any) -> Says:
    """The model calls a tool.

    >>> tool_call("refund", order=7).calls[0].arguments_json
    '{"order": 7}'
    """
    return Says(calls=(ToolCall(name, arguments),))


def says(*parts: str | Says, usage: Usage | None = None) -> Says:
    """Text and tool calls in one turn, with the tokens that it shall cost.

    >>> both = says("Both at once.", tool_call("refund", order=7), tool_call("refund", order=8))
    >>> both.text, [call.arguments["order"] for call in both.calls]
    ('Both at once.', [7, 8])
    """
    turns = [Says(part) if isinstance(part, str) else part for part in parts]
    text = "".join(turn.text for turn in turns)
    return Says(text, tuple(call for turn in turns for call in turn.calls), usage)


def structured(value: Any, *, usage: Usage | None = None) -> Structured:
    """A value for the request's output type: a JSON value or a pydantic model."""
    return Structured(value.model_dump(mode="json") if isinstance(value, _Dumps) else value, usage)


def embedding(*vectors: Sequence[float]) -> Embedding:
    """The vectors of the next embeddings request, in the order of its inputs."""
    return Embedding(tuple(tuple(float(number) for number in vector) for vector in vectors))


def spoken(answer: Spoken, asked: Asked) -> Says:
    """The answer as a model's turn, fitted to what the request offers."""
    if isinstance(answer, str):
        return Says(text=answer)
    if isinstance(answer, Says):
        return answer
    name = _output_tool(asked.body, answer.value)
    if name is not None:
        return Says(calls=(ToolCall(name, answer.value),), usage=answer.usage)
    return Says(text=json.dumps(answer.value), usage=answer.usage)


def counted(turn: Says, asked: Asked) -> Usage:
    """The turn's usage: what it says, else about a token for four characters."""
    if turn.usage is not None:
        return turn.usage
    said = len(turn.text) + sum(len(call.name) + len(call.arguments_json) for call in turn.calls)
    return Usage(input=max(1, len(json.dumps(asked.body)) // 4), output=max(1, said // 4))


def pieces(text: str, size: int = 12) -> Sequence[str]:
    """Text as a stream sends it: in pieces that join to the whole."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def _output_tool(body: Any, value: Any) -> str | None:
    """The tool that carries a structured answer: the one that is forced, else pydantic-ai's `final_result*`.

    Of several output tools the first one whose schema has all keys of the value is taken.
    """
    if not isinstance(body, Mapping) or not isinstance(value, Mapping):
        return None
    tools = {_tool_name(tool): _tool_schema(tool) for tool in body.get("tools") or []}
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping) and (forced := _tool_name(choice)) in tools:
        return forced
    outputs = [name for name in tools if name.startswith("final_result")]
    fitting = [name for name in outputs if set(value) <= set(tools[name].get("properties", ()))]
    return next(iter(fitting or outputs), None)


def _tool_name(tool: Mapping[str, Any]) -> str:
    return str((tool.get("function") or tool).get("name", ""))


def _tool_schema(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = tool.get("function") or tool
    schema = inner.get("parameters") or inner.get("input_schema") or {}
    return schema if isinstance(schema, Mapping) else {}

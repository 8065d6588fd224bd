"""A request to a provider as it was understood."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from weaver_ai.testing.fakes.providers.answers import ToolCall, Usage

__all__ = ["Call", "Library", "Message", "Tool"]

Library = Literal["httpx", "httpx2"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function tool that a request offers; `parameters` is its JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a request, the same for every dialect.

    Attributes:
        role: `system` (OpenAI's `developer` and `instructions`, Anthropic's `system`), `user`, `assistant`, or
            `tool` for a tool's result.
        text: its text; of a tool's result, the result.
        tool_calls: what the assistant called.
        tool_call_id: which call a result is of.
        raw: the part of the body that it was read from.
    """

    role: str
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    raw: Any = field(default=None, repr=False, compare=False)


@dataclass(eq=False)
class Call:
    """One request that a provider got.

    Attributes:
        provider: who got it, as `providers` names it.
        endpoint: what was asked for: `chat completions`, `responses`, `embeddings` or `messages`.
        library: whose client sent it.
        headers: with names in lower case.
        body: the parsed JSON; None if it wasn't JSON.
        timeouts: the seconds that the client waits, by phase: `connect`, `read`, `write`, `pool`.
        usage: of the answer that was sent; None for an error.
        abandoned: the client closed the connection before it had the whole answer.
    """

    provider: str
    endpoint: str
    library: Library
    method: str
    url: str
    headers: Mapping[str, str]
    body: Any
    timeouts: Mapping[str, float | None] = field(default_factory=dict)
    usage: Usage | None = None
    abandoned: bool = False

    @property
    def model(self) -> str:
        return str(self._values.get("model", ""))

    @property
    def stream(self) -> bool:
        """Whether it asks for server-sent events."""
        return bool(self._values.get("stream"))

    @cached_property
    def tools(self) -> list[Tool]:
        """The function tools on offer; a provider's own tools (`web_search`) have no schema and aren't among them."""
        return list(_tools(self._values.get("tools") or []))

    @property
    def tool_names(self) -> list[str]:
        return [tool.name for tool in self.tools]

    @cached_property
    def messages(self) -> list[Message]:
        """What was said so far, the system prompt first; of an embeddings request, its inputs."""
        return list(_messages(self._values))

    @property
    def text(self) -> str:
        """The text of the last message that a user wrote; empty if there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def _values(self) -> Mapping[str, Any]:
        return self.body if isinstance(self.body, Mapping) else {}

    def __repr__(self) -> str:
        return f"<{self.provider} {self.endpoint}: {', '.join(self.described())}>"

    def described(self) -> Iterator[str]:
        """What was asked for, in a few words each, without what was said."""
        yield f"model {self.model}" if self.model else "no model"
        if self.stream:
            yield "streamed"
        count = len(self.messages)
        yield f"{count} message{'' if count == 1 else 's'}"
        if self.tools:
            yield f"tools {' '.join(self.tool_names)}"


def _tools(tools: Sequence[Any]) -> Iterator[Tool]:
    for tool in tools:
        inner = tool.get("function") or tool
        schema = inner.get("parameters") if "parameters" in inner else inner.get("input_schema")
        if isinstance(schema, Mapping) and "name" in inner:
            yield Tool(inner["name"], inner.get("description") or "", schema)


def _messages(body: Mapping[str, Any]) -> Iterator[Message]:
    for key in ("system", "instructions"):
        if body.get(key):
            yield Message("system", _text(body[key]), raw=body[key])
    for message in body.get("messages") or ():
        yield from _split(message)
    given = body.get("input")
    if isinstance(given, str):
        yield Message("user", given, raw=given)
    elif isinstance(given, Sequence):
        for item in given:
            yield from _item(item)


def _split(message: Mapping[str, Any]) -> Iterator[Message]:
    """A chat message; Anthropic's tool results stand in a user's message and come out of it."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    results = [block for block in blocks if block.get("type") == "tool_result"]
    for result in results:
        yield Message("tool", _text(result.get("content")), tool_call_id=result.get("tool_use_id"), raw=result)
    calls = tuple(_calls(message, blocks))
    rest = [block for block in blocks if block.get("type") != "tool_result"]
    if rest or not results:
        text = _text(rest if blocks else content)
        yield Message(_role(message), text, calls, message.get("tool_call_id"), raw=message)


def _calls(message: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]]) -> Iterator[ToolCall]:
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        yield ToolCall(function.get("name", ""), _arguments(function.get("arguments")), call.get("id"))
    for block in blocks:
        if block.get("type") == "tool_use":
            yield ToolCall(block.get("name", ""), block.get("input") or {}, block.get("id"))


def _item(item: Any) -> Iterator[Message]:
    """An input item of a response, or an input of an embeddings request."""
    if not isinstance(item, Mapping):
        yield Message("user", item if isinstance(item, str) else json.dumps(item), raw=item)
    elif item.get("type") == "function_call":
        call = ToolCall(item.get("name", ""), _arguments(item.get("arguments")), item.get("call_id"))
        yield Message("assistant", "", (call,), raw=item)
    elif item.get("type") == "function_call_output":
        yield Message("tool", _text(item.get("output")), tool_call_id=item.get("call_id"), raw=item)
    elif "role" in item:
        yield Message(_role(item), _text(item.get("content")), raw=item)


def _role(message: Mapping[str, Any]) -> str:
    role = str(message.get("role", ""))
    return "system" if role == "developer" else role


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return ""


def _arguments(text: Any) -> Mapping[str, Any]:
    """The arguments of a call; under `""` what the model once wrote that isn't an object."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {"": text}
    return value if isinstance(value, dict) else {"": value}

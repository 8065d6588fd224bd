"""The offline model: agents run without a key, a network or chance, and say so.

It follows the rules that the application gave it; beyond them it calls the tool whose name and
description fit the user's words best, with arguments found in the text, and answers from the result.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import JsonValue
from pydantic_ai import RunContext
from pydantic_ai.messages import (
    FinishReason,
    ModelMessage,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    TextContent,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage
from pydantic_core import to_json

from weaver_ai.agents.as_json import shown
from weaver_ai.agents.extraction import READ_CHARACTERS, Reader, words

__all__ = ["OFFLINE_MARK", "OFFLINE_MODEL", "OFFLINE_PROVIDER", "OfflineModel", "OfflineRule", "OfflineRules"]

OFFLINE_MODEL: Final = "offline"
OFFLINE_PROVIDER: Final = "weaver-offline"
OFFLINE_MARK: Final = "[offline model] "

_TOKEN: Final = re.compile(r"\w{1,6}|[^\w\s]")
_MIN_SCORE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineRule:
    """What to do when the user's text matches.

    Attributes:
        when: a regular expression, searched without regard to case. Its named groups become arguments of the
            tool, fields of the output and fields of the reply.
        call: the tool to call first.
        output: fields of the structured output; those that it leaves out are found in the text.
        reply: the text of the answer, a format string: `{result}` is the tool's result, `{result[total]}` a field.
    """

    when: str
    call: str | None = None
    output: Mapping[str, JsonValue] = field(default_factory=dict)
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class OfflineRules:
    """Rules in the order in which they are tried, and what to say when neither they nor a tool fit."""

    rules: Sequence[OfflineRule] = ()
    otherwise: str = "There is no rule and no tool for that. Set OPENAI_API_KEY or ANTHROPIC_API_KEY for a real answer."


class OfflineModel(Model):
    """A model that never leaves the process. Its answers depend on the messages and on nothing else."""

    def __init__(self, rules: OfflineRules | None = None) -> None:
        super().__init__(profile=ModelProfile(supports_json_schema_output=True, supports_json_object_output=True))
        self._rules = rules or OfflineRules()

    @property
    def model_name(self) -> str:
        return OFFLINE_MODEL

    @property
    def system(self) -> str:
        return OFFLINE_PROVIDER

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        parts = self._answer(messages, parameters, _forced(settings, parameters))
        return ModelResponse(
            parts=parts,
            usage=_usage(messages, parameters, parts),
            model_name=OFFLINE_MODEL,
            provider_name=OFFLINE_PROVIDER,
            finish_reason=_finish_reason(parts),
        )

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        parts = self._answer(messages, parameters, _forced(settings, parameters))
        stream = _OfflineStream(model_request_parameters=parameters, parts=parts)
        stream.finish_reason = _finish_reason(parts)
        stream.count(_usage(messages, parameters, parts))
        yield stream

    def _answer(
        self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters, forced: Sequence[ToolDefinition]
    ) -> list[ModelResponsePart]:
        turn = _Turn.of(messages)
        if forced:
            tool = max(forced, key=lambda tool: _score(tool, turn))
            return [_tool_call(tool, _object(Reader(turn.text).fill(tool.parameters_json_schema)), turn)]
        rule, groups = self._rule(turn.text)
        if not turn.returns:
            call = _call_by_rule(rule, groups, turn, parameters) or _call_by_words(turn, parameters)
            if call is not None:
                return [call]
        given = {**groups, **(rule.output if rule is not None else {})}
        if parameters.output_tools and not parameters.allow_text_output:
            tool = max(parameters.output_tools, key=lambda tool: _score(tool, turn))
            return [_tool_call(tool, _object(Reader(turn.text, given).fill(tool.parameters_json_schema)), turn)]
        if parameters.output_object is not None:
            filled = Reader(turn.text, given).fill(parameters.output_object.json_schema)
            if filled == {}:  # any object will do
                filled = {"answer": OFFLINE_MARK + self._reply(rule, groups, turn)}
            return [TextPart(json.dumps(filled, ensure_ascii=False))]
        return [TextPart(OFFLINE_MARK + self._reply(rule, groups, turn))]

    def _rule(self, text: str) -> tuple[OfflineRule | None, dict[str, JsonValue]]:
        for rule in self._rules.rules:
            if match := re.search(rule.when, text[:READ_CHARACTERS], re.IGNORECASE):
                return rule, {name: value for name, value in match.groupdict().items() if value is not None}
        return None, {}

    def _reply(self, rule: OfflineRule | None, groups: Mapping[str, JsonValue], turn: _Turn) -> str:
        result = turn.result
        if turn.failed:
            return f"The tool {turn.returns[-1].tool_name} failed: {result}"
        if rule is not None and rule.reply is not None and (turn.returns or rule.call is None):
            return rule.reply.format_map({**groups, "result": result})
        if turn.returns:
            return result if isinstance(result, str) else to_json(result).decode()
        return self._rules.otherwise


@dataclass
class _OfflineStream(StreamedResponse):
    parts: Sequence[ModelResponsePart] = ()
    _began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def count(self, usage: RequestUsage) -> None:
        self._usage = usage

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for index, part in enumerate(self.parts):
            if isinstance(part, TextPart):
                for piece in re.findall(r"\S+\s*", part.content):
                    for event in self._parts_manager.handle_text_delta(vendor_part_id=index, content=piece):
                        yield event
            elif isinstance(part, ToolCallPart):
                yield self._parts_manager.handle_tool_call_part(
                    vendor_part_id=index,
                    tool_name=part.tool_name,
                    args=part.args_as_json_str(),
                    tool_call_id=part.tool_call_id,
                )

    async def close_stream(self) -> None:
        """Nothing to close: there is no connection."""

    @property
    def model_name(self) -> str:
        return OFFLINE_MODEL

    @property
    def provider_name(self) -> str:
        return OFFLINE_PROVIDER

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return self._began


@dataclass(frozen=True, slots=True)
class _Turn:
    """What the user said last, and what tools have returned since."""

    text: str
    returns: tuple[ToolReturnPart, ...]
    position: int

    @classmethod
    def of(cls, messages: Sequence[ModelMessage]) -> _Turn:
        text, returns = "", list[ToolReturnPart]()
        answered: str | None = None
        for message in messages:
            if isinstance(message, ModelResponse):
                answered = message.run_id
                continue
            # In the run that called the tool, what comes with its result in a user's name is the tool's.
            of_tool = answered is not None and answered == message.run_id
            for part in message.parts:
                if isinstance(part, ToolReturnPart):
                    returns.append(part)
                elif isinstance(part, UserPromptPart) and not of_tool:
                    text, returns = _text_of(part), []
        return cls(text, tuple(returns), len(messages))

    @property
    def result(self) -> Any:
        return shown(self.returns[-1].content) if self.returns else None

    @property
    def failed(self) -> bool:
        return bool(self.returns) and self.returns[-1].outcome != "success"


def _text_of(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    pieces = (
        item if isinstance(item, str) else item.content for item in part.content if isinstance(item, str | TextContent)
    )
    return "\n".join(pieces)


def _call_by_rule(
    rule: OfflineRule | None, groups: Mapping[str, JsonValue], turn: _Turn, parameters: ModelRequestParameters
) -> ToolCallPart | None:
    if rule is None or rule.call is None:
        return None
    for tool in parameters.function_tools:
        if tool.name == rule.call:
            arguments = Reader(turn.text, groups).arguments(tool.parameters_json_schema)
            return None if arguments is None else _tool_call(tool, arguments, turn)
    return None


def _call_by_words(turn: _Turn, parameters: ModelRequestParameters) -> ToolCallPart | None:
    # `sorted` is stable: of two tools that fit equally the one that was registered first is tried first.
    for tool in sorted(parameters.function_tools, key=lambda tool: -_score(tool, turn)):
        if _score(tool, turn) < _MIN_SCORE:
            return None
        if (arguments := Reader(turn.text).arguments(tool.parameters_json_schema)) is not None:
            return _tool_call(tool, arguments, turn)
    return None


def _forced(settings: ModelSettings | None, parameters: ModelRequestParameters) -> list[ToolDefinition]:
    """The tools of which one has to be called."""
    choice = (settings or {}).get("tool_choice")
    return [tool for tool in parameters.function_tools if tool.name in choice] if isinstance(choice, list) else []


def _score(tool: ToolDefinition, turn: _Turn) -> int:
    said = words(turn.text)
    return 2 * len(said & words(tool.name)) + len(said & words(tool.description or ""))


def _tool_call(tool: ToolDefinition, arguments: dict[str, JsonValue], turn: _Turn) -> ToolCallPart:
    return ToolCallPart(tool.name, arguments, tool_call_id=f"offline_{turn.position}_{tool.name}")


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _finish_reason(parts: Sequence[ModelResponsePart]) -> FinishReason:
    return "tool_call" if any(isinstance(part, ToolCallPart) for part in parts) else "stop"


def _usage(
    messages: Sequence[ModelMessage], parameters: ModelRequestParameters, parts: Sequence[ModelResponsePart]
) -> RequestUsage:
    """Tokens as a real tokenizer would roughly count them; no price, for nothing was bought."""
    instructions = "".join(part.content for part in parameters.instruction_parts or ())
    tools = "".join(f"{tool.name} {tool.description or ''}" for tool in parameters.function_tools)
    sent = sum(_tokens(_said(part)) for message in messages for part in message.parts)
    return RequestUsage(
        input_tokens=sent + _tokens(instructions) + _tokens(tools),
        output_tokens=sum(_tokens(_said(part)) for part in parts),
    )


def _said(part: Any) -> str:
    if isinstance(part, ToolCallPart):
        return f"{part.tool_name} {part.args_as_json_str()}"
    if isinstance(part, ToolReturnPart):
        try:
            return part.model_response_str()
        except ValueError:  # a history that nobody could send
            return to_json(shown(part.content)).decode()
    if isinstance(part, UserPromptPart):
        return _text_of(part)
    content = getattr(part, "content", "")
    return content if isinstance(content, str) else ""


def _tokens(text: str) -> int:
    return len(_TOKEN.findall(text))

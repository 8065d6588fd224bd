"""From OpenAI's messages to pydantic-ai's, and from a run to OpenAI's answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from weaver_ai.agents import Entry, RunOptions
from weaver_ai.errors import InvalidInput
from weaver_ai.gateway.openai_schemas import (
    AssistantMessage,
    ChatRequest,
    ImageContent,
    InstructionMessage,
    JSONObjectFormat,
    JSONSchemaFormat,
    Message,
    NamedToolChoice,
    TextContent,
    TextFormat,
    ToolMessage,
    UserMessage,
)

__all__ = ["ask_of", "conversation_of"]

Prompt = str | list[UserContent]
_Said = UserMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True, slots=True)
class Ask:
    """What to run an agent or a workflow on, and with which options."""

    value: str | None
    options: RunOptions


def ask_of(request: ChatRequest, entry: Entry) -> Ask:
    """The request as `entry` takes it: an agent gets the conversation, a workflow the last user's text.

    Raises:
        InvalidInput: there is nothing to answer, a tool's result is missing or has no call, or a workflow is to use
            the client's tools.
    """
    history, value = conversation_of(request.messages)
    if entry.kind == "agent":
        options = RunOptions(
            history=history,
            tools=_tools(request),
            model_settings=_model_settings(request),
            instructions=_instructions(request.messages),
            output_schema=_output_schema(request),
            json_object=isinstance(request.response_format, JSONObjectFormat),
        )
        return Ask(value, options)
    if request.tools:
        raise InvalidInput(f"tools: the workflow {entry.name!r} takes none; an agent does")
    if not isinstance(request.response_format, TextFormat | None):
        raise InvalidInput(f"response_format: the workflow {entry.name!r} has its own; an agent takes one")
    text = next((_text(each.content) for each in reversed(request.messages) if isinstance(each, UserMessage)), None)
    if text is None:
        raise InvalidInput("messages: none is the user's")
    return Ask(text, RunOptions())


def _output_schema(request: ChatRequest) -> dict[str, Any] | None:
    if not isinstance(request.response_format, JSONSchemaFormat):
        return None
    asked = request.response_format.json_schema
    named = {"title": asked.name, **asked.definition}
    return named if asked.description is None else {"description": asked.description, **named}


def conversation_of(messages: Sequence[Message]) -> tuple[list[ModelMessage], str | None]:
    """The messages before the last user's, and its text; all of them, and None, when it isn't text only.

    Raises:
        InvalidInput: there is nothing to answer, or a tool's result is missing or has no call.
    """
    said: list[_Said] = [message for message in messages if not isinstance(message, InstructionMessage)]
    last = said[-1] if said else None
    if not isinstance(last, UserMessage | ToolMessage):
        raise InvalidInput("messages: the last one must be the user's or a tool's, for it is the one to answer")
    _require_results(said)
    if isinstance(last, UserMessage) and not _says_something(last):
        raise InvalidInput("messages: the last one is empty")
    if isinstance(last, UserMessage) and isinstance(last.content, str):
        return list(_history(said[:-1])), last.content
    return list(_history(said)), None


def _instructions(messages: Sequence[Message]) -> str | None:
    """What the client instructs, to be added to the agent's own: it doesn't replace them."""
    texts = [_text(message.content) for message in messages if isinstance(message, InstructionMessage)]
    return "\n\n".join(texts) or None


def _tools(request: ChatRequest) -> list[ToolDefinition]:
    """The tools that the client runs."""
    if request.tool_choice == "none":
        return []
    return [
        ToolDefinition(
            name=tool.function.name,
            description=tool.function.description,
            parameters_json_schema=tool.function.parameters,
            strict=tool.function.strict,
            kind="external",
        )
        for tool in request.tools or ()
    ]


_EVERY_PROVIDERS_TIERS: Final = ("auto", "default", "flex", "priority")


def _model_settings(request: ChatRequest) -> ModelSettings:
    """What the request says of the model call; what it doesn't say stays as the agent has it.

    A name with `openai_` is for OpenAI's models, and another provider's pass over it.
    """
    stop = [request.stop] if isinstance(request.stop, str) else request.stop
    tier = "service_tier" if request.service_tier in _EVERY_PROVIDERS_TIERS else "openai_service_tier"
    named = {
        "max_tokens": request.max_completion_tokens or request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "logit_bias": request.logit_bias,
        "seed": request.seed,
        "stop_sequences": stop,
        "parallel_tool_calls": request.parallel_tool_calls,
        "tool_choice": _forced_tools(request),
        "thinking": False if request.reasoning_effort == "none" else request.reasoning_effort,
        tier: request.service_tier,
        "openai_text_verbosity": request.verbosity,
        "openai_store": request.store,
        "openai_user": request.user,
        "openai_prediction": request.prediction,
        "openai_prompt_cache_key": request.prompt_cache_key,
        "openai_prompt_cache_retention": request.prompt_cache_retention,
    }
    settings = ModelSettings()
    settings.update({name: value for name, value in named.items() if value is not None})  # type: ignore[typeddict-item]
    return settings


def _forced_tools(request: ChatRequest) -> list[str] | None:
    """The client's tools of which the model has to call one."""
    if isinstance(request.tool_choice, NamedToolChoice):
        return [request.tool_choice.function.name]
    return [tool.function.name for tool in request.tools or ()] if request.tool_choice == "required" else None


def _history(messages: Sequence[_Said]) -> Iterator[ModelMessage]:
    names = {
        call.id: call.function.name
        for message in messages
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls or ()
    }
    asked: list[ModelRequestPart] = []
    for message in messages:
        if isinstance(message, AssistantMessage):
            if asked:
                yield ModelRequest(parts=asked)
                asked = []
            yield ModelResponse(parts=list(_response_parts(message)))
        else:
            asked.append(_request_part(message, names))
    if asked:
        yield ModelRequest(parts=asked)


def _request_part(message: UserMessage | ToolMessage, names: dict[str, str]) -> ModelRequestPart:
    if isinstance(message, UserMessage):
        return UserPromptPart(_prompt(message))
    return ToolReturnPart(
        tool_name=names[message.tool_call_id], content=_text(message.content), tool_call_id=message.tool_call_id
    )


def _response_parts(message: AssistantMessage) -> Iterator[ModelResponsePart]:
    if message.content:
        yield TextPart(_text(message.content))
    for call in message.tool_calls or ():
        yield ToolCallPart(call.function.name, _arguments(call.function.arguments), tool_call_id=call.id)


def _arguments(text: str) -> str:
    try:
        is_object = isinstance(json.loads(text or "{}"), dict)
    except (ValueError, RecursionError):  # the latter where brackets are nested too deeply to be read
        is_object = False
    if not is_object:
        raise InvalidInput("messages: the arguments of a tool call must be a JSON object")
    return text or "{}"


def _require_results(messages: Sequence[_Said]) -> None:
    """Each tool call is answered before anybody else speaks, and each answer has its call."""
    waiting: set[str] = set()
    for message in messages:
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                raise InvalidInput("messages: a tool's result must follow the tool call with its tool_call_id")
            waiting.discard(message.tool_call_id)
            continue
        if waiting:
            break
        if isinstance(message, AssistantMessage):
            waiting = {call.id for call in message.tool_calls or ()}
    if waiting:
        raise InvalidInput(f"messages: {len(waiting)} tool call(s) have no result")


def _prompt(message: UserMessage) -> Prompt:
    if isinstance(message.content, str):
        return message.content
    return [each.text if isinstance(each, TextContent) else _picture(each) for each in message.content]


def _picture(content: ImageContent) -> ImageUrl | BinaryContent:
    url, detail = content.image_url.url, content.image_url.detail
    extra = None if detail is None else {"detail": detail}
    if not url.startswith("data:"):
        return ImageUrl(url, vendor_metadata=extra)
    picture = BinaryContent.from_data_uri(url)  # bytes: not every provider takes them as a URL
    picture.vendor_metadata = extra
    return picture


def _says_something(message: UserMessage) -> bool:
    if isinstance(message.content, str):
        return bool(message.content.strip())
    return any(not isinstance(each, TextContent) or each.text.strip() for each in message.content)


def _text(content: str | Sequence[object]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(each.text for each in content if isinstance(each, TextContent))

"""What Weaver adds to an agent's run from inside: attributes on its span, and its events as they happen."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode
from pydantic import JsonValue
from pydantic_ai import AgentRunResult, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.capabilities.abstract import (
    WrapModelRequestHandler,
    WrapNodeRunHandler,
    WrapRunHandler,
    WrapToolExecuteHandler,
)
from pydantic_ai.messages import (
    AgentStreamEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ToolCallPart,
    ToolReturn,
    tool_return_ta,
)
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.tools import ToolDefinition

from weaver_ai.agents.as_json import shown, whole_text
from weaver_ai.agents.cost import may_have_cost
from weaver_ai.agents.events import RunEvent, TextDelta, ToolCalled, ToolReturned
from weaver_ai.agents.exits import contained
from weaver_ai.agents.result import ToolCall
from weaver_ai.errors import RunFailed, RunTimeout
from weaver_ai.tasks.stopping import stopping
from weaver_ai.telemetry.logs import log_warning

__all__ = ["Emit", "Relay", "Watch", "arguments_of", "current_trace_id", "is_past"]

Emit: TypeAlias = Callable[[RunEvent], Awaitable[None]]

_EARLY: Final = 0.01
"""Seconds before its time at which an event loop may fire a timer; uvloop rounds to milliseconds."""


def is_past(deadline: float) -> bool:
    """Whether what stopped just now stopped because of `deadline`, on the running event loop's clock."""
    return asyncio.get_running_loop().time() >= deadline - _EARLY


@dataclass
class Watch(AbstractCapability[Any]):
    """Puts `attributes` on the run's span, marks spans that fail, and remembers the run's trace and its tool calls.

    `code_of` gives the `error.type` of what leaves a run or a model request. `deadline` is on the event loop's
    clock; what is cancelled after it has timed out. `stopping` tells whether the run was
    asked to stop. `calls` are in the order in which they began, `answers` the model's.
    `interrupted` says that a model call ended without telling what it used, `broken` why the answer that is being
    read can't be read on.
    """

    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)
    code_of: Callable[[Exception], str] | None = None
    deadline: float = math.inf
    stopping: Callable[[], bool] = field(default_factory=stopping)
    trace_id: str | None = None
    calls: list[ToolCall] = field(default_factory=list)
    answers: list[ModelResponse] = field(default_factory=list)
    interrupted: bool = False
    broken: Exception | None = None

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        span = trace.get_current_span()
        span.set_attributes(self.attributes)
        self.trace_id = current_trace_id()
        with self._marked(self.code_of):
            return await handler()

    async def wrap_node_run(self, ctx: RunContext[Any], *, node: Any, handler: WrapNodeRunHandler[Any]) -> Any:
        with contained():  # of the agent's own functions, before pydantic-ai hands it to a task of its own
            return await handler(node)

    async def wrap_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, handler: WrapModelRequestHandler
    ) -> ModelResponse:
        self.interrupted, self.broken = True, None
        with self._marked(self.code_of):
            try:
                response = await self._answered(request_context, handler)
            except Exception as error:  # whatever it was: it is only looked at
                self.interrupted = may_have_cost(error)
                raise
        self.interrupted = False
        self.answers.append(response)
        _make_whole(response)
        return response

    async def _answered(self, request_context: ModelRequestContext, handler: WrapModelRequestHandler) -> ModelResponse:
        """The answer. Where reading a streamed one fails pydantic-ai cancels the request; its span then says why."""
        try:
            return await handler(request_context)
        except asyncio.CancelledError:
            if (broken := self.broken) is None:
                raise
        raise broken  # not above, where Python would put the cancellation in the place of what caused it

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: WrapToolExecuteHandler,
    ) -> Any:
        place = len(self.calls)
        made = ToolCall(id=call.tool_call_id, name=call.tool_name, arguments=arguments_of(call), failed=True)
        self.calls.append(made)
        with self._marked(), contained():
            result = await handler(args)
        told = result.return_value if isinstance(result, ToolReturn) else result
        self.calls[place] = replace(made, result=shown(told), failed=False)
        if _can_be_sent(told):
            return result
        # The tool has had its effect: the model had better hear of it than the run fail.
        log_warning("a tool's result can't be written as JSON as it is", **{"gen_ai.tool.name": call.tool_name})
        return replace(result, return_value=shown(told)) if isinstance(result, ToolReturn) else shown(told)

    @contextmanager
    def _marked(self, code_of: Callable[[Exception], str] | None = None) -> Iterator[None]:
        """Say on the current span why its block failed: pydantic-ai sets no `error.type`, nor a cancelled one's."""
        span = trace.get_current_span()
        try:
            yield
        except asyncio.CancelledError:
            if code_of is not None and not self.stopping():
                span.set_attribute("error.type", RunFailed.code)
                span.set_status(Status(StatusCode.ERROR, "something that it awaited was cancelled"))
                raise
            late = is_past(self.deadline)
            span.set_attribute("error.type", RunTimeout.code if late else "cancelled")
            span.set_status(Status(StatusCode.ERROR, "timed out" if late else "cancelled"))
            raise
        except Exception as error:  # whatever it was: it is only looked at
            if code_of is not None:
                span.set_attribute("error.type", code_of(error))
            raise


@dataclass
class Relay(Watch):
    """Tells what happens in the run. pydantic-ai streams the model's answer as soon as this is there."""

    emit: Emit | None = None
    step: str | None = None

    async def wrap_run_event_stream(
        self, ctx: RunContext[Any], *, stream: AsyncIterable[AgentStreamEvent]
    ) -> AsyncIterable[AgentStreamEvent]:
        async for event in self._read(stream):
            if self.emit is not None and (told := self._told(event)) is not None:
                await self.emit(told)
            yield event

    async def _read(self, stream: AsyncIterable[AgentStreamEvent]) -> AsyncIterable[AgentStreamEvent]:
        try:
            async for event in stream:
                yield event
        except Exception as error:  # whatever it was: `_answered` raises it again
            self.broken = error
            raise

    def _told(self, event: AgentStreamEvent) -> RunEvent | None:
        match event:
            case PartStartEvent(part=TextPart(content=text)) | PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                return TextDelta(text=whole_text(text), step=self.step) if text else None
            case FunctionToolCallEvent(part=part):
                return ToolCalled(
                    id=part.tool_call_id, name=part.tool_name, arguments=arguments_of(part), step=self.step
                )
            case FunctionToolResultEvent(part=part):
                return ToolReturned(
                    id=part.tool_call_id,
                    name=part.tool_name,
                    result=shown(part.content),
                    failed=part.outcome != "success",
                    step=self.step,
                )
        return None


def current_trace_id() -> str | None:
    """The trace of the current span, None without one."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def arguments_of(part: ToolCallPart) -> dict[str, JsonValue]:
    """A call's arguments; those that aren't JSON, as models write them at times, under the name they got."""
    arguments = shown(part.args_as_dict())
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def _can_be_sent(value: object) -> bool:
    """Whether a model can be told a tool's result: the clients write it as UTF-8."""
    try:
        tool_return_ta.dump_json(value)
    except Exception:  # noqa: BLE001 - a serializer of the user's may raise anything
        return False
    return True


def _make_whole(response: ModelResponse) -> None:
    """Take halves of surrogate pairs out of an answer: JSON can bring them in, and nothing could be done with it."""
    for part in response.parts:
        if isinstance(part, TextPart | ThinkingPart):
            part.content = whole_text(part.content)
        elif isinstance(part, ToolCallPart):
            if isinstance(part.args, str):
                part.args = whole_text(part.args)
            elif part.args is not None and not _can_be_sent(part.args):
                part.args = arguments_of(part)

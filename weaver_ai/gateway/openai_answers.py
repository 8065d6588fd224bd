"""From what came of a run, or happens in it, to OpenAI's answer."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator

from pydantic_ai.messages import ModelResponse
from pydantic_core import to_json

from weaver_ai.agents import RunEvent, RunFinished, RunResult, RunStarted, TextDelta, ToolReturned
from weaver_ai.gateway.openai_schemas import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    Choice,
    ChoiceDelta,
    ChunkChoice,
    CompletionMessage,
    CompletionTokensDetails,
    CompletionUsage,
    FinishReason,
    FunctionCall,
    FunctionDelta,
    PromptTokensDetails,
    ToolCall,
    ToolCallDelta,
)
from weaver_ai.gateway.streaming import event

__all__ = ["chunks_of", "completion_of"]

_DONE = event("[DONE]")


def completion_of(result: RunResult, model: str, *, created: int) -> ChatCompletion:
    """The whole answer: the text of the run, or the calls that the client has to make."""
    calls = [
        ToolCall(id=call.id, function=FunctionCall(name=call.name, arguments=json.dumps(dict(call.arguments))))
        for call in result.pending
    ]
    message = CompletionMessage(content=(result.text or None) if calls else result.text, tool_calls=calls or None)
    return ChatCompletion(
        id=_id(result),
        created=created,
        model=model,
        choices=[Choice(message=message, finish_reason=_finish_reason(result))],
        usage=_usage(result),
        system_fingerprint=_fingerprint(result),
    )


async def chunks_of(
    events: AsyncIterator[RunEvent], request: ChatRequest, *, created: int, whole: bool
) -> AsyncGenerator[bytes, None]:
    """The answer piece by piece, encoded, `[DONE]` at its end. Nothing comes before the answer begins.

    Args:
        events: of the run.
        request: whose model is named, and who may want the usage.
        created: Unix time.
        whole: don't send text until the run is over, for what the models say on the way isn't the answer: in a
            workflow it is a step's, and an agent with structured output answers with JSON.
    """
    made = _Chunks(request, created)
    async for each in events:
        if isinstance(each, RunStarted):
            made.id = _id(each)
        elif isinstance(each, TextDelta) and not whole:
            yield made.encoded(made.more(each.text))
        elif isinstance(each, ToolReturned):
            made.interrupt()
        elif isinstance(each, RunFinished):
            for chunk in made.last(each.result):
                yield made.encoded(chunk)
    yield _DONE


class _Chunks:
    """The chunks of one answer: they share an id, and the first one says who speaks."""

    def __init__(self, request: ChatRequest, created: int) -> None:
        self._created = created
        self._model = request.model
        self._with_usage = request.stream_options is not None and request.stream_options.include_usage
        self._begun = False
        self._said = ""
        self._interrupted = False
        self.id = ""

    def delta(self, content: str | None = None, tool_calls: list[ToolCallDelta] | None = None) -> ChatCompletionChunk:
        first = not self._begun
        self._begun = True
        delta = ChoiceDelta(role="assistant" if first else None, content=content, tool_calls=tool_calls)
        return self._chunk([ChunkChoice(delta=delta)])

    def more(self, text: str) -> ChatCompletionChunk:
        """The chunk of a piece of text. What a model says after its tools have run begins a paragraph."""
        if self._interrupted and self._said:
            text = f"\n\n{text}"
        self._interrupted = False
        self._said += text
        return self.delta(content=text)

    def interrupt(self) -> None:
        """A tool has run since the model spoke."""
        self._interrupted = True

    def last(self, result: RunResult) -> list[ChatCompletionChunk]:
        """The chunks that end the answer: what hasn't been said, why it ends, and the usage if it was asked for."""
        chunks = []
        if result.pending:
            chunks.append(self.delta(tool_calls=_call_deltas(result)))
        elif not self._begun:
            chunks.append(self.delta(content=result.text))
        elif missing := self._missing(result.text):
            chunks.append(self.delta(content=missing))
        end = self._chunk([ChunkChoice(delta=ChoiceDelta(), finish_reason=_finish_reason(result))])
        end.system_fingerprint = _fingerprint(result)
        chunks.append(end)
        if self._with_usage:
            chunks.append(self._chunk([], usage=_usage(result)))
        return chunks

    def _missing(self, answer: str) -> str:
        """What of the answer hasn't been said, as when something of the agent's own changed the model's words."""
        if self._said.endswith(answer):
            return ""
        return answer[len(self._said) :] if answer.startswith(self._said) else f"\n\n{answer}"

    def encoded(self, chunk: ChatCompletionChunk) -> bytes:
        shown = chunk.model_dump(exclude_none=True)
        for choice in shown["choices"]:  # the one null that OpenAI sends, and clients ask for
            choice.setdefault("finish_reason", None)
        return event(to_json(shown))

    def _chunk(self, choices: list[ChunkChoice], usage: CompletionUsage | None = None) -> ChatCompletionChunk:
        return ChatCompletionChunk(id=self.id, created=self._created, model=self._model, choices=choices, usage=usage)


def _call_deltas(result: RunResult) -> list[ToolCallDelta]:
    return [
        ToolCallDelta(
            index=index,
            id=call.id,
            type="function",
            function=FunctionDelta(name=call.name, arguments=json.dumps(dict(call.arguments))),
        )
        for index, call in enumerate(result.pending)
    ]


def _id(run: RunResult | RunStarted) -> str:
    return f"chatcmpl-{run.run_id}"


def _fingerprint(result: RunResult) -> str | None:
    return "offline" if result.offline else None


def _finish_reason(result: RunResult) -> FinishReason:
    if result.pending:
        return "tool_calls"
    last = next((message for message in reversed(result.messages) if isinstance(message, ModelResponse)), None)
    if last is not None and last.finish_reason in ("length", "content_filter"):
        return last.finish_reason
    return "stop"


def _usage(result: RunResult) -> CompletionUsage:
    used = result.usage
    return CompletionUsage(
        prompt_tokens=used.input_tokens,
        completion_tokens=used.output_tokens,
        total_tokens=used.total_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=used.cached_tokens),
        completion_tokens_details=CompletionTokensDetails(reasoning_tokens=used.reasoning_tokens),
    )

"""The part of OpenAI's chat completions API that an agent can honour.

What a request may hold and an agent can't honour is refused rather than ignored, with the reason, except for hints
that don't change an answer. Messages may hold more than is read here, for clients send back the messages that they
were given.
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from weaver_ai.gateway import examples
from weaver_ai.gateway.schemas import Body, Flag, Number, Whole

__all__ = [
    "AssistantMessage",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatRequest",
    "Choice",
    "ChoiceDelta",
    "ChunkChoice",
    "CompletionMessage",
    "CompletionUsage",
    "FinishReason",
    "FunctionCall",
    "ImageContent",
    "InstructionMessage",
    "JSONObjectFormat",
    "JSONSchemaFormat",
    "Message",
    "Model",
    "ModelList",
    "NamedToolChoice",
    "TextContent",
    "TextFormat",
    "ToolCall",
    "ToolMessage",
    "UserMessage",
]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class TextContent(BaseModel):
    """A piece of text."""

    type: Literal["text"]
    text: str


_DATA_URL: Final = re.compile(r"data:image/[a-z0-9.+-]+;base64,(?P<data>.+)", re.ASCII | re.DOTALL)


def _fetchable(url: str) -> str:
    if re.match(r"https?://[^/\s]", url, re.IGNORECASE):
        return url
    if (inline := _DATA_URL.fullmatch(url)) is None:
        raise ValueError("an image is named by an http: or https: URL, or given as 'data:image/<type>;base64,...'")
    try:
        base64.b64decode(inline["data"], validate=True)
    except ValueError:
        raise ValueError("the image's data isn't base64") from None
    return url


class ImageURL(BaseModel):
    """Where a picture is, or the picture. Weaver downloads nothing: the model's provider does."""

    url: Annotated[str, AfterValidator(_fetchable)]
    detail: Literal["auto", "low", "high"] | None = None


class ImageContent(BaseModel):
    """A picture."""

    type: Literal["image_url"]
    image_url: ImageURL


UserContent = Annotated[TextContent | ImageContent, Field(discriminator="type")]


class FunctionCall(BaseModel):
    """What the model wants called."""

    name: str = Field(min_length=1)
    arguments: str = Field(description="JSON.")


class ToolCall(BaseModel):
    """A call of a tool that the client runs."""

    id: str = Field(min_length=1)
    type: Literal["function"] = "function"
    function: FunctionCall


class InstructionMessage(BaseModel):
    """Instructions in addition to the agent's own."""

    role: Literal["system", "developer"]
    content: str | list[TextContent]


class UserMessage(BaseModel):
    """What the user says; a workflow is given the text of the last one."""

    role: Literal["user"]
    # Told apart first: a mistake in a part would otherwise be reported as no string, too.
    content: Annotated[
        Annotated[str, Tag("text")] | Annotated[list[UserContent], Field(min_length=1), Tag("parts")],
        Discriminator(lambda content: "text" if isinstance(content, str) else "parts"),
    ]


class AssistantMessage(BaseModel):
    """What the agent answered before."""

    role: Literal["assistant"]
    content: str | list[TextContent] | None = None
    tool_calls: list[ToolCall] | None = None


class ToolMessage(BaseModel):
    """What came of a tool that the client ran."""

    role: Literal["tool"]
    content: str | list[TextContent]
    tool_call_id: str = Field(min_length=1)


Message = Annotated[InstructionMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class FunctionDefinition(BaseModel):
    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str | None = None
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: Flag | None = None


class Tool(BaseModel):
    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(BaseModel):
    name: str


class NamedToolChoice(BaseModel):
    """The one tool that has to be called."""

    type: Literal["function"]
    function: NamedFunction


class TextFormat(BaseModel):
    """Text, as the agent gives it anyway."""

    type: Literal["text"]


class JSONObjectFormat(BaseModel):
    """Any JSON object, as the text of the answer."""

    type: Literal["json_object"]


class JSONSchema(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str | None = None
    definition: dict[str, Any] = Field(alias="schema")
    strict: Flag | None = None


class JSONSchemaFormat(BaseModel):
    """An object that fits a JSON schema, as the text of the answer."""

    type: Literal["json_schema"]
    json_schema: JSONSchema


ResponseFormat = Annotated[TextFormat | JSONObjectFormat | JSONSchemaFormat, Field(discriminator="type")]


class StreamOptions(BaseModel):
    include_usage: Flag = False
    include_obfuscation: Flag | None = None


def _only(*allowed: object, why: str) -> BeforeValidator:
    """Refuse any other value, and say why rather than what would have been valid."""

    def check(value: object) -> object:
        # By type too: 1 == True, and OpenAI's `n` is no boolean.
        if not any(type(value) is type(each) and value == each for each in (None, *allowed)):
            raise ValueError(why)
        return value

    return BeforeValidator(check)


_ONE_ANSWER: Final = "an agent gives one answer: send the request again for another"
_NO_LOGPROBS: Final = "log probabilities aren't given: an answer may come from several model calls"
_TEXT_ONLY: Final = "only text is answered"
_USE_TOOLS: Final = "this went before 'tools': use that"
_NOT_SEARCHED: Final = "give the agent a tool that searches"
_NOT_MODERATED: Final = "answers aren't moderated here"


class ChatRequest(Body):
    """A chat completion, where the model is an agent or a workflow."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "support", "messages": [{"role": "user", "content": "refund order 7"}]}]
        }
    )

    model: str = Field(min_length=1, description="The name of an agent or a workflow: see GET /v1/models.")
    messages: list[Message] = Field(min_length=1)
    stream: Flag | None = False
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = Field(default=None, description="Tools that the client runs; the agent's own stay here.")
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: Flag | None = None
    response_format: ResponseFormat | None = None

    # Passed on to the model, in place of what the agent was made with; of another provider's they are ignored
    temperature: Number | None = Field(default=None, ge=0, le=2)
    top_p: Number | None = Field(default=None, ge=0, le=1)
    max_tokens: Whole | None = Field(default=None, ge=1)
    max_completion_tokens: Whole | None = Field(default=None, ge=1)
    presence_penalty: Number | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: Number | None = Field(default=None, ge=-2, le=2)
    logit_bias: dict[str, Whole] | None = None
    seed: Whole | None = None
    stop: str | list[str] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    store: Flag | None = None
    user: str | None = None
    prediction: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None

    # Hints that change no answer: taken, and not used
    metadata: dict[str, Any] | None = None
    prompt_cache_options: dict[str, Any] | None = None
    safety_identifier: str | None = None

    # Only these values can be honoured
    n: Annotated[Literal[1] | None, _only(1, why=_ONE_ANSWER)] = 1
    logprobs: Annotated[Literal[False] | None, _only(False, why=_NO_LOGPROBS)] = None
    top_logprobs: Annotated[Literal[0] | None, _only(0, why=_NO_LOGPROBS)] = None
    modalities: Annotated[list[Literal["text"]] | None, _only(["text"], why=_TEXT_ONLY)] = None
    audio: Annotated[None, _only(why=_TEXT_ONLY)] = None
    functions: Annotated[None, _only(why=_USE_TOOLS)] = None
    function_call: Annotated[None, _only(why=_USE_TOOLS)] = None
    web_search_options: Annotated[None, _only(why=_NOT_SEARCHED)] = None
    moderation: Annotated[None, _only(why=_NOT_MODERATED)] = None

    @model_validator(mode="after")
    def _options_of_a_stream(self) -> ChatRequest:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream to be true")
        return self

    @model_validator(mode="after")
    def _choice_of_tools(self) -> ChatRequest:
        names = {tool.function.name for tool in self.tools or ()}
        if self.tool_choice == "required" and not names:
            raise ValueError("tool_choice: a tool is required, and there are no tools")
        if isinstance(self.tool_choice, NamedToolChoice) and self.tool_choice.function.name not in names:
            raise ValueError("tool_choice: none of the tools has that name")
        return self


class CompletionMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: list[ToolCall] | None = None


class Choice(BaseModel):
    """The one answer."""

    index: int = 0
    message: CompletionMessage
    finish_reason: FinishReason
    logprobs: None = None


class PromptTokensDetails(BaseModel):
    cached_tokens: int = 0


class CompletionTokensDetails(BaseModel):
    reasoning_tokens: int = 0


class CompletionUsage(BaseModel):
    """Tokens, over every model call of the run."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class ChatCompletion(BaseModel):
    """The whole answer."""

    model_config = ConfigDict(json_schema_extra=examples.example(examples.CHAT_COMPLETION))

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="Unix time.")
    model: str
    choices: list[Choice]
    usage: CompletionUsage | None = None
    system_fingerprint: str | None = Field(default=None, description="`offline` when no real model answered.")


class FunctionDelta(BaseModel):
    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(BaseModel):
    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionDelta


class ChoiceDelta(BaseModel):
    """What is new in the answer."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(BaseModel):
    """The one answer, so far."""

    index: int = 0
    delta: ChoiceDelta
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(BaseModel):
    """A piece of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | None = None
    system_fingerprint: str | None = None


class Model(BaseModel):
    """An agent or a workflow, as a model."""

    model_config = ConfigDict(json_schema_extra=examples.example(examples.MODEL))

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="Unix time at which this gateway started.")
    owned_by: Literal["weaver"] = "weaver"


class ModelList(BaseModel):
    """Every agent and workflow."""

    model_config = ConfigDict(json_schema_extra=examples.example({"object": "list", "data": [examples.MODEL]}))

    object: Literal["list"] = "list"
    data: list[Model]

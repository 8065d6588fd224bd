"""The bodies of Weaver's own resources; OpenAI's are in `openai_schemas`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import PydanticKnownError

from weaver_ai.agents import RunResult
from weaver_ai.gateway import examples
from weaver_ai.tasks import Priority, TaskError, TaskRecord, TaskRequest, TaskState
from weaver_ai.tasks.retry import MAX_RETRIES
from weaver_ai.tasks.schedule import MAX_DEADLINE_SECONDS, MAX_DELAY_SECONDS

__all__ = [
    "AgentInfo",
    "Body",
    "Bounds",
    "Catalogue",
    "Component",
    "Cost",
    "Flag",
    "Health",
    "Index",
    "Number",
    "Ready",
    "RunReport",
    "RunRequest",
    "RunUsage",
    "Task",
    "TaskFailure",
    "TaskSubmission",
    "TaskTerms",
    "ToolUse",
    "Usage",
    "Whole",
    "WorkflowInfo",
]

Usage = Annotated[
    Mapping[str, int] | None,
    Field(description="Tokens, requests and tool calls; null when nothing was counted."),
]
Cost = Annotated[
    float | None, Field(ge=0, description="US dollars; null when the price isn't known, never 0 for that.")
]


def _dated(value: object) -> object:
    """Only what RFC 3339 calls a date and time: pydantic would take a number for seconds since 1970."""
    if value is not None and not (isinstance(value, str) and _DATE_TIME.match(value)):
        raise ValueError("a date and time as RFC 3339 has it is needed, for instance 2026-11-23T18:00:00Z")
    return value


_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
Date = Annotated[AwareDatetime, BeforeValidator(_dated)]


def _whole(value: object) -> object:
    if isinstance(value, str | bool):
        raise PydanticKnownError("int_type")
    return value


# Pydantic would take "1" and true for the number 1, and "yes" for true: what the document promises holds to the letter.
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, BeforeValidator(_whole)]  # to JSON Schema 1.0 is an integer, too
Number = Annotated[float, Field(strict=True)]


class RunUsage(BaseModel):
    """Tokens, model requests and tool calls, over every step of a run."""

    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    total_tokens: int = Field(ge=0)
    requests: int = Field(ge=0)
    tool_calls: int = Field(ge=0)
    cached_tokens: int = Field(default=0, ge=0, description="Of the input's, those read from the provider's cache.")
    reasoning_tokens: int = Field(default=0, ge=0, description="Of the output's, those that the model thought with.")


class TaskTerms(BaseModel):
    """How the tasks of a capability are run, unless they say otherwise themselves."""

    retries: int = Field(ge=0, description="How many failed attempts may be followed by another.")
    retried_on: list[str] = Field(description="The codes of the failures that are; see the problems' `type`.")
    pause_seconds: float = Field(description="Before the first retry; doubled for each further one.")
    longest_pause_seconds: float
    concurrency: int | None = Field(description="How many run at once, over all workers; null: no limit of its own.")


class Bounds(BaseModel):
    """What every run and every task is held to here."""

    run_timeout_seconds: float = Field(description="Longest that a run, or an attempt at a task, may take.")
    provider_timeout_seconds: float = Field(description="Longest that a model provider may take to answer.")
    provider_retries: int = Field(ge=0, description="How often a model call is repeated where no fallback follows it.")
    longest_deadline_seconds: float = Field(description="Of a task; one whose submission names none has none.")
    longest_delay_seconds: float = Field(description="Of a task.")
    body_bytes: int = Field(description="Largest request body.")


class AgentInfo(BaseModel):
    """An agent that can be run."""

    name: str
    capability: str = Field(description="What a task or a workflow asks for it by.")
    description: str | None
    models: list[str] = Field(description="The model that it runs on, and those that are tried after it, in order.")
    offline: bool = Field(description="Whether that is the offline model, whose answers are made up.")
    remarks: list[str] = Field(
        default_factory=list,
        description="What of its models isn't as it was registered: fallbacks without a key, bounds of own clients.",
    )
    tasks: TaskTerms


class WorkflowInfo(BaseModel):
    """A workflow that can be run."""

    name: str
    capability: str
    description: str | None
    input_schema: dict[str, Any] = Field(description="JSON schema of its input.")
    tasks: TaskTerms


class Catalogue(BaseModel):
    """Everything that can be run here."""

    model_config = ConfigDict(json_schema_extra=examples.example(examples.CATALOGUE))

    agents: list[AgentInfo]
    workflows: list[WorkflowInfo]
    bounds: Bounds


class Body(BaseModel):
    """A request's body: a field that isn't known is refused, with a guess at what was meant."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RunRequest(Body):
    """What an agent or a workflow is run on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"input": "refund order 7"}]})

    input: JsonValue = Field(
        description="Text for an agent; anything else is given to it as JSON. A workflow takes what its `input_schema` "
        "in GET /v1/agents says."
    )


class ToolUse(BaseModel):
    """A tool call that was made in a run."""

    id: str
    name: str
    arguments: dict[str, JsonValue]
    result: JsonValue
    failed: bool = Field(description="Whether the model got an error for it.")


class RunReport(BaseModel):
    """What came of a run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run_id": "1076f9443d964959a5ee13a8d843a56e",
                    "name": "billing",
                    "kind": "agent",
                    "output": "Order 7 (espresso machine) is refunded: 249.00 EUR.",
                    "text": "Order 7 (espresso machine) is refunded: 249.00 EUR.",
                    "usage": {
                        "input_tokens": 107,
                        "output_tokens": 30,
                        "total_tokens": 137,
                        "requests": 2,
                        "tool_calls": 1,
                        "cached_tokens": 0,
                        "reasoning_tokens": 0,
                    },
                    "cost": 0.00021,
                    "model": "gpt-5-mini",
                    "provider": "openai",
                    "offline": False,
                    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "name": "refund",
                            "arguments": {"order": 7},
                            "result": "Order 7 (espresso machine) is refunded: 249.00 EUR.",
                            "failed": False,
                        }
                    ],
                }
            ]
        }
    )

    run_id: str
    name: str
    kind: Literal["agent", "workflow"]
    output: JsonValue = Field(description="What the agent or the workflow gave back.")
    text: str = Field(description="The output as text.")
    usage: RunUsage
    cost: Cost = None
    model: str | None = Field(description="The model that answered; several, comma-separated, in a workflow.")
    provider: str | None
    offline: bool = Field(description="Whether the offline model answered: what it says is made up.")
    trace_id: str | None = Field(description="The trace to look at; null when telemetry is off.")
    tool_calls: list[ToolUse]

    @classmethod
    def of(cls, result: RunResult) -> RunReport:
        return cls.model_validate(result.to_json())


class TaskSubmission(Body):
    """Work for an agent or a workflow."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "capability": "support",
                    "input": "refund order 7",
                    "priority": "normal",
                    "metadata": {"customer": "c-42"},
                    "delay_seconds": 30.0,
                    "deadline_seconds": 900.0,
                    "retries": 3,
                }
            ]
        }
    )

    capability: str = Field(min_length=1, max_length=200, description="What is to be done: see GET /v1/agents.")
    input: JsonValue = Field(description="What the capability takes: text for most agents.")
    priority: Priority = "normal"
    metadata: dict[str, JsonValue] = Field(default_factory=dict, description="Kept with the task and handed back.")
    delay_seconds: Number | None = Field(
        default=None,
        ge=0,
        le=MAX_DELAY_SECONDS,
        description="Not to be started before so many seconds have passed; 30 days at most.",
    )
    not_before: Date | None = Field(
        default=None, description="Not to be started before this time, in place of `delay_seconds`."
    )
    deadline_seconds: Number | None = Field(
        default=None,
        gt=0,
        le=MAX_DEADLINE_SECONDS,
        description="To have ended so many seconds from now. After it the task isn't started, a running one is "
        "cancelled and none is retried: it fails as `deadline-exceeded`.",
    )
    deadline: Date | None = Field(
        default=None, description="To have ended by this time, in place of `deadline_seconds`; a year ahead at most."
    )
    retries: Whole | None = Field(
        default=None,
        ge=0,
        le=MAX_RETRIES,
        description="How many failed attempts may be followed by another, in place of what the capability says. What a "
        "model provider may do better next time is retried: time-outs, 429, 5xx and broken connections.",
    )

    def request(self, idempotency_key: str | None) -> TaskRequest:
        """What is asked of the engine."""
        return TaskRequest(idempotency_key=idempotency_key, **dict(self))


class TaskFailure(BaseModel):
    """Why a task failed or was cancelled."""

    code: str = Field(description="The last segment of a problem's `type`.", examples=["provider-timeout"])
    message: str
    hint: str | None = None
    retry_after: float | None = Field(default=None, description="Seconds after which another task is worth it.")

    @classmethod
    def of(cls, error: TaskError) -> TaskFailure:
        return cls(code=error.code, message=error.message, hint=error.hint, retry_after=error.retry_after)


class Task(BaseModel):
    """A task as it stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "task_id": "0d696e2e1696422fb694da45e7ee67a8",
                    "capability": "support",
                    "state": "scheduled",
                    "input": "refund order 7",
                    "priority": "normal",
                    "metadata": {"customer": "c-42"},
                    "result": None,
                    "error": None,
                    "attempts": 1,
                    "retries": 3,
                    "retried": 1,
                    "last_error": {
                        "code": "provider-rate-limited",
                        "message": "openai (gpt-5-mini) is rate limiting: status 429",
                        "hint": None,
                        "retry_after": 2.0,
                    },
                    "usage": None,
                    "cost": None,
                    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                    "created_at": "2026-11-23T15:05:33.943218Z",
                    "not_before": "2026-11-23T15:06:03.943218Z",
                    "next_attempt_at": "2026-11-23T15:06:06.120077Z",
                    "deadline": "2026-11-23T15:20:33.943218Z",
                    "started_at": "2026-11-23T15:06:03.951764Z",
                    "finished_at": None,
                }
            ]
        }
    )

    task_id: str
    capability: str
    state: TaskState = Field(
        description="A `scheduled` task waits for its time: its first one, or that of the attempt after a failed one. "
        "A `queued` one waits for a place."
    )
    input: JsonValue
    priority: Priority
    metadata: dict[str, JsonValue]
    result: JsonValue = Field(description="What came of it; null until it has succeeded.")
    error: TaskFailure | None = Field(description="Set exactly when the state is `failed` or `cancelled`.")
    attempts: int = Field(ge=0, description="How often it was started.")
    retries: int = Field(ge=0, description="How many failed attempts may be followed by another.")
    retried: int = Field(ge=0, description="How many were; a worker's death isn't one of them.")
    last_error: TaskFailure | None = Field(
        description="Of the last failed attempt that another followed, or is to follow."
    )
    usage: Usage = None
    cost: Cost = None
    trace_id: str | None = Field(description="The trace to look at, known from the first attempt on.")
    created_at: datetime
    not_before: datetime | None = Field(description="Before which it isn't started; null when it needn't wait.")
    next_attempt_at: datetime | None = Field(description="When the next attempt is due; null unless it is `scheduled`.")
    deadline: datetime | None = Field(description="By which it has ended.")
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, record: TaskRecord) -> Task:
        return cls(
            task_id=record.id,
            capability=record.capability,
            state=record.state,
            input=record.input,
            priority=record.priority,
            metadata=dict(record.metadata),
            result=record.result,
            error=None if record.error is None else TaskFailure.of(record.error),
            attempts=record.attempts,
            retries=record.retries,
            retried=record.retried,
            last_error=None if record.last_error is None else TaskFailure.of(record.last_error),
            usage=record.usage,
            cost=record.cost,
            trace_id=record.trace_id,
            created_at=record.created_at,
            not_before=record.not_before,
            next_attempt_at=record.next_attempt_at,
            deadline=record.deadline,
            started_at=record.started_at,
            finished_at=record.finished_at,
        )


ComponentState = Literal["ok", "degraded", "down", "off", "configured", "unconfigured"]


class Component(BaseModel):
    """How one part of the service is."""

    state: ComponentState = Field(description="`degraded` and `down` make the service degraded; the others don't.")
    latency_ms: float | None = Field(
        default=None,
        ge=0,
        description="How long it took to answer just now; of telemetry, how long the last batch took to be delivered. "
        "Null where nothing was asked, or nothing answered.",
    )
    reason: str | None = Field(default=None, description="Why it isn't `ok`.")


class Health(BaseModel):
    """The liveness report: answered with 200 as long as the process can answer."""

    model_config = ConfigDict(json_schema_extra=examples.example(examples.HEALTH))

    status: Literal["healthy", "degraded"]
    service: str
    version: str
    telemetry_enabled: bool
    agent: Literal["ok", "missing"] = Field(description="Whether there is an agent or a workflow to run.")
    components: dict[str, Component]


class Ready(BaseModel):
    """Whether traffic should come here."""

    model_config = ConfigDict(json_schema_extra=examples.example(examples.READY))

    ready: bool
    service: str
    telemetry: bool = Field(description="Whether telemetry is on.")
    agent_ready: bool = Field(description="Whether there is an agent or a workflow to run.")


class Index(BaseModel):
    """What is served here."""

    model_config = ConfigDict(json_schema_extra=examples.example(examples.INDEX))

    service: str
    version: str
    agents: list[str]
    workflows: list[str]
    links: dict[str, str]

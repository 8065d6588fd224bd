"""What is known of a task: the request, the record that outlives it, and its events. All of it is JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json

from weaver_ai.errors import Draining, InvalidInput, RunCancelled, WeaverError
from weaver_ai.tasks.retry import Retry

__all__ = [
    "FINISHED_STATES",
    "Priority",
    "TaskError",
    "TaskEvent",
    "TaskRecord",
    "TaskRequest",
    "TaskState",
    "state_of",
]

Priority: TypeAlias = Literal["low", "normal", "high"]
TaskState: TypeAlias = Literal["scheduled", "queued", "running", "succeeded", "failed", "cancelled"]

FINISHED_STATES: Final[frozenset[TaskState]] = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """Work that someone asks an engine for.

    Attributes:
        capability: what is to be done; the handler knows what it means.
        input: JSON.
        metadata: JSON, kept and handed back; the engine doesn't read it.
        idempotency_key: the same key with the same body gives the same task for 24 hours.
        traceparent: the W3C trace context that the task belongs to, when it isn't the caller's current span.
        tracestate: what vendors have added to that context.
        delay_seconds: not to be started before so many seconds have passed since its acceptance.
        not_before: not to be started before this time, in place of `delay_seconds`; it has a time zone.
        deadline_seconds: to have ended so many seconds after its acceptance.
        deadline: to have ended by this time, in place of `deadline_seconds`; it has a time zone.
        retries: how many failed attempts may be followed by another, in place of what the capability's policy says.
    """

    capability: str
    input: JsonValue
    priority: Priority = "normal"
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    idempotency_key: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    delay_seconds: float | None = None
    not_before: datetime | None = None
    deadline_seconds: float | None = None
    deadline: datetime | None = None
    retries: int | None = None

    def fingerprint(self) -> str:
        """A digest of the body: equal for requests that ask for the same, whatever their keys' order.

        The idempotency key and the trace context are no part of the body.
        """
        body = {
            "capability": self.capability,
            "input": self.input,
            "priority": self.priority,
            "metadata": dict(self.metadata),
        }
        timing = {
            "delay_seconds": self.delay_seconds,
            "not_before": self.not_before,
            "deadline_seconds": self.deadline_seconds,
            "deadline": self.deadline,
            "retries": self.retries,
        }
        body |= {name: _comparable(value) for name, value in timing.items() if value is not None}
        return sha256(_canonical_json(body)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """Why a task failed or was cancelled; `code` is that of `weaver_ai.errors`. Safe to show to the caller."""

    code: str
    message: str
    hint: str | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, error: WeaverError) -> TaskError:
        return cls(code=error.code, message=error.message, hint=error.hint, retry_after=error.retry_after)


def state_of(error: TaskError | None) -> TaskState:
    """The state of a task that ended with `error`: cancelled when it was stopped, failed when it stumbled."""
    if error is None:
        return "succeeded"
    return "cancelled" if error.code in {RunCancelled.code, Draining.code} else "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """One task as it stands. A snapshot: a later state is another record.

    Attributes:
        result: what the handler gave back, or None until the task has succeeded.
        error: set exactly when the state is `failed` or `cancelled`.
        attempts: how often a handler was started for it.
        usage: tokens, requests and tool calls, of failed attempts too, and of those that were handed back or put back
            by hand; None when nothing was counted. What an attempt had used that died with its worker, nobody knows
            but for its finished steps.
        cost: US dollars, or None when that isn't known; never 0 for unknown.
        trace_id: the trace that the task's span belongs to, known from its submission on.
        traceparent: the trace context under which the task runs, whichever process runs it.
        tracestate: what vendors have added to that context.
        not_before: the time before which the first attempt isn't made; None when it needn't wait.
        deadline: the time by which the task has ended, one way or another.
        retry: how failed attempts are followed by others; None: they aren't.
        retried: how many attempts were made because the one before them had failed.
        next_attempt_at: when a `scheduled` task's next attempt is due; None in every other state.
        last_error: why the last failed attempt failed that was or will be followed by another.
    """

    id: str
    capability: str
    input: JsonValue
    created_at: datetime
    priority: Priority = "normal"
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    idempotency_key: str | None = None
    state: TaskState = "queued"
    result: JsonValue = None
    error: TaskError | None = None
    attempts: int = 0
    usage: Mapping[str, int] | None = None
    cost: float | None = None
    trace_id: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    not_before: datetime | None = None
    deadline: datetime | None = None
    retry: Retry | None = None
    retried: int = 0
    next_attempt_at: datetime | None = None
    last_error: TaskError | None = None

    @property
    def retries(self) -> int:
        """How many failed attempts may be followed by another."""
        return 0 if self.retry is None else self.retry.retries

    @property
    def finished(self) -> bool:
        return self.state in FINISHED_STATES

    def but(self, **changes: Any) -> TaskRecord:
        """The same record with `changes`."""
        return replace(self, **changes)

    def to_json(self) -> bytes:
        """The record as UTF-8 JSON, times in ISO 8601; `from_json` reads it back to an equal record."""
        return to_json(self)

    @classmethod
    def from_json(cls, data: bytes | str) -> TaskRecord:
        """Read what `to_json` wrote.

        Raises:
            InvalidInput: `data` isn't a record.
        """
        try:
            return _RECORD.validate_json(data)
        except ValidationError as error:
            raise InvalidInput(f"not a task record: {error.error_count()} fields don't fit") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """Something that happened to a task. `id` grows with time within a task and is what a reader resumes after."""

    id: str
    type: str
    time: datetime
    data: Mapping[str, JsonValue] = field(default_factory=dict)


_RECORD: TypeAdapter[TaskRecord] = TypeAdapter(TaskRecord)


def _comparable(value: float | datetime) -> JsonValue:
    return f"at {value.timestamp():f}" if isinstance(value, datetime) else float(value)


def _canonical_json(value: JsonValue | Mapping[str, Any]) -> bytes:
    return to_json(_sorted(cast("JsonValue", value)))


def _sorted(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value

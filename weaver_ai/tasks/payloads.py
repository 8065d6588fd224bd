"""What every engine checks: payloads are JSON, event ids are numbers, and what a handler did becomes an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pydantic import JsonValue, TypeAdapter
from pydantic_core import from_json, to_json

from weaver_ai.errors import Draining, InvalidInput, RunCancelled, RunFailed, WeaverError
from weaver_ai.tasks import tracing
from weaver_ai.tasks.engine import TaskOutcome
from weaver_ai.tasks.record import TaskError, TaskRecord, TaskRequest

__all__ = [
    "CANCELLED",
    "DRAINED",
    "IDEMPOTENCY_SECONDS",
    "checked_event",
    "checked_outcome",
    "error_of",
    "fingerprint_of",
    "json_value",
    "position_of",
]

IDEMPOTENCY_SECONDS: Final = 86_400.0
CANCELLED: Final = TaskError.of(RunCancelled("the task was cancelled"))
DRAINED: Final = TaskError.of(Draining("the service shut down before the task had ended", hint="submit the task again"))

_INTERNAL: Final = TaskError(code=WeaverError.code, message="the task failed for a reason that was logged")
_JSON: Final[TypeAdapter[JsonValue]] = TypeAdapter(JsonValue)
_OUTCOME: Final[TypeAdapter[TaskOutcome]] = TypeAdapter(TaskOutcome)
_HINT: Final = "JSON is text without halves of surrogate pairs, numbers, lists and objects, less than 200 levels deep"
_UNWRITABLE: Final = TaskError.of(RunFailed("the task's result can't be written as JSON and read again", hint=_HINT))


def json_value(value: object) -> JsonValue:
    """`value` as it is.

    Raises:
        InvalidInput: it isn't JSON, or not such as can be written and read again.
    """
    try:
        checked = _JSON.validate_python(value)
        _JSON.validate_json(to_json([checked]))  # within something, as it is in the record
    except ValueError as error:  # also of a half surrogate pair, and of what is nested too deeply
        raise InvalidInput("a task's input and metadata must be JSON values") from error
    return checked


def fingerprint_of(request: TaskRequest) -> str:
    """The digest of a request's body, once that is known to be JSON."""
    json_value(request.input)
    json_value(dict(request.metadata))
    return request.fingerprint()


def checked_outcome(outcome: TaskOutcome, record: TaskRecord) -> TaskOutcome:
    """The outcome, or one that says that its result can't be written as JSON and read again."""
    try:
        _JSON.validate_python(outcome.result)
        _OUTCOME.validate_json(to_json(outcome))
    except ValueError as error:
        tracing.report(error, record)
        return replace(outcome, result=None, error=_UNWRITABLE)
    return outcome


def checked_event(kind: str, data: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """The data of a handler's event as it is.

    Raises:
        RunFailed: it can't be written as JSON and read again.
    """
    try:
        from_json(to_json(dict(data)))
    except ValueError as error:
        raise RunFailed(f"the task's event {kind!r} can't be written as JSON and read again", hint=_HINT) from error
    return data


def error_of(error: BaseException, record: TaskRecord) -> TaskError:
    """What a record says of an exception; one that isn't meant for the caller is logged and not told."""
    if isinstance(error, WeaverError):
        return TaskError.of(error)
    tracing.report(error, record)
    return _INTERNAL


def position_of(after: str | None) -> int:
    """The number that an event id is, 0 for none."""
    if after is None:
        return 0
    if not (after.isascii() and after.isdigit()):
        raise InvalidInput(f"{after!r} is no event id of this engine", hint="send the id of the last event received")
    return int(after)

"""What every engine checks: payloads are JSON, event ids are numbers, and what a handler did becomes an outcome."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from weaver_ai.errors import Draining, InvalidInput, RunCancelled, WeaverError
from weaver_ai.tasks import tracing
from weaver_ai.tasks.engine import TaskOutcome
from weaver_ai.tasks.record import TaskError, TaskRecord, TaskRequest

__all__ = [
    "CANCELLED",
    "DRAINED",
    "IDEMPOTENCY_SECONDS",
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


def json_value(value: object) -> JsonValue:
    """`value` as it is.

    Raises:
        InvalidInput: it isn't JSON.
    """
    try:
        return _JSON.validate_python(value)
    except ValidationError as error:
        raise InvalidInput("a task's input and metadata must be JSON values") from error


def fingerprint_of(request: TaskRequest) -> str:
    """The digest of a request's body, once that is known to be JSON."""
    json_value(request.input)
    json_value(dict(request.metadata))
    return request.fingerprint()


def checked_outcome(outcome: TaskOutcome, record: TaskRecord) -> TaskOutcome:
    """The outcome, or one that says that its result isn't JSON."""
    try:
        json_value(outcome.result)
    except InvalidInput as error:
        return TaskOutcome(error=error_of(error.__cause__ or error, record), usage=outcome.usage, cost=outcome.cost)
    return outcome


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

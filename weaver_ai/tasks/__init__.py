"""Tasks: work that outlives the request that asked for it."""

from weaver_ai.tasks.embedded import EmbeddedEngine
from weaver_ai.tasks.engine import DrainReport, Engine, EngineHealth, TaskContext, TaskHandler, TaskOutcome
from weaver_ai.tasks.record import (
    FINISHED_STATES,
    Priority,
    TaskError,
    TaskEvent,
    TaskRecord,
    TaskRequest,
    TaskState,
)
from weaver_ai.tasks.retry import TRANSIENT, Retry, TaskPolicy

__all__ = [
    "FINISHED_STATES",
    "TRANSIENT",
    "DrainReport",
    "EmbeddedEngine",
    "Engine",
    "EngineHealth",
    "Priority",
    "Retry",
    "TaskContext",
    "TaskError",
    "TaskEvent",
    "TaskHandler",
    "TaskOutcome",
    "TaskPolicy",
    "TaskRecord",
    "TaskRequest",
    "TaskState",
]

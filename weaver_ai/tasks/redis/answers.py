"""What Redis answers about tasks and workers, with types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from weaver_ai.tasks.engine import TaskOutcome
from weaver_ai.tasks.record import Priority, TaskError, TaskEvent, TaskRecord
from weaver_ai.tasks.schedule import DEADLINE_EXCEEDED, Spent

__all__ = [
    "OVERDUE",
    "Accepted",
    "Beat",
    "Claimed",
    "Counted",
    "EventPage",
    "Heartbeat",
    "Line",
    "Survey",
    "event_of",
    "fields_of",
    "kept_of",
    "names_of",
    "outcome_of",
    "record_of",
    "spent_of",
    "survey_of",
    "time_of",
    "told_of",
]

_OUTCOME: Final[TypeAdapter[TaskOutcome]] = TypeAdapter(TaskOutcome)
_SPENT: Final[TypeAdapter[Spent]] = TypeAdapter(Spent)
_ERROR: Final[TypeAdapter[TaskError]] = TypeAdapter(TaskError)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WORDS: Final[tuple[Literal["lost"], Literal["counted"], Literal["stop"]]] = ("lost", "counted", "stop")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of a submission.

    Attributes:
        record: the task as it was accepted.
        groups: of workers, that serve it.
        known: the task that the idempotency key stands for.
        waiting: how many tasks wait, when that is too many; `mean_seconds` is how long one took lately.
    """

    verdict: Literal["accepted", "known", "conflict", "full"]
    record: TaskRecord | None = None
    groups: tuple[str, ...] = ()
    known: str | None = None
    waiting: int = 0
    mean_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a worker says of itself. `idle_seconds`: since it last asked for work; a stuck one has stopped to ask.

    Without `capabilities` it serves every one.
    """

    concurrency: int
    running: int
    idle_seconds: float
    draining: bool
    capabilities: Sequence[str] = ()

    def serves(self, capability: str) -> bool:
        return not self.capabilities or capability in self.capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat(Heartbeat):
    """A heartbeat as others see it; `age_seconds` ago."""

    name: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Line:
    """How many tasks of a priority and a capability wait for a place."""

    priority: Priority
    capability: str
    length: int


@dataclass(frozen=True, slots=True)
class Survey:
    """The tasks that wait for a place, the numbers of those that wait for their time and that run, and the workers."""

    lines: tuple[Line, ...]
    scheduled: int
    running: int
    workers: tuple[Beat, ...]

    @property
    def queued(self) -> int:
        """How many tasks wait for a place."""
        return sum(line.length for line in self.lines)

    def by_capability(self) -> dict[str, int]:
        """How many tasks wait for a place, by capability."""
        found: Counter[str] = Counter()
        for line in self.lines:
            found[line.capability] += line.length
        return dict(found)


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events of a task, and how many it has had; `ended` when no more will come."""

    events: tuple[TaskEvent, ...]
    count: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that is a worker's from now on.

    Attributes:
        spent: what its failed attempts used.
        seconds_left: until its deadline.
        events: how many it has had.
    """

    record: TaskRecord
    spent: Spent
    seconds_left: float | None
    events: int

    @classmethod
    def of(cls, answer: Any) -> Claimed | None:
        """From the answer of the script `CLAIM`."""
        if answer is None:
            return None
        pairs, now = answer
        fields = fields_of(pairs)
        record = record_of(fields)
        left = None if record.deadline is None else (record.deadline - time_of(now)).total_seconds()
        return cls(record, spent_of(fields), left, int(fields[b"events"]))


@dataclass(frozen=True, slots=True)
class Counted:
    """Whether what an attempt said counted, and what there is to do next.

    Attributes:
        word: `lost` when the task is another attempt's, `stop` when it is to be cancelled instead.
        groups: of workers, that need a turn for the task when its time has come.
        next: another task, that is the worker's from now on.
    """

    word: Literal["counted", "lost", "stop"]
    groups: tuple[str, ...] = ()
    next: Claimed | None = None

    @classmethod
    def of(cls, code: int, groups: Sequence[bytes] = (), claimed: Any = None) -> Counted:
        return cls(_WORDS[code], names_of(groups), Claimed.of(claimed))


def survey_of(answer: Any) -> Survey:
    """The answer of the script `SURVEY`."""
    now, beats, running, scheduled, lines = answer
    return Survey(
        lines=tuple(
            Line(priority.decode(), capability.decode(), length)
            for priority, capability, length in zip(lines[::3], lines[1::3], lines[2::3], strict=True)
        ),
        scheduled=scheduled,
        running=running,
        workers=tuple(_beat(name.decode(), value, int(now)) for name, value in sorted(fields_of(beats).items())),
    )


def record_of(fields: Mapping[bytes, bytes]) -> TaskRecord:
    """A task from the hash that holds it."""
    outcome = outcome_of(fields)
    used = spent_of(fields) if outcome.usage is None and outcome.cost is None else outcome
    record = TaskRecord.from_json(fields[b"request"])
    return record.but(
        state=fields[b"state"].decode(),
        attempts=int(fields[b"attempts"]),
        created_at=time_of(fields[b"created"]),
        started_at=_time_in(fields, b"started"),
        finished_at=_time_in(fields, b"finished"),
        result=outcome.result if outcome.error is None else None,
        error=outcome.error,
        usage=used.usage,
        cost=used.cost,
        not_before=_time_in(fields, b"start"),
        deadline=_time_in(fields, b"deadline"),
        retried=int(fields.get(b"retried", b"0")),
        next_attempt_at=_time_in(fields, b"due"),
        last_error=_ERROR.validate_json(fields[b"last_error"]) if b"last_error" in fields else None,
    )


def outcome_of(fields: Mapping[bytes, bytes]) -> TaskOutcome:
    """What came of a task; nothing yet where it hasn't ended."""
    return _OUTCOME.validate_json(fields.get(b"outcome", b"{}"))


def spent_of(fields: Mapping[bytes, bytes]) -> Spent:
    """What the failed attempts of a task used."""
    return _SPENT.validate_json(fields.get(b"spent", b"{}"))


def event_of(entry_id: bytes, fields: Mapping[bytes, bytes]) -> TaskEvent:
    """An entry of a task's stream."""
    return TaskEvent(
        id=entry_id.decode().partition("-")[0],
        type=fields[b"type"].decode(),
        time=time_of(fields[b"time"]),
        data=from_json(fields[b"data"]),
    )


def time_of(micros: bytes) -> datetime:
    """A time of Redis."""
    return _EPOCH + timedelta(microseconds=int(micros))


def names_of(names: Sequence[bytes]) -> tuple[str, ...]:
    """Names as text."""
    return tuple(name.decode() for name in names)


def fields_of(pairs: Any) -> dict[bytes, bytes]:
    """A hash that a script gave: a list of names and values, or a map where the protocol has maps."""
    return dict(zip(pairs[::2], pairs[1::2], strict=True)) if isinstance(pairs, list) else pairs


def _beat(name: str, value: bytes, now: int) -> Beat:
    seen, _, told = value.partition(b" ")
    known = {field.name for field in fields(Heartbeat)}  # a newer worker may tell more
    said = {field: value for field, value in from_json(told).items() if field in known}
    return Beat(name=name, age_seconds=max(0.0, (now - int(seen)) / 1_000_000), **said)


def told_of(error: TaskError | None) -> bytes:
    """The data of the event that ends a task."""
    return to_json({} if error is None else {"code": error.code, "message": error.message})


def kept_of(outcome: TaskOutcome) -> bytes:
    """What is kept of an outcome; the share of its steps is only asked for where the task can be put back."""
    return to_json(outcome, exclude={"kept_usage", "kept_cost"} if outcome.error is None else None)


def _time_in(fields: Mapping[bytes, bytes], name: bytes) -> datetime | None:
    return time_of(fields[name]) if name in fields else None


OVERDUE: Final = (kept_of(TaskOutcome(error=DEADLINE_EXCEEDED)), told_of(DEADLINE_EXCEEDED))
"""Outcome and event of a task whose deadline is over, as the scripts take them."""

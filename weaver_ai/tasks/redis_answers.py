"""What Redis answers about tasks and workers, with types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from pydantic_core import from_json

from weaver_ai.tasks.record import Priority, TaskEvent, TaskRecord
from weaver_ai.tasks.schedule import Spent

__all__ = [
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
    "names_of",
    "survey_of",
    "time_of",
]

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
    """A task that is a worker's from now on, what its failed attempts used, and the seconds until its deadline."""

    record: TaskRecord
    spent: Spent
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Counted:
    """Whether what an attempt said counted, and groups of workers that have something to do now.

    Attributes:
        word: `lost` when the task is another attempt's, `stop` when it is to be cancelled instead.
        groups: that serve the task itself, if it is to be run again.
        heirs: that can run another task in its place, where a limit kept that one waiting.
    """

    word: Literal["counted", "lost", "stop"]
    groups: tuple[str, ...] = ()
    heirs: tuple[str, ...] = ()

    @classmethod
    def of(cls, code: int, groups: Sequence[bytes] = (), heirs: Sequence[bytes] = ()) -> Counted:
        return cls(_WORDS[code], names_of(groups), names_of(heirs))


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
    return Beat(name=name, age_seconds=max(0.0, (now - int(seen)) / 1_000_000), **from_json(told))

"""The tasks of one process, and how long they are kept once they have finished."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import JsonValue

from weaver_ai.tasks.attempt import Ended
from weaver_ai.tasks.event_log import EventLog
from weaver_ai.tasks.payloads import IDEMPOTENCY_SECONDS
from weaver_ai.tasks.record import TaskError, TaskRecord
from weaver_ai.tasks.schedule import Spent

__all__ = ["Entries", "Entry"]


@dataclass(frozen=True, slots=True)
class _Key:
    fingerprint: str
    task_id: str
    expires: float


@dataclass(slots=True, eq=False)
class Entry:
    """A task's mutable side. `stopped` is why it was told to end, once it was."""

    record: TaskRecord
    events: EventLog
    done: asyncio.Event = field(default_factory=asyncio.Event)
    attempt: asyncio.Task[Ended] | None = None
    stopped: TaskError | None = None
    spent: Spent = field(default_factory=Spent)
    steps: dict[str, JsonValue] = field(default_factory=dict)
    due: asyncio.TimerHandle | None = None
    overdue: asyncio.TimerHandle | None = None
    began: float | None = None
    key_expires: float | None = None
    expires: float = math.inf


class Entries:
    """Tasks by their id and by their idempotency key; the finished ones for a time, and not more than so many.

    Args:
        ttl_seconds: how long a finished task is kept. One with an idempotency key stays for 24 hours at least.
        max_finished: finished tasks that are kept at most; the oldest go first. Those whose idempotency key is
            still honoured don't count, and don't go: beyond this number the oldest of them give up their events.
        max_keys: idempotency keys that are honoured at the same time.
        clock: seconds, monotonic.

    Attributes:
        by_id: every task that is kept.
    """

    def __init__(self, *, ttl_seconds: float, max_finished: int, max_keys: int, clock: Callable[[], float]) -> None:
        self.by_id: dict[str, Entry] = {}
        self.max_keys = max_keys
        self._ttl_seconds = ttl_seconds
        self._max_finished = max_finished
        self._clock = clock
        self._keys: OrderedDict[str, _Key] = OrderedDict()
        self._kept: OrderedDict[str, Entry] = OrderedDict()  # finished, without a key that is still honoured
        self._keyed: OrderedDict[str, Entry] = OrderedDict()  # finished, with one, and with all their events

    @property
    def takes_keys(self) -> bool:
        """Whether one more idempotency key can be honoured."""
        self._expire()
        return len(self._keys) < self.max_keys

    def add(self, entry: Entry, fingerprint: str) -> None:
        """Keep a task that was accepted with that body."""
        self._expire()
        record = entry.record
        self.by_id[record.id] = entry
        if record.idempotency_key is not None:
            entry.key_expires = self._clock() + IDEMPOTENCY_SECONDS
            self._keys[record.idempotency_key] = _Key(fingerprint, record.id, entry.key_expires)

    def find(self, task_id: str) -> Entry | None:
        """The task, None if there is none or its time is over."""
        self._expire()
        entry = self.by_id.get(task_id)
        # One that was kept for its key may stand behind others that expire later.
        if entry is None or (entry.key_expires is None and entry.expires <= self._clock()):
            return None
        return entry

    def known(self, key: str) -> tuple[str, Entry] | None:
        """The fingerprint of the body that an idempotency key came with, and its task."""
        self._expire()
        known = self._keys.get(key)
        return None if known is None else (known.fingerprint, self.by_id[known.task_id])

    def ended(self, entry: Entry) -> None:
        """From now on the task is kept for a time only."""
        entry.expires = self._clock() + self._ttl_seconds
        if entry.key_expires is None:
            self._keep(entry)
            return
        self._keyed[entry.record.id] = entry
        while len(self._keyed) > self._max_finished:
            self._keyed.popitem(last=False)[1].events.shrink()

    def _keep(self, entry: Entry) -> None:
        self._kept[entry.record.id] = entry
        while len(self._kept) > self._max_finished:
            del self.by_id[self._kept.popitem(last=False)[0]]

    def _expire(self) -> None:
        now = self._clock()
        while self._keys and next(iter(self._keys.values())).expires <= now:
            entry = self.by_id[self._keys.popitem(last=False)[1].task_id]
            entry.key_expires = None
            if entry.record.finished:
                self._keyed.pop(entry.record.id, None)
                self._keep(entry)
        while self._kept and next(iter(self._kept.values())).expires <= now:
            del self.by_id[self._kept.popitem(last=False)[0]]

"""The tasks of one process, and how long they are kept once they have finished."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from weaver_ai.tasks.attempt import Ended
from weaver_ai.tasks.event_log import EventLog
from weaver_ai.tasks.payloads import IDEMPOTENCY_SECONDS
from weaver_ai.tasks.record import TaskError, TaskRecord
from weaver_ai.tasks.schedule import Spent
from weaver_ai.tasks.size import size_of

__all__ = ["Entries", "Entry"]

_BARE: Final = 4_400
"""Bytes of a task without its payloads and events: the record, the entry, an empty log."""


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
    size: int = 0

    def weighed(self) -> int:
        """The bytes of memory that it holds, roughly."""
        record = self.record
        payloads = (record.input, record.metadata, record.result)
        return _BARE + sum(map(size_of, payloads)) + (self.events.size if record.finished else 0)


class Entries:
    """Tasks by their id and by their idempotency key; the finished ones for a time, and as far as memory goes.

    Args:
        ttl_seconds: how long a finished task is kept. One with an idempotency key stays for 24 hours at least.
        max_finished: finished tasks that are kept at most; the oldest go first. Those whose idempotency key is
            still honoured don't count, and don't go.
        max_whole: finished tasks that are kept with all their events; older ones have their last only.
        max_keys: idempotency keys that are honoured at the same time.
        max_bytes: what all of them may hold of memory, roughly. Beyond it the oldest finished ones give up their
            events, then go, all but the latest; what waits, runs, or has a key that is honoured stays.
        clock: seconds, monotonic.

    Attributes:
        by_id: every task that is kept.
    """

    def __init__(
        self,
        *,
        ttl_seconds: float,
        max_finished: int,
        max_whole: int,
        max_keys: int,
        max_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        self.by_id: dict[str, Entry] = {}
        self.max_keys = max_keys
        self._ttl_seconds = ttl_seconds
        self._max_finished = max_finished
        self._max_whole = max_whole
        self._max_bytes = max_bytes
        self._clock = clock
        self._bytes = 0
        self._kept_bytes = 0  # of those in _kept
        self._keys: OrderedDict[str, _Key] = OrderedDict()
        self._kept: OrderedDict[str, Entry] = OrderedDict()  # finished, without a key that is still honoured
        self._whole: OrderedDict[str, Entry] = OrderedDict()  # finished, with all their events

    @property
    def held_bytes(self) -> int:
        """What the tasks hold that stay whatever else comes."""
        self._expire()
        return self._bytes - self._kept_bytes

    @property
    def takes_more(self) -> bool:
        """Whether there is memory for one more task."""
        return self.held_bytes < self._max_bytes

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
        self._weigh(entry)
        if record.idempotency_key is not None:
            entry.key_expires = self._clock() + IDEMPOTENCY_SECONDS
            self._keys[record.idempotency_key] = _Key(fingerprint, record.id, entry.key_expires)
        self._make_room()

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
        self._weigh(entry)
        self._whole[entry.record.id] = entry
        if entry.key_expires is None:
            self._keep(entry)
        self._make_room()

    def _keep(self, entry: Entry) -> None:
        self._kept[entry.record.id] = entry
        self._kept_bytes += entry.size
        while len(self._kept) > self._max_finished:
            self._forget_oldest()

    def _make_room(self) -> None:
        while self._whole and (len(self._whole) > self._max_whole or self._bytes > self._max_bytes):
            _, oldest = self._whole.popitem(last=False)
            oldest.events.shrink()
            self._weigh(oldest)
        while len(self._kept) > 1 and self._bytes > self._max_bytes:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        task_id, entry = self._kept.popitem(last=False)
        del self.by_id[task_id]
        self._whole.pop(task_id, None)
        self._bytes -= entry.size
        self._kept_bytes -= entry.size

    def _weigh(self, entry: Entry) -> None:
        more = entry.weighed() - entry.size
        entry.size += more
        self._bytes += more
        if entry.record.id in self._kept:
            self._kept_bytes += more

    def _expire(self) -> None:
        now = self._clock()
        while self._keys and next(iter(self._keys.values())).expires <= now:
            entry = self.by_id[self._keys.popitem(last=False)[1].task_id]
            entry.key_expires = None
            if entry.record.finished:
                self._keep(entry)
        while self._kept and next(iter(self._kept.values())).expires <= now:
            self._forget_oldest()

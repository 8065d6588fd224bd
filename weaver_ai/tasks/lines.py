"""Tasks that wait for a place, in memory: the most urgent first, and none of a capability that is at its limit."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from itertools import count
from typing import Final

from weaver_ai.tasks.record import Priority

__all__ = ["PRIORITIES", "Lines"]

PRIORITIES: Final[tuple[Priority, ...]] = ("high", "normal", "low")


class Lines:
    """Ids of waiting tasks, a line for each priority and capability, and how many of a capability run.

    Args:
        limit_of: how many tasks of a capability may run at once, None for as many as there are places.
    """

    def __init__(self, limit_of: Callable[[str], int | None]) -> None:
        self._limit_of = limit_of
        self._lines: dict[Priority, dict[str, OrderedDict[str, int]]] = {priority: {} for priority in PRIORITIES}
        self._running: Counter[str] = Counter()
        self._places = count()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, task_id: str, priority: Priority, capability: str) -> None:
        """Put a task at the end of its line."""
        self._lines[priority].setdefault(capability, OrderedDict())[task_id] = next(self._places)
        self._length += 1

    def remove(self, task_id: str, priority: Priority, capability: str) -> None:
        """Take a task out, if it is there."""
        line = self._lines[priority].get(capability)
        if line is not None and line.pop(task_id, None) is not None:
            self._left(priority, capability, line)

    def take(self) -> str | None:
        """The most urgent task that may run; from now on its capability has one more that runs."""
        for priority, lines in self._lines.items():
            free = [(next(iter(line.values())), name) for name, line in lines.items() if self._has_room(name)]
            if free:
                capability = min(free)[1]
                line = lines[capability]
                task_id, _ = line.popitem(last=False)
                self._left(priority, capability, line)
                self._running[capability] += 1
                return task_id
        return None

    def ended(self, capability: str) -> None:
        """One task of the capability runs no more."""
        self._running[capability] -= 1
        if not self._running[capability]:
            del self._running[capability]

    def waiting(self) -> dict[str, int]:
        """How many tasks wait, by capability."""
        found: Counter[str] = Counter()
        for lines in self._lines.values():
            found.update({capability: len(line) for capability, line in lines.items()})
        return dict(found)

    def _has_room(self, capability: str) -> bool:
        limit = self._limit_of(capability)
        return limit is None or self._running[capability] < limit

    def _left(self, priority: Priority, capability: str, line: OrderedDict[str, int]) -> None:
        self._length -= 1
        if not line:
            del self._lines[priority][capability]

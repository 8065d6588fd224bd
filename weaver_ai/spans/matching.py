"""Distinct matching: as many pairs as possible, nobody in two."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

__all__ = ["assign"]


def assign(edges: Sequence[Sequence[int]], right: int, *, required: int = 0) -> list[int | None]:
    """A maximum matching of left numbers (the indexes of `edges`) to the numbers below `right`.

    Right numbers below `required` are served first: where some matching covers all of them, and some
    matching covers all of the left, the one returned covers both (Mendelsohn and Dulmage, 1958). Takes
    at most one step per edge for each number on either side.

    Returns:
        for each left number its right number, or None.
    """
    left = len(edges)
    backward: list[list[int]] = [[] for _ in range(right)]
    for one, others in enumerate(edges):
        for other in others:
            backward[other].append(one)
    to_right: list[int | None] = [None] * left
    to_left: list[int | None] = [None] * right
    for other in range(min(required, right)):
        _augment(other, backward, to_left, to_right)
    for one in range(left):
        if to_right[one] is None:
            _augment(one, edges, to_right, to_left)
    return to_right


def _augment(start: int, edges: Sequence[Sequence[int]], mine: list[int | None], theirs: list[int | None]) -> None:
    """Give `start` a partner if an alternating path to a free one exists; whoever had a partner keeps having one."""
    came_from: dict[int, int] = {}
    waiting = deque([start])
    while waiting:
        one = waiting.popleft()
        for other in edges[one]:
            if other in came_from:
                continue
            came_from[other] = one
            holder = theirs[other]
            if holder is not None:
                waiting.append(holder)
                continue
            free: int | None = other
            while free is not None:
                giver = came_from[free]
                given_up = mine[giver]
                mine[giver], theirs[free] = free, giver
                free = given_up
            return

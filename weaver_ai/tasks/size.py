"""How much memory JSON values hold."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["size_of"]


def size_of(value: Any) -> int:
    """The bytes of a JSON value, of all that is in it, roughly: what is shared with others is counted, too."""
    total, left = 0, [value]
    while left:
        inner = left.pop()
        total += sys.getsizeof(inner)
        if isinstance(inner, Mapping):
            left.extend(inner.values())
            total += sum(map(sys.getsizeof, inner))
        elif isinstance(inner, list):
            left.extend(inner)
    return total

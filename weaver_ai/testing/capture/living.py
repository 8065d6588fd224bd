"""Objects that are alive, wherever they are held."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TypeVar

__all__ = ["living"]

T = TypeVar("T")


def living(kind: type[T]) -> Iterator[T]:
    """Those of that class; slow, so only where a test fails anyway."""
    return (found for found in gc.get_objects() if isinstance(found, kind))

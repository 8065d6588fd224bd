"""Ids with the look of a provider's: the same sequence in every run."""

from __future__ import annotations

import random
import string
from threading import Lock

__all__ = ["Ids"]

_ALPHABET = string.ascii_letters + string.digits


class Ids:
    """A seeded source of ids, safe for threads."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)  # noqa: S311 - ids of fakes, no secrets
        self._lock = Lock()

    def of(self, prefix: str, length: int) -> str:
        """`prefix` and `length` letters and digits."""
        with self._lock:
            return prefix + "".join(self._random.choices(_ALPHABET, k=length))

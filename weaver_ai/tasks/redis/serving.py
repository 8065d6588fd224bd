"""What a worker serves, and the group of workers that it is one of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from weaver_ai.tasks.retry import TaskPolicy

__all__ = ["EVERYTHING", "Serving"]

EVERYTHING = ""
"""The group of workers that serve every capability there is."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The capabilities that a worker serves, none named for every one; and how the tasks of capabilities are run.

    Workers that serve the same are a group: a turn that one of them can use, each of them can.
    """

    capabilities: Sequence[str] = ()
    policies: Mapping[str, TaskPolicy] | None = None

    @property
    def group(self) -> str:
        """The same for all workers with these capabilities."""
        if not self.capabilities:
            return EVERYTHING
        return sha256("\n".join(sorted(set(self.capabilities))).encode()).hexdigest()[:12]

    def policy(self, capability: str) -> TaskPolicy:
        """How tasks of the capability are run."""
        return (self.policies or {}).get(capability) or TaskPolicy()

    def limited(self, capability: str) -> bool:
        """Whether only so many tasks of the capability may run at once."""
        return self.policy(capability).concurrency is not None

    def arguments(self) -> list[str | int]:
        """As the scripts take it: whether every capability is served, how many are named, and each with its limit."""
        named = self.capabilities or list(self.policies or ())
        found: list[str | int] = [int(not self.capabilities), len(named)]
        for capability in named:
            limit = self.policy(capability).concurrency
            found += [capability, "" if limit is None else limit]
        return found

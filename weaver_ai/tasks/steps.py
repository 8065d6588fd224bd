"""What came of a workflow's steps, kept with the task so that its next attempt needn't run them again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Final

from pydantic import JsonValue
from pydantic_core import to_json

from weaver_ai.errors import StepChanged

__all__ = ["StepLog"]

Keep = Callable[[str, JsonValue], Awaitable[object]]


class StepLog:
    """The finished steps of a task, by their number; what an earlier attempt kept and what this one adds.

    Args:
        kept: by earlier attempts.
        keep: called with the number and the entry of each step that finishes.
    """

    def __init__(self, kept: Mapping[str, JsonValue], keep: Keep) -> None:
        self._kept: Final = dict(kept)
        self._keep = keep

    def recall(self, step: str, capability: str, value: JsonValue) -> JsonValue | None:
        """What came of the step in an earlier attempt, None when it didn't finish there.

        Raises:
            StepChanged: it was another step, or had another input: the workflow doesn't do the same again.
        """
        entry = self._kept.get(step)
        if not isinstance(entry, dict):
            return None
        if entry["capability"] != capability:
            raise StepChanged(
                f"step {step} was {entry['capability']!r} in an earlier attempt, and is {capability!r} now", hint=_HINT
            )
        if entry["input"] != _digest(value):
            raise StepChanged(f"step {step} ({capability!r}) has another input than in an earlier attempt", hint=_HINT)
        return entry["result"]

    async def keep(self, step: str, capability: str, value: JsonValue, result: JsonValue) -> None:
        """Keep what came of a step that has finished."""
        await self._keep(step, {"capability": capability, "input": _digest(value), "result": result})


_HINT: Final = (
    "a workflow has to call the same steps with the same inputs each time it runs: keep clocks, random numbers and "
    "outside state inside of steps"
)


def _digest(value: JsonValue) -> str:
    return sha256(to_json(value)).hexdigest()

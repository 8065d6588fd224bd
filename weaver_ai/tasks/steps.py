"""What came of a workflow's steps, kept with the task so that its next attempt needn't run them again.

Steps that run at once begin in another order each time, so a step is known by what is asked: the capability, a digest
of the input, and the how-manieth of its kind it is. A step that changed is thus a new one, and leaves one that was kept
and that nobody asks for any more; docs/decisions/0205.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pydantic import JsonValue

from weaver_ai.errors import StepChanged
from weaver_ai.tasks.digest import digest_of
from weaver_ai.telemetry import names
from weaver_ai.telemetry.logs import log_warning

__all__ = ["Asked", "StepLog"]

Keep = Callable[[str, JsonValue], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A step that a workflow asks for.

    Attributes:
        key: what it is known by in every attempt; None when its input has no form that all processes share.
        sure: whether all that had ended by then is kept, so that a later attempt has to ask for it, too.
    """

    capability: str
    key: str | None
    sure: bool


class StepLog:
    """The finished steps of a task; what earlier attempts kept and what this one adds.

    Args:
        kept: by earlier attempts, by key.
        keep: called with the key and the entry of each step that finishes.
    """

    def __init__(self, kept: Mapping[str, JsonValue], keep: Keep) -> None:
        self._kept: Final = {key: entry for key, entry in kept.items() if isinstance(entry, dict)}
        self._keep = keep
        self._times: Counter[str] = Counter()
        self._recalled: set[str] = set()
        self._anew: set[str] = set()
        self._formless: set[str] = set()
        self._sure = True

    def asked(self, capability: str, value: object, within: Asked | None = None) -> Asked:
        """Note that a workflow asks for a step, in the order in which it does.

        Args:
            capability: that is asked for.
            value: its input.
            within: the step that is a workflow and asks for this one; None for the task's own workflow.
        """
        scope = "" if within is None else within.key
        digest = digest_of(value)
        if digest is None and capability not in self._formless:
            self._formless.add(capability)
            log_warning(
                "a step isn't kept, for its input has no form that other processes share",
                **{names.CAPABILITY: capability},
            )
        if scope is None or digest is None:
            return Asked(capability, None, self._sure)
        kind = sha256(f"{scope} {capability} {digest}".encode()).hexdigest()[:32]
        self._times[kind] += 1
        return Asked(capability, f"{kind}-{self._times[kind]}", self._sure)

    def recall(self, asked: Asked) -> JsonValue | None:
        """What came of the step in an earlier attempt, None when it didn't finish there."""
        entry = None if asked.key is None else self._kept.get(asked.key)
        if asked.key is None or entry is None:
            self._anew.add(asked.capability)
            return None
        self._recalled.add(asked.key)
        return entry["result"]

    async def keep(self, asked: Asked, result: JsonValue) -> bool:
        """Keep what came of a step that has finished; False when it has no key to be kept by."""
        if asked.key is None:
            return False
        await self._keep(asked.key, {"capability": asked.capability, "sure": asked.sure, "result": result})
        return True

    def unkept(self) -> None:
        """A step has ended, by failing perhaps, and isn't kept: what is asked for from now on may follow from it."""
        self._sure = False

    def check(self) -> None:
        """The workflow has come to its end: it has asked for all that it had to.

        Raises:
            StepChanged: it hasn't asked for a step that an earlier attempt finished.
        """
        left = sorted(
            str(entry["capability"])
            for key, entry in self._kept.items()
            if key not in self._recalled and entry.get("sure") is True
        )
        if not left:
            return
        changed = next((capability for capability in left if capability in self._anew), None)
        if changed is not None:
            raise StepChanged(f"a step ({changed!r}) has another input than in an earlier attempt", hint=_HINT)
        raise StepChanged(f"a step of an earlier attempt ({left[0]!r}) isn't asked for any more", hint=_HINT)


_HINT: Final = (
    "a workflow has to call the same steps with the same inputs each time it runs: keep clocks, random numbers and "
    "outside state inside of steps"
)

"""Armed faults, and the one place that says whether a call is hit."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Self, final

from weaver_ai.testing.faults.spec import Edge, FaultSpec

__all__ = ["Fault", "FaultPlan", "current", "is_heard", "on_change"]


@final
class Fault:
    """One armed fault: it strikes until it is lifted, by `lift`, at the end of a `with` block or of the test.

    Its narrowing methods change it in place, so they stand directly after what armed it:
    `faults.openai.timeout().on_call(2)`.

    Attributes:
        calls: how many calls came by while it was armed.
        struck: the numbers of those that it hit.
    """

    def __init__(self, spec: FaultSpec, plan: FaultPlan, number: int) -> None:
        self.spec = spec
        self.calls = 0
        self.struck: list[int] = []
        self.may_miss = spec.chance is not None
        self._plan = plan
        self._number = number

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def hits(self) -> int:
        """How often it struck."""
        return len(self.struck)

    @property
    def active(self) -> bool:
        """False once it is lifted."""
        return self in self._plan.active

    def on_call(self, *numbers: int) -> Self:
        """Only on these calls, counted from 1 from now on."""
        return self._narrow(self.spec.on_call(*numbers))

    def share(self, chance: float) -> Self:
        """On about this share of the calls; which ones follows from the session's seed, so a failure repeats."""
        self.may_miss = True
        return self._narrow(self.spec.share(chance))

    def optional(self) -> Self:
        """Let the test pass although the fault never strikes."""
        self.may_miss = True
        return self

    def begin(self) -> None:
        """Strike from now on."""
        self._plan.begin(self)

    def lift(self) -> None:
        """End it; lifting twice is no error."""
        self._plan.lift(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.lift()

    def __repr__(self) -> str:
        return f"<fault {self.id}: {self.said()}>"

    def said(self) -> str:
        """How often it struck, in words."""
        if not self.calls:
            return "no call came by"
        came = "1 call" if self.calls == 1 else f"{self.calls} calls"
        return f"struck {_listed(self.struck)} of {came}" if self.struck else f"struck none of {came}"

    def meets(self) -> bool:
        """Count a call; whether it is hit. For the plan, which holds the lock."""
        self.calls += 1
        hit = (not self.spec.calls or self.calls in self.spec.calls) and self._drawn()
        if hit:
            self.struck.append(self.calls)
        return hit

    def _drawn(self) -> bool:
        if self.spec.chance is None:
            return True
        return random.Random(f"{self._plan.seed}:{self._number}:{self.calls}").random() < self.spec.chance  # noqa: S311

    def _narrow(self, spec: FaultSpec) -> Self:
        self.spec = spec
        self._plan.changed()
        return self


class FaultPlan:
    """The faults of one test.

    Args:
        seed: what `share` is drawn from: the same seed, the same calls.

    Attributes:
        hosts: where each provider answers, as `host`, `host:port` or base URL.
        armed: every fault of the test, lifted ones included, in order.
        active: those that aren't lifted.
    """

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.hosts: dict[Edge, tuple[str, ...]] = {"openai": ("api.openai.com",), "anthropic": ("api.anthropic.com",)}
        self.armed: list[Fault] = []
        self.active: list[Fault] = []
        self._lock = threading.Lock()

    def arm(self, spec: FaultSpec) -> Fault:
        """A fault that strikes from now on."""
        fault = self.prepare(spec)
        fault.begin()
        return fault

    def prepare(self, spec: FaultSpec) -> Fault:
        """A fault that strikes once it is told to `begin`."""
        fault = Fault(spec, self, len(self.armed))
        with self._lock:
            self.armed.append(fault)
        return fault

    def begin(self, fault: Fault) -> None:
        with self._lock:
            self.active.append(fault)
        self.changed()

    def lift(self, fault: Fault) -> None:
        with self._lock:
            if fault not in self.active:
                return
            self.active.remove(fault)
        self.changed()

    def lift_all(self) -> None:
        with self._lock:
            self.active.clear()
        self.changed()

    def changed(self) -> None:
        """Tell whoever acts on faults by himself that they were armed, narrowed or lifted."""
        for listener in tuple(_listeners):
            listener()

    def on(self, edge: Edge) -> list[Fault]:
        """The active faults of an edge."""
        with self._lock:
            return [fault for fault in self.active if fault.spec.edge == edge]

    def strike(self, fits: Callable[[FaultSpec], bool]) -> Fault | None:
        """Count one call with every active fault that it fits; the first that hits it, if any.

        Called from any thread. A call is one request, one Redis command or one export.
        """
        with self._lock:
            hit = [fault for fault in self.active if fits(fault.spec) and fault.meets()]
        return hit[0] if hit else None

    def missed(self) -> list[Fault]:
        """The faults that never struck although they should have: what the test thinks it shows, it does not."""
        return [fault for fault in self.armed if not fault.struck and not fault.may_miss]

    def lines(self) -> Iterator[str]:
        """What became of each fault."""
        for fault in self.armed:
            yield f"{fault.id}: {fault.said()}"

    def __enter__(self) -> Self:
        _plans.append(self)
        self.changed()
        return self

    def __exit__(self, *_: object) -> None:
        _plans.remove(self)
        self.lift_all()


_plans: list[FaultPlan] = []
_listeners: list[Callable[[], None]] = []


def on_change(listener: Callable[[], None]) -> Callable[[], None]:
    """Call `listener` whenever faults were armed, narrowed or lifted, until the returned function is called."""
    _listeners.append(listener)

    def forget() -> None:
        _listeners.remove(listener)

    return forget


def is_heard() -> bool:
    """Whether anything acts on changes: the server of a test's Redis."""
    return bool(_listeners)


def current() -> FaultPlan | None:
    """The plan of the test that runs, if it uses faults."""
    return _plans[-1] if _plans else None


def _listed(numbers: list[int], limit: int = 10) -> str:
    shown = ", ".join(map(str, numbers[:limit]))
    return shown if len(numbers) <= limit else f"{shown} and {len(numbers) - limit} more"

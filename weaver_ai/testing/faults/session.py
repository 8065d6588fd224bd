"""The fixture `faults`: arms faults for one test, and says at its end which of them never struck."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, final

from weaver_ai.testing.faults.plan import Fault, FaultPlan, is_heard
from weaver_ai.testing.faults.spec import Edge, FaultSpec, Vocabulary
from weaver_ai.testing.patches import Patches

__all__ = ["Faults", "complaint", "faults_of", "notes"]

_HTTP: Final = frozenset({"openai", "anthropic", "http"})
_NO_REDIS: Final = (
    "faults.redis needs the fixture fake_redis in the same test, set up before the fault is armed: "
    "without it nothing stands between the clients and their server"
)


@final
class Faults(Vocabulary[Fault]):
    """Arms faults: `faults.openai.status(429, retry_after=2).on_call(1)`, `with faults.redis.down(): ...`.

    Each is in force from the call that names it until it is lifted, at the latest at the end of the test.

    Attributes:
        plan: what is armed.
    """

    def __init__(self, plan: FaultPlan) -> None:
        super().__init__(self.arm)
        self.plan = plan
        self._patches = Patches()
        self._patched: set[str] = set()

    def arm(self, spec: FaultSpec) -> Fault:
        """Arm a fault of the vocabulary `fault`, as a parameter or a fixture has it.

        Raises:
            RuntimeError: a Redis fault, and no `fake_redis` that could have it.
        """
        self.reach(spec)
        return self.plan.arm(spec)

    def reach(self, spec: FaultSpec) -> None:
        """Get between the code under test and the edge of the fault, if that has not been done.

        Raises:
            RuntimeError: as for `arm`.
        """
        if spec.edge == "redis" and not is_heard():
            raise RuntimeError(_NO_REDIS)
        self._reach(spec.edge)

    def at(self, provider: Literal["openai", "anthropic"], *base_urls: str) -> None:
        """Let the faults of a provider strike at these URLs as well: a proxy, an Azure resource, a local server."""
        self.plan.hosts[provider] = (*self.plan.hosts[provider], *base_urls)

    def lift(self) -> None:
        """Lift every fault."""
        self.plan.lift_all()

    def close(self) -> None:
        self.plan.lift_all()
        self._patches.undo()

    def _reach(self, edge: Edge) -> None:
        """Get between the code under test and the edge, once for each kind of edge."""
        kind = "http" if edge in _HTTP else edge
        if kind in self._patched:
            return
        self._patched.add(kind)
        if kind == "http":
            from weaver_ai.testing.faults.pools import patch_pools  # noqa: PLC0415 # only what is armed is loaded

            patch_pools(self._patches)
        elif kind == "exporter":
            from weaver_ai.testing.faults.exporter import patch_exporters  # noqa: PLC0415 # as above

            patch_exporters(self._patches)


@contextmanager
def faults_of(node_id: str, seed: int, environment: Mapping[str, str]) -> Iterator[Faults]:
    """Faults for one test; its share of the session's seed is its own, so it repeats when it runs alone."""
    with FaultPlan(f"{seed}:{node_id}") as plan:
        faults = Faults(plan)
        for provider, variable in (("openai", "OPENAI_BASE_URL"), ("anthropic", "ANTHROPIC_BASE_URL")):
            if base_url := environment.get(variable):
                faults.at(provider, base_url)  # type: ignore[arg-type] # the two literals above
        try:
            yield faults
        finally:
            faults.close()


def complaint(missed: Iterable[Fault]) -> str | None:
    """What to say of faults that never struck, or None where there is none."""
    lines = [f"  {fault.id}: {fault.said()}" for fault in missed]
    if not lines:
        return None
    return "\n".join(
        [
            "a fault was armed and never struck, so the test shows nothing about it:",
            *lines,
            "  say .optional() where that is right",
        ]
    )


def notes(plan: FaultPlan, seed: int) -> Iterator[str]:
    """What a failed test had armed, and how to have the same again."""
    yield from plan.lines()
    if any(fault.spec.chance is not None for fault in plan.armed):
        yield f"the same calls again: --weaver-faults-seed={seed}"

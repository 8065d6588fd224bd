"""What the engine says of its tasks and workers, as metrics."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, Observation

from weaver_ai.tasks import Engine, EngineHealth
from weaver_ai.telemetry import Telemetry, names

__all__ = ["EngineMetrics"]

_EVERY_SECONDS: Final = 2.0
_WORKER_STATES: Final = ("ok", "draining", "silent", "stuck")


_asking: Final[list[EngineMetrics]] = []
"""Those that ask now, the latest last: it is who the instruments observe, for a process has them only once."""


class EngineMetrics:
    """Asks the engine every two seconds; an exporter or a scraper gets its last answer.

    `capabilities` are told of also when none of their tasks waits.
    """

    def __init__(self, engine: Engine, telemetry: Telemetry, capabilities: Collection[str]) -> None:
        self._engine = engine
        self._capabilities = capabilities
        self._last: EngineHealth | None = None
        meter = telemetry.meter_provider.get_meter("weaver_ai")
        meter.create_observable_gauge(
            names.METRIC_TASK_QUEUED,
            [_latest(EngineMetrics._queued)],
            unit="{task}",
            description="Tasks that wait, by capability.",
        )
        meter.create_observable_gauge(
            names.METRIC_TASK_SCHEDULED,
            [_latest(EngineMetrics._scheduled)],
            unit="{task}",
            description="Tasks that wait for their time.",
        )
        meter.create_observable_gauge(
            names.METRIC_TASK_RUNNING, [_latest(EngineMetrics._running)], unit="{task}", description="Tasks that run."
        )
        meter.create_observable_gauge(
            names.METRIC_WORKER_COUNT,
            [_latest(EngineMetrics._workers)],
            unit="{worker}",
            description="Workers, by state.",
        )

    async def refresh(self) -> None:
        """Ask again and again, until cancelled; from then on there is nothing of this engine to observe."""
        _asking.append(self)
        try:
            while True:
                self._last = await self._engine.health()
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            _asking.remove(self)  # an instrument can't be taken back

    def _known(self) -> EngineHealth | None:
        # Without a server there is no latency; with one, an answer without it is no answer, and no count is zero.
        last = self._last
        return last if last is not None and (last.latency is not None or last.state == "ok") else None

    def _queued(self) -> Iterable[Observation]:
        known = self._known()
        if known is None or not isinstance(waiting := known.detail.get("waiting"), Mapping):
            return []
        numbers: dict[str, Any] = {**dict.fromkeys(self._capabilities, 0), **waiting}
        return [Observation(number, {names.TASK_CAPABILITY: capability}) for capability, number in numbers.items()]

    def _scheduled(self) -> Iterable[Observation]:
        return [] if (known := self._known()) is None else [Observation(known.scheduled)]

    def _running(self) -> Iterable[Observation]:
        return [] if (known := self._known()) is None else [Observation(known.running)]

    def _workers(self) -> Iterable[Observation]:
        known = self._known()
        if known is None or not isinstance(workers := known.detail.get("workers"), list):
            return []
        states = Counter(str(worker["state"]) for worker in workers if isinstance(worker, Mapping))
        return [Observation(states[state], {names.WORKER_STATE: state}) for state in _WORKER_STATES]


def _latest(observe: Callable[[EngineMetrics], Iterable[Observation]]) -> Callable[[CallbackOptions], Any]:
    def observed(_options: CallbackOptions) -> Iterable[Observation]:
        latest = next(reversed(tuple(_asking)), None)
        return [] if latest is None else observe(latest)

    return observed

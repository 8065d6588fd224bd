"""What other processes sent to one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, final

from weaver_ai.spans import Span
from weaver_ai.spans.tree import Key, key_of

if TYPE_CHECKING:
    from weaver_ai.receiver.delivery import Delivery
    from weaver_ai.receiver.logs import LogRecord
    from weaver_ai.receiver.metrics import DataPoint

__all__ = ["Remote", "explain_orphan"]


@final
class Remote:
    """Part of a recording; as there, lists only grow.

    Attributes:
        spans: in the order in which they arrived; one that was open may come again.
        strays: names of spans that arrived while this test ran, and the test whose process sent them.
        address: where they were sent to, once the test has asked for it.
        refused: what was sent there and not taken, a reason each.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.logs: list[LogRecord] = []
        self.points: list[DataPoint] = []
        self.strays: list[tuple[str, str]] = []
        self.address: str | None = None
        self.refused: Callable[[], Sequence[str]] = tuple
        self._parents_elsewhere: set[Key] = set()
        self._wrong: list[str] = []

    def take(self, delivery: Delivery) -> None:
        self._parents_elsewhere |= delivery.parents_elsewhere
        self._wrong += delivery.wrong
        self.logs += delivery.logs
        self.points += delivery.points
        self.spans += delivery.spans  # last, for it is what whoever waits for looks at

    def latest(self) -> Sequence[Span]:
        """Each span once, as it was last told of; what has ended stays so."""
        latest: dict[Key, Span] = {}
        for span in tuple(self.spans):
            known = latest.get(key_of(span))
            if known is None or known.is_open:
                latest[key_of(span)] = span
        return tuple(latest.values())

    def orphans(self, known: set[Key]) -> Iterator[Span]:
        """Those whose parent belongs to their own process and is not among those known."""
        for span in self.latest():
            if span.parent_id is None or (span.trace_id, span.parent_id) in known:
                continue
            if key_of(span) not in self._parents_elsewhere:
                yield span

    @property
    def has_any(self) -> bool:
        """Whether anything came from another process."""
        return bool(self.spans or self.logs or self.points)

    def count(self) -> str:
        """What arrived, in words."""
        counts = ((len(self.latest()), "span"), (len(self.logs), "log"), (len(self.points), "data point"))
        return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)

    def refusals(self) -> Iterator[str]:
        """What was sent here and not taken, in words; the first three reasons."""
        for reason in [*dict.fromkeys(self._wrong), *dict.fromkeys(self.refused())][:3]:
            yield f"otlp did not take what was sent to it: {reason}"

    def why_empty(self) -> Iterator[str]:
        """Why no span came from another process; nothing if no other process was meant to send any."""
        if self.address is None:
            return
        refusals = list(self.refusals())
        yield from refusals
        if not refusals:
            yield (
                f"no process sent a span to otlp at {self.address}: was it started with otlp.env, "
                "and did it live until it exported?"
            )


def explain_orphan(span: Span) -> str:
    return f"span {span.name!r}: its parent {span.parent_id} never arrived: was its process killed?"

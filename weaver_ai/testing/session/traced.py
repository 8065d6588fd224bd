"""One test that records: from what it wishes to the sections of its report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeAlias, final

import pytest
from opentelemetry.context import get_current

from weaver_ai.testing.asserting.drawn import Drawn
from weaver_ai.testing.asserting.explain import ExpectationFailed
from weaver_ai.testing.asserting.promises import Promises
from weaver_ai.testing.capture.capture import Capture
from weaver_ai.testing.invariants import CHECKS, Invariants, explain, settle, violations
from weaver_ai.testing.session.context import ContextGuard
from weaver_ai.testing.session.report import log_lines, trace_lines
from weaver_ai.testing.session.terminal import Styles
from weaver_ai.testing.signals.logs import Logs
from weaver_ai.testing.spans import Spans

if TYPE_CHECKING:
    from weaver_ai.testing.signals.metrics import Metrics

__all__ = ["Section", "TracedTest", "Wishes"]

Section: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the ini file and the markers ask for; the closest marker wins."""

    checks: Mapping[str, bool]
    sampling: str
    grace: float

    @classmethod
    def of(cls, config: pytest.Config) -> Self | str:
        """Read the ini file, or say what is wrong in it."""
        grace = config.getini("weaver_grace")
        try:
            seconds = float(grace)
        except ValueError:
            return f"weaver_grace is a number of seconds, not {grace!r}"
        checks = {check: bool(config.getini(f"weaver_check_{check}")) for check in CHECKS}
        return cls(checks, config.getini("weaver_sampling"), seconds)._checked()

    def marked(self, markers: Iterable[pytest.Mark]) -> Self | str:
        """These, changed by the markers, of which the closest comes first; or what is wrong with a marker."""
        wishes: dict[str, Any] = {}
        for marker in markers:
            wishes = {**marker.kwargs, **wishes}
        if not wishes:
            return self
        known = [*(f"check_{check}" for check in CHECKS), "sampling"]
        for keyword in wishes:
            if keyword not in known:
                return f"@pytest.mark.weaver has no keyword {keyword!r}; it has {', '.join(known)}"
        checks = {check: bool(wishes.get(f"check_{check}", on)) for check, on in self.checks.items()}
        return type(self)(checks, wishes.get("sampling", self.sampling), self.grace)._checked()

    def _checked(self) -> Self | str:
        if self.sampling not in {"every", "provider"}:
            return f"weaver sampling is 'every' or 'provider', not {self.sampling!r}"
        return self


@final
class TracedTest:
    """Recording, context and checks of one test; made in its set-up, read in its reports.

    Attributes:
        passed: its body has ended, and well.
        promises: what it must await.
    """

    def __init__(self, node_id: str, capture: Capture, wishes: Wishes, styles: Styles) -> None:
        self.recording = capture.record(node_id, every_span=wishes.sampling == "every")
        self.invariants = Invariants(wishes.checks)
        self.promises = Promises()
        self.passed = False
        self._capture = capture
        self._grace = wishes.grace
        self._styles = styles
        self._drawn = Drawn()
        self._context = ContextGuard()

    @cached_property
    def spans(self) -> Spans:
        return Spans(self.recording, style=self._styles.message, promises=self.promises, drawn=self._drawn)

    @cached_property
    def logs(self) -> Logs:
        self._capture.add("logs")
        return Logs(self.recording, promises=self.promises)

    @cached_property
    def metrics(self) -> Metrics:
        self._capture.add("metrics")
        from weaver_ai.testing.signals.metrics import Metrics  # noqa: PLC0415 # loads the SDK's metrics

        return Metrics(self.recording, promises=self.promises)

    def enter_body(self, item: pytest.Item) -> Callable[[], None]:
        """Before the test function, which is watched from inside its task if it is a coroutine function."""
        self.promises.body_begins()
        before = get_current()
        function = getattr(item, "obj", None)
        watched = self._context.watch(function) if function else None
        if watched is not function:
            item.obj = watched  # type: ignore[attr-defined] # a pytest.Function has it

        def leave() -> None:
            if watched is not function:
                item.obj = function  # type: ignore[attr-defined]
            self._context.note_body(before)
            self.recording.last_context = self._context.last

        return leave

    def close(self) -> None:
        """After all of the test's fixtures are gone, whether or not they went quietly."""
        self._context.close()

    def verdict(self) -> str | None:
        """What this test's trace broke; None if all holds, and for a test that didn't pass."""
        forgotten = self.promises.test_ended()
        if not self.passed:
            return None
        if forgotten:  # in a fixture's end; those of the body have failed it
            return "\n".join(forgotten)
        settle(self.recording, self._grace)
        found = list(violations(self.recording, self._context.leaks, self.invariants))
        return "\n".join(explain(found, self._styles.section)) if found else None

    def sections(self, failed: BaseException | None) -> Iterator[Section]:
        """What was recorded, but for the trees that the failure's message shows.

        A test that asked for logs or metrics only has no trace unless there is one.
        """
        if "spans" in vars(self) or self.recording.version:
            shown = self._drawn.in_message(str(failed)) if isinstance(failed, ExpectationFailed) else None
            if lines := list(trace_lines(self.recording, self._styles.section, shown=shown)):
                yield "trace", "\n".join(lines)
        if self.recording.logs or self.recording.remote.logs:
            yield "logs", "\n".join(log_lines(self.recording, self._styles.section))

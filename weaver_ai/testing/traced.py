"""One test that records: from the marker's wishes to the section in its report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import pytest
from opentelemetry.context import get_current

from weaver_ai.testing.capture import Capture
from weaver_ai.testing.context import ContextGuard
from weaver_ai.testing.invariants import CHECKS, Invariants, explain, settle, violations
from weaver_ai.testing.report import log_lines, trace_lines

__all__ = ["Section", "TracedTest", "Wishes"]

Section: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What ini and markers ask for; the closest marker wins."""

    checks: dict[str, bool]
    every_span: bool
    grace: float

    @classmethod
    def of(cls, config: pytest.Config, markers: Iterable[pytest.Mark]) -> Self | str:
        """Read the ini file, then the markers; or say what is wrong with them."""
        wishes: dict[str, Any] = {f"check_{check}": config.getini(f"weaver_check_{check}") for check in CHECKS}
        wishes["sampling"] = config.getini("weaver_sampling")
        for marker in reversed(list(markers)):
            for keyword, value in marker.kwargs.items():
                if keyword not in wishes:
                    return f"@pytest.mark.weaver has no keyword {keyword!r}; it has {', '.join(wishes)}"
                wishes[keyword] = value
        if wishes["sampling"] not in {"every", "provider"}:
            return f"weaver sampling is 'every' or 'provider', not {wishes['sampling']!r}"
        try:
            grace = float(config.getini("weaver_grace"))
        except ValueError:
            return f"weaver_grace is a number of seconds, not {config.getini('weaver_grace')!r}"
        return cls(
            checks={check: bool(wishes[f"check_{check}"]) for check in CHECKS},
            every_span=wishes["sampling"] == "every",
            grace=grace,
        )


class TracedTest:
    """Recording, context and checks of one test; made in its set-up, read in its reports."""

    def __init__(self, node_id: str, capture: Capture, wishes: Wishes, colour: bool) -> None:
        self.recording = capture.record(node_id, every_span=wishes.every_span)
        self.invariants = Invariants(wishes.checks)
        self._node_id = node_id
        self._grace = wishes.grace
        self._colour = colour
        self._context = ContextGuard()
        self._passed = False

    @contextmanager
    def body(self, item: pytest.Item) -> Iterator[None]:
        """Around the test function, which is watched from inside its task if it is a coroutine function."""
        before = get_current()
        function = getattr(item, "obj", None)
        watched = self._context.watch(function) if function else None
        if watched is not function:
            item.obj = watched  # type: ignore[attr-defined] # a pytest.Function has it
        try:
            yield
        finally:
            if watched is not function:
                item.obj = function  # type: ignore[attr-defined]
            self._context.note_body(before)
            self.recording.last_context = self._context.last

    def close(self) -> None:
        """After all of the test's fixtures are gone, whether or not they went quietly."""
        self._context.close()

    def verdict(self) -> str | None:
        """What this test's trace broke; None if all holds, and for a test that didn't pass."""
        if not self._passed:
            return None
        settle(self.recording, self._grace)
        found = list(violations(self.recording, self._context.leaks, self.invariants))
        return "\n".join(explain(self._node_id, found)) if found else None

    def sections(self, report: pytest.TestReport, call: pytest.CallInfo[None], *, spans: bool) -> Iterator[Section]:
        """What was recorded, for the report of a phase that failed; `spans` says that the test asked for them."""
        if report.when == "call":
            self._passed = call.excinfo is None
        if not report.failed:
            return
        if spans or self.recording.version:
            yield "trace", "\n".join(trace_lines(self.recording, colour=self._colour))
        if self.recording.logs:
            yield "logs", "\n".join(log_lines(self.recording))

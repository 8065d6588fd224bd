"""The OpenTelemetry context of a test: empty when it starts, and as it was when it ends."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import INVALID_SPAN, get_current_span

from weaver_ai.testing.capture.origin import captured_of

__all__ = ["ContextGuard"]


class ContextGuard:
    """Of one test. A span that a fixture of wider scope holds current, and goes on holding, is no leak.

    Attributes:
        leaks: what was left behind, a line each.
        last: the context in which the test's body ended.
    """

    def __init__(self) -> None:
        self.leaks: list[str] = []
        self.last: Context | None = None
        self._outside = get_current()
        self._inherits = _held_by_fixture(self._outside)
        if not self._inherits:
            attach(Context())
        self._base = get_current()

    def close(self) -> None:
        """Note what the test and its fixtures left behind, and put the context back."""
        left = get_current()
        if _held_by_fixture(left):
            return
        if self._inherits and not _held_by_fixture(self._base):  # its fixture is gone now, and took it along
            self._note(Context(), left)
            return
        self._note(self._base, left)
        if left != self._outside:
            attach(self._outside)

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The coroutine function, checked inside its task, where its context can be seen."""
        if not inspect.iscoroutinefunction(function):
            return function

        @functools.wraps(function)
        async def watched(*args: Any, **kwargs: Any) -> Any:
            before = get_current()
            try:
                return await function(*args, **kwargs)
            finally:
                self.last = get_current()
                self._note(before, self.last)

        return watched

    def note_body(self, before: Context) -> None:
        """Compare with the context from before the test's body, and put that one back."""
        left = get_current()
        self.last = self.last or left
        if left != before:
            self._note(before, left)
            attach(before)

    def _note(self, before: Context, after: Context) -> None:
        if before == after:
            return
        span = get_current_span(after)
        if span is not get_current_span(before):
            self.leaks.append(
                f"span {_name(span)!r} was left as the current span"
                if span is not INVALID_SPAN
                else "the current span was taken out of the context"
            )
            return
        changed = sorted(_label(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        self.leaks.append(f"{', '.join(changed)} was left in the context")


def _held_by_fixture(context: Context) -> bool:
    captured = captured_of(get_current_span(context))
    return captured is not None and captured.origin.kind == "fixture" and not captured.ended


def _name(span: object) -> str:
    captured = captured_of(span)
    return captured.latest.name if captured else str(getattr(span, "name", type(span).__name__))


def _label(key: str) -> str:
    # create_key appends a random UUID to the name it's given.
    name, separator, _ = key.rpartition("-")
    for _ in range(4):
        name, separator, _ = name.rpartition("-") if separator else (key, "", "")
    return name or key

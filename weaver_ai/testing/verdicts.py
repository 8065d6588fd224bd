"""What fails a test at its end although the code under test never let the test see it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Self, TypeAlias, final

import pytest

from weaver_ai.testing.plugins import of_session

__all__ = ["Verdicts"]

Take: TypeAlias = Callable[[], Iterable[str]]


@final
class Verdicts:
    """A pytest plugin that asks its sources when the test function has ended, and again after the tear-down.

    What they say fails the test, in the call phase where that is still possible; a test that failed anyway gets it
    as a section of its report. A skip is no way out.
    """

    def __init__(self) -> None:
        self._sources: list[Take] = []
        self._left: list[str] = []

    @classmethod
    def of(cls, config: pytest.Config) -> Self:
        """The session's one; registered when it is first asked for."""
        return of_session(config, "weaver-verdicts", cls)

    def watch(self, take: Take) -> Callable[[], None]:
        """Ask `take` for its texts, each given once; the last time is when the returned function is called."""
        self._sources.append(take)

        def end() -> None:
            self._left.extend(take())
            self._sources.remove(take)

        return end

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        return (yield from self._judge(item, "call"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        return (yield from self._judge(item, "teardown"))

    def _judge(self, item: pytest.Item, phase: str) -> Generator[None, object, object]:
        __tracebackhide__ = True
        try:
            result = yield
        except pytest.skip.Exception:
            self._fail()
            raise
        except BaseException:  # the test's own failure goes first
            if text := self._text():
                item.add_report_section(phase, "weaver", text)
            raise
        self._fail()
        return result

    def _fail(self) -> None:
        if text := self._text():
            pytest.fail(text, pytrace=False)

    def _text(self) -> str:
        texts, self._left = self._left, []
        for take in self._sources:
            texts.extend(take())
        return "\n\n".join(texts)

"""The hooks of a session in which some test records; registered when the first of them is known."""

from __future__ import annotations

from collections.abc import Generator
from typing import NoReturn, Self, final

import pytest

from weaver_ai.testing.asserting.explain import ExpectationFailed
from weaver_ai.testing.capture.capture import Capture
from weaver_ai.testing.capture.origin import BODY
from weaver_ai.testing.plugins import of_session
from weaver_ai.testing.session.terminal import styles_for
from weaver_ai.testing.session.traced import TracedTest, Wishes

__all__ = ["TracedSession", "running"]

_sessions: list[TracedSession] = []


def running() -> TracedTest:
    """The test that runs, in the innermost session; the test fails if its wishes were wrong."""
    session = _sessions[-1]
    if session.test is None:
        pytest.fail(session.problem, pytrace=False)
    return session.test


@final
class TracedSession:
    """A pytest plugin for as long as the session lasts.

    Attributes:
        capture: of all tests, also of those that don't record: what they leave behind has an origin.
        test: the one that runs, if it records.
        problem: why it doesn't, though it asks for it.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.capture = Capture()
        self.test: TracedTest | None = None
        self.problem = ""
        self._asking: set[str] = set()
        self._failure: BaseException | None = None  # the last that is of this plugin's own
        self._styles = styles_for(config)
        self._wishes = Wishes.of(config)

    @classmethod
    def of(cls, config: pytest.Config) -> Self:
        """The session's one; capturing begins when it is first asked for."""
        return of_session(config, "weaver-traces", lambda: cls._started(config))

    @classmethod
    def _started(cls, config: pytest.Config) -> Self:
        session = cls(config)
        session.capture.start()
        _sessions.append(session)
        return session

    def expect(self, node_id: str) -> None:
        """This test will ask, so it records from its set-up on."""
        self._asking.add(node_id)

    def record(self, item: pytest.Item) -> None:
        """Record from here on, if the test doesn't record already."""
        if self.test is not None:
            return
        wishes = self._wishes if isinstance(self._wishes, str) else self._wishes.marked(item.iter_markers("weaver"))
        if isinstance(wishes, str):
            self.problem = wishes
        else:
            self.test = TracedTest(item.nodeid, self.capture, wishes, self._styles)

    def pytest_unconfigure(self) -> None:
        self.capture.stop()
        _sessions.remove(self)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.test, self.problem = None, ""
        self.capture.begin(item.nodeid)
        if item.nodeid in self._asking:
            self.record(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        __tracebackhide__ = True
        if fixturedef.scope == "function":
            return (yield)
        with self.capture.fixture(fixturedef.argname, fixturedef.scope):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        __tracebackhide__ = True
        token = BODY.set(self.capture.now)
        undo = self.test.enter_body(item) if self.test else None
        try:
            yield
            if self.test and (forgotten := self.test.promises.body_ended()):
                self._fail("\n".join(forgotten))
        finally:
            if undo:
                undo()
            BODY.reset(token)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, None, None]:
        __tracebackhide__ = True
        try:
            try:
                result = yield
            finally:
                if self.test is not None:
                    self.test.close()
            if self.test is not None and (message := self.test.verdict()):
                self._fail(message)
        finally:
            self.capture.end()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if self.test is not None:
            if call.when == "call":
                self.test.passed = call.excinfo is None
            if report.failed:
                failed = call.excinfo.value if call.excinfo else None
                report.sections.extend(self.test.sections(failed))
                if failed is not None and (failed is self._failure or isinstance(failed, ExpectationFailed)):
                    _summarize(report)
        return report

    def _fail(self, message: str) -> NoReturn:
        self._failure = pytest.fail.Exception(message, pytrace=False)
        raise self._failure


def _summarize(report: pytest.TestReport) -> None:
    """Leave the short test summary the message's first line: where `CI` is set, pytest repeats all of it there."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = crash.message.partition("\n")[0]

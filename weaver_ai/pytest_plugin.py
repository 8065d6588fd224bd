"""The pytest plugin: options, hooks and fixtures; what a session does not use it does not load."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from weaver_ai.testing.capture import Capture
    from weaver_ai.testing.fakes.providers.providers import Providers
    from weaver_ai.testing.invariants import Invariants
    from weaver_ai.testing.live import Spans
    from weaver_ai.testing.logs import Logs
    from weaver_ai.testing.metrics import Metrics
    from weaver_ai.testing.traced import TracedTest

__all__ = ["invariants", "logs", "metrics", "providers", "spans"]

_CAPTURE = pytest.StashKey["Capture"]()
_TRACED = pytest.StashKey["TracedTest"]()
_FIXTURES = frozenset({"invariants", "logs", "metrics", "spans"})  # those that need the trace
_CHECKS = {  # the same names and defaults as testing.invariants.CHECKS, which this module must not load
    "open": ("a span that never ended", True),
    "context": ("a span or a value left in the OpenTelemetry context", True),
    "orphan": ("a span whose parent was never recorded", True),
    "stray": ("a span that another test left behind", True),
    "secret": ("an attribute that looks like a secret", True),
    "error": ("a span that ended with an error", False),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    for check, (what, default) in _CHECKS.items():
        parser.addini(f"weaver_check_{check}", f"fail a test that used spans for {what}", type="bool", default=default)
    parser.addini("weaver_sampling", "record 'every' span, or those that the 'provider' samples", default="every")
    parser.addini("weaver_grace", "seconds that spans may stay open after a test", default="0.5")
    parser.addini("weaver_network", "'guard': no test reaches the network; 'off': not even 'providers' guards it")
    parser.addini("weaver_network_allow", "hosts that guarded tests may reach: names, globs, networks", type="args")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "weaver(sampling='every', check_open=True, ...): how the spans of a test are recorded and checked; "
        f"the checks are {', '.join(_CHECKS)}",
    )
    network = config.getini("weaver_network")
    if network not in {"", "guard", "off"}:
        raise pytest.UsageError(f"weaver_network is 'guard' or 'off', not {network!r}")
    if network == "guard":
        from weaver_ai.testing.guarded import GuardedTests

        GuardedTests.register(config)


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    used = _FIXTURES.intersection(name for item in session.items for name in getattr(item, "fixturenames", ()))
    if used:
        capture = _capture(session.config)
        for signal in ("logs", "metrics"):
            if signal in used:
                capture.add(signal)


def pytest_unconfigure(config: pytest.Config) -> None:
    capture = config.stash.get(_CAPTURE, None)
    if capture is not None:
        capture.stop()
        del config.stash[_CAPTURE]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    capture = item.config.stash.get(_CAPTURE, None)
    if capture is not None:
        capture.begin(item.nodeid)
    try:
        return (yield)
    finally:
        capture = item.config.stash.get(_CAPTURE, None)  # it may have begun in this test
        if capture is not None:
            capture.end()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    if _uses(item):
        with suppress(pytest.fail.Exception):  # a bad marker; the fixture fails with it again, where pytest expects it
            _trace(item)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    capture = item.config.stash.get(_CAPTURE, None)
    if capture is None:
        return (yield)
    with capture.body():
        traced = item.stash.get(_TRACED, None)
        if traced is None:
            return (yield)
        with traced.body(item):
            return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    try:
        result = yield
    finally:
        traced = item.stash.get(_TRACED, None)
        if traced is not None:
            traced.close()
    if traced is not None and (message := traced.verdict()):
        pytest.fail(message, pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    traced = item.stash.get(_TRACED, None)
    if traced is not None:
        report.sections.extend(traced.sections(report, call, spans="spans" in getattr(item, "fixturenames", ())))
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explains spans; where nobody has loaded them, nothing that is compared can be one."""
    if "weaver_ai.testing.expect" not in sys.modules:
        return None
    from weaver_ai.testing.compare import compare

    return compare(left, op, right)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    capture = request.config.stash.get(_CAPTURE, None)
    if capture is None or fixturedef.scope == "function":
        return (yield)
    with capture.fixture(fixturedef.argname, fixturedef.scope):
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a worker of pytest-xdist whether the terminal, which it can't see, takes colour."""
    workerinput: dict[str, object] = node.workerinput  # type: ignore[attr-defined] # xdist's WorkerController
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    workerinput["weaver_colour"] = config.get_terminal_writer().hasmarkup


@pytest.fixture
def spans(request: pytest.FixtureRequest) -> Spans:
    """The spans that begin in this test, whichever provider they come from and whenever it was set."""
    from weaver_ai.testing.live import Spans

    return Spans(_trace(request.node).recording, colour=_colour(request.config))


@pytest.fixture
def logs(request: pytest.FixtureRequest) -> Logs:
    """The log records that are written through OpenTelemetry in this test; each knows its span."""
    recording = _trace(request.node).recording
    _capture(request.config).add("logs")
    from weaver_ai.testing.logs import Logs

    return Logs(recording)


@pytest.fixture
def metrics(request: pytest.FixtureRequest) -> Metrics:
    """What OpenTelemetry's instruments measure in this test."""
    recording = _trace(request.node).recording
    _capture(request.config).add("metrics")
    from weaver_ai.testing.metrics import Metrics

    return Metrics(recording)


@pytest.fixture
def invariants(request: pytest.FixtureRequest) -> Invariants:
    """What is checked of this test's trace at its end: `invariants.off("open", "poll *")`."""
    return _trace(request.node).invariants


@pytest.fixture
def providers(request: pytest.FixtureRequest) -> Generator[Providers, None, None]:
    """OpenAI and Anthropic in memory, for httpx and httpx2; no other request leaves the process."""
    try:
        from weaver_ai.testing.fakes.providers.fixture import open_providers
    except ModuleNotFoundError as error:
        if error.name not in {"httpx", "httpx2", "pytest_httpx2", "respx"}:
            raise
        from weaver_ai.errors import MissingExtra

        pytest.fail(str(MissingExtra("the fixture 'providers'", "testing")), pytrace=False)
    with open_providers(request.config) as opened:
        yield opened


def _uses(item: pytest.Item) -> bool:
    return not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def _capture(config: pytest.Config) -> Capture:
    capture = config.stash.get(_CAPTURE, None)
    if capture is None:
        from weaver_ai.testing.capture import Capture

        capture = Capture()
        capture.start()
        config.stash[_CAPTURE] = capture
    return capture


def _trace(item: pytest.Item) -> TracedTest:
    """The record of the running test; begun here if the test asks for a fixture by name while it runs."""
    traced = item.stash.get(_TRACED, None)
    if traced is None:
        from weaver_ai.testing.traced import TracedTest, Wishes

        wishes = Wishes.of(item.config, item.iter_markers("weaver"))
        if isinstance(wishes, str):
            pytest.fail(wishes, pytrace=False)
        traced = item.stash[_TRACED] = TracedTest(item.nodeid, _capture(item.config), wishes, _colour(item.config))
    return traced


def _colour(config: pytest.Config) -> bool:
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:
        return bool(workerinput.get("weaver_colour"))
    return config.get_terminal_writer().hasmarkup

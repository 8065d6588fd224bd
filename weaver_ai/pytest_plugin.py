"""The pytest plugin: options, hooks and fixtures; what a session does not use it does not load."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from weaver_ai.testing.capture import Capture
    from weaver_ai.testing.fakes.providers.providers import Providers
    from weaver_ai.testing.fakes.redis import TestRedis
    from weaver_ai.testing.faults.clock import ControlledClock
    from weaver_ai.testing.faults.plan import Fault
    from weaver_ai.testing.faults.session import Faults
    from weaver_ai.testing.invariants import Invariants
    from weaver_ai.testing.live import Spans
    from weaver_ai.testing.logs import Logs
    from weaver_ai.testing.metrics import Metrics
    from weaver_ai.testing.traced import TracedTest

__all__ = [
    "armed_fault",
    "fake_redis",
    "faults",
    "frozen_clock",
    "invariants",
    "logs",
    "metrics",
    "no_extra",
    "no_logfire",
    "providers",
    "skewed_clock",
    "spans",
]

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
    group = parser.getgroup("weaver")
    group.addoption(
        "--weaver-redis", choices=("fake", "real"), default="fake", help="what stands behind the fixture fake_redis"
    )
    group.addoption(
        "--weaver-faults-seed", type=int, default=None, metavar="N", help="the seed of faults that strike a share"
    )
    parser.addini("weaver_network", "'guard': no test reaches the network; 'off': not even 'providers' guards it")
    parser.addini("weaver_network_allow", "hosts that guarded tests may reach: names, globs, networks", type="args")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "weaver(sampling='every', check_open=True, ...): how the spans of a test are recorded and checked; "
        f"the checks are {', '.join(_CHECKS)}",
    )
    config.addinivalue_line("markers", "faults(*faults): run the test once for each, as fault.openai.timeout()")
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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("faults") is not None:
        from weaver_ai.testing.faults.matrix import cross

        cross(metafunc)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Faults as parameters of the test's own."""
    spec = sys.modules.get("weaver_ai.testing.faults.spec")
    return str(val) if spec is not None and isinstance(val, spec.FaultSpec) else None


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Generator[Faults, None, None]:
    """What goes wrong in this test, at providers, Redis and the telemetry backend, on purpose."""
    from weaver_ai.testing.faults.fixture import open_faults

    with open_faults(request.node) as opened:
        yield opened


@pytest.fixture
def _weaver_fault(request: pytest.FixtureRequest, faults: Faults) -> Fault:
    from weaver_ai.testing.faults.matrix import FaultTests

    return FaultTests.of(request.config).arm(request.node, faults, request.param)


@pytest.fixture
def armed_fault(request: pytest.FixtureRequest) -> Fault:
    """The fault that `@pytest.mark.faults` runs this test under."""
    if request.node.get_closest_marker("faults") is None:
        pytest.fail("the fixture 'armed_fault' needs @pytest.mark.faults(...)", pytrace=False)
    fault: Fault = request.getfixturevalue("_weaver_fault")
    return fault


@pytest.fixture
def fake_redis(request: pytest.FixtureRequest) -> Generator[TestRedis, None, None]:
    """The one Redis that every redis-py client of the process talks to; a real server with `--weaver-redis=real`."""
    try:
        from weaver_ai.testing.fakes.redis.fixture import open_redis
    except ModuleNotFoundError as error:
        if error.name not in {"fakeredis", "redis"}:
            raise
        from weaver_ai.errors import MissingExtra

        pytest.fail(str(MissingExtra("the fixture 'fake_redis'", "testing")), pytrace=False)
    with open_redis(request.config) as opened:
        yield opened


@pytest.fixture
def frozen_clock() -> Generator[ControlledClock, None, None]:
    """Time stands still in this test; it moves by `advance` and by sleeping, which costs no time."""
    from weaver_ai.testing.faults.clock import frozen

    with frozen() as clock:
        yield clock


@pytest.fixture
def skewed_clock() -> Generator[Callable[[float], None], None, None]:
    """Let the wall clock be wrong by that many seconds: `skewed_clock(-3600)`; the test's end puts it right."""
    from weaver_ai.testing.faults.clock import skewed

    with ExitStack() as stack:
        yield lambda seconds: stack.enter_context(skewed(seconds))


@pytest.fixture
def no_logfire() -> Generator[None, None, None]:
    """Logfire can't be imported in this test, and telemetry chooses again."""
    from weaver_ai.testing.faults.absent import without_logfire

    with without_logfire():
        yield


@pytest.fixture
def no_extra() -> Generator[Callable[[str], None], None, None]:
    """As if Weaver had been installed without an extra: `no_extra("redis")`, until the test's end."""
    from weaver_ai.testing.faults.absent import without_extra

    with ExitStack() as stack:
        yield lambda name: stack.enter_context(without_extra(name))


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

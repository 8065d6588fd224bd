"""The pytest plugin: options, hooks and fixtures; what a session does not use it does not load."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from weaver_ai.testing.fakes.providers.providers import Providers
    from weaver_ai.testing.fakes.redis import TestRedis
    from weaver_ai.testing.faults.clock import ControlledClock
    from weaver_ai.testing.faults.plan import Fault
    from weaver_ai.testing.faults.session import Faults
    from weaver_ai.testing.invariants import Invariants
    from weaver_ai.testing.otlp import Otlp
    from weaver_ai.testing.processes.cluster import Cluster
    from weaver_ai.testing.signals.logs import Logs
    from weaver_ai.testing.signals.metrics import Metrics
    from weaver_ai.testing.spans import Spans

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
    "otlp",
    "providers",
    "skewed_clock",
    "spans",
    "weaver_cluster",
]

_FIXTURES = frozenset({"invariants", "logs", "metrics", "otlp", "spans"})  # those that need the trace
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
    parser.addini("weaver_otlp_host", "the address that the fixture otlp listens on", default="127.0.0.1")
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
    config.addinivalue_line(
        "markers",
        "weaver_cluster(target=None, gateways=1, workers=2, env={}): what weaver_cluster starts for a module",
    )
    config.addinivalue_line("markers", "faults(*faults): run the test once for each, as fault.openai.timeout()")
    network = config.getini("weaver_network")
    if network not in {"", "guard", "off"}:
        raise pytest.UsageError(f"weaver_network is 'guard' or 'off', not {network!r}")
    if network == "guard":
        from weaver_ai.testing.network.guarded import GuardedTests

        GuardedTests.register(config)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Capture from here on, if any test asks; fixtures of wider scope come before the first of them asks."""
    if session.config.option.collectonly:
        return
    for item in session.items:
        if asked := _asked(item):
            from weaver_ai.testing.session.hooks import TracedSession

            traced = TracedSession.of(session.config)
            traced.expect(item.nodeid)
            for signal in ("logs", "metrics"):
                if signal in asked:
                    traced.capture.add(signal)


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> list[str] | None:
    """Explains spans; where nobody has loaded them, nothing that is compared can be one."""
    if "weaver_ai.testing.asserting.expect" not in sys.modules:
        return None
    from weaver_ai.testing.asserting.compare import compare

    return compare(left, op, right, whole=config.get_verbosity() >= 2)  # noqa: PLR2004 # -vv


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
    """Record from here on, where a test asks by name while it runs."""
    if fixturedef.argname in _FIXTURES and fixturedef.func.__module__ == __name__:
        from weaver_ai.testing.session.hooks import TracedSession

        TracedSession.of(request.config).record(request.node)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a worker of pytest-xdist of the terminal, which it can't see: whether it takes colour, how wide it is."""
    workerinput: dict[str, object] = node.workerinput  # type: ignore[attr-defined] # xdist's WorkerController
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    has_terminal = config.pluginmanager.has_plugin("terminalreporter")
    workerinput["weaver_colour"] = has_terminal and config.get_terminal_writer().hasmarkup
    workerinput["weaver_columns"] = shutil.get_terminal_size(fallback=(0, 0)).columns


# These four don't ask for `request`: it costs as much as the rest of them.


@pytest.fixture
def spans() -> Spans:
    """The spans that begin in this test, whichever provider they come from and whenever it was set."""
    from weaver_ai.testing.session.hooks import running

    return running().spans


@pytest.fixture
def logs() -> Logs:
    """The log records that are written through OpenTelemetry in this test; each knows its span."""
    from weaver_ai.testing.session.hooks import running

    return running().logs


@pytest.fixture
def metrics() -> Metrics:
    """What OpenTelemetry's instruments measure in this test."""
    from weaver_ai.testing.session.hooks import running

    return running().metrics


@pytest.fixture
def invariants() -> Invariants:
    """What is checked of this test's trace at its end: `invariants.off("open", "poll *")`."""
    from weaver_ai.testing.session.hooks import running

    return running().invariants


@pytest.fixture
def otlp(request: pytest.FixtureRequest) -> Otlp:
    """Where other processes, in any language, send their telemetry to this test: `env={**os.environ, **otlp.env}`."""
    from weaver_ai.testing.otlp import OtlpTests
    from weaver_ai.testing.session.hooks import running

    return OtlpTests.of(request.config).open(running().recording)


@pytest.fixture(scope="module")
def _weaver_cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Cluster, None, None]:
    with _extra_of("weaver_cluster", "redis", extra="redis", beside="testing,gateway"):
        from weaver_ai.testing.processes.fixture import open_cluster
    with open_cluster(request, tmp_path_factory.mktemp("weaver_cluster")) as opened:
        yield opened


@pytest.fixture
def weaver_cluster(_weaver_cluster: Cluster) -> Cluster:
    """A redis-server, gateways and workers, real processes for the module; each test finds them whole."""
    _weaver_cluster.mend()
    return _weaver_cluster


@pytest.fixture
def providers(request: pytest.FixtureRequest) -> Generator[Providers, None, None]:
    """OpenAI and Anthropic in memory, for httpx and httpx2; no other request leaves the process."""
    with _extra_of("providers", "anyio", "httpx", "pytest_httpx2", "respx"):
        from weaver_ai.testing.fakes.providers.fixture import open_providers
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
    with _extra_of("fake_redis", "fakeredis", "redis"):
        from weaver_ai.testing.fakes.redis.fixture import open_redis
    with open_redis(request.config) as opened:
        yield opened


@pytest.fixture
def frozen_clock() -> Generator[ControlledClock, None, None]:
    """Time stands still in this test; it moves by `advance` and by sleeping, which costs no time."""
    with _extra_of("frozen_clock", "time_machine", "_time_machine"):
        import time_machine  # noqa: F401
    from weaver_ai.testing.faults.clock import frozen

    with frozen() as clock:
        yield clock


@pytest.fixture
def skewed_clock() -> Generator[Callable[[float], None], None, None]:
    """Let the wall clock be wrong by that many seconds: `skewed_clock(-3600)`; the test's end puts it right."""
    with _extra_of("skewed_clock", "time_machine", "_time_machine"):
        import time_machine  # noqa: F401
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


@contextmanager
def _extra_of(
    fixture: str, *modules: str, extra: str = "fakes", beside: str = "testing"
) -> Generator[None, None, None]:
    """Where one of these modules can't be imported, say what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in modules:
            raise
        from weaver_ai.errors import MissingExtra

        missing = MissingExtra(f"the fixture {fixture!r}", extra, beside=beside)
        raise pytest.fail.Exception(str(missing), pytrace=False) from None


def _asked(item: pytest.Item) -> frozenset[str]:
    """Which of the fixtures that record this test asks for; somebody else's of the same name is none of them."""
    names = _FIXTURES.intersection(getattr(item, "fixturenames", ()))
    return frozenset(name for name in names if _is_ours(item, name)) if names else names


def _is_ours(item: pytest.Item, name: str) -> bool:
    info = getattr(item, "_fixtureinfo", None)
    if info is None:
        return True
    for fixturedef in reversed(info.name2fixturedefs.get(name, ())):
        if fixturedef.func.__module__ == __name__:
            return True
        if name not in fixturedef.argnames:  # it doesn't build on the one that it overrides
            return False
    return False

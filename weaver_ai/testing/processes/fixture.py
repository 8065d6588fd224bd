"""What stands behind the fixture `weaver_cluster`: one cluster a module, whole for each test, its logs in reports."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, final

import pytest

from weaver_ai.errors import MissingExtra
from weaver_ai.testing.otlp import OtlpTests
from weaver_ai.testing.processes.cluster import Cluster
from weaver_ai.testing.processes.process import ProcessFailed

__all__ = ["open_cluster"]

_NEEDS: Final = {"fastapi": "gateway", "uvicorn": "gateway", "pydantic_ai": "gateway", "docket": "redis"}
_OURS: Final = {
    "WEAVER_TASK_LEASE_SECONDS": "1",  # a killed worker's tasks go to others this soon
    "WEAVER_SHUTDOWN_GRACE_SECONDS": "2",
}
_NOT_OURS: Final = ("WEAVER_", "LOGFIRE_", "OPENAI_", "ANTHROPIC_", "OTEL_")
_KEYWORDS: Final = ("target", "gateways", "workers", "env")
_LINES: Final = 40


@contextmanager
def open_cluster(request: pytest.FixtureRequest, directory: Path) -> Generator[Cluster, None, None]:
    """A cluster as the module's `pytestmark = pytest.mark.weaver_cluster(...)` wants it."""
    for module, extra in _NEEDS.items():
        if find_spec(module) is None:
            pytest.fail(str(MissingExtra("the fixture 'weaver_cluster'", extra)), pytrace=False)
    wishes = _wishes(request.node)
    env = {**dict(_inherited()), **OtlpTests.of(request.config).share(), **_OURS, **wishes.get("env", {})}
    try:
        cluster = Cluster(
            wishes.get("target"), directory, env, gateways=wishes.get("gateways", 1), workers=wishes.get("workers", 2)
        )
    except FileNotFoundError as missing:
        pytest.fail(f"the fixture 'weaver_cluster': {missing}", pytrace=False)
    logs = ClusterLogs(cluster)
    request.config.pluginmanager.register(logs)
    try:
        yield _started(cluster)
    finally:
        cluster.stop()
        request.config.pluginmanager.unregister(logs)


def _inherited() -> Iterator[tuple[str, str]]:
    """The environment without what the shell says of Weaver and of providers: no test spends money by accident."""
    for name, value in os.environ.items():
        if not name.startswith(_NOT_OURS):
            yield name, value
    yield "PYTHONPATH", os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))


def _started(cluster: Cluster) -> Cluster:
    try:
        return cluster.start()
    except ProcessFailed as failed:
        pytest.fail(str(failed), pytrace=False)


def _wishes(node: pytest.Item | pytest.Collector) -> dict[str, Any]:
    marker = node.get_closest_marker("weaver_cluster")
    wishes = dict(marker.kwargs) if marker else {}
    for keyword in wishes:
        if keyword not in _KEYWORDS:
            pytest.fail(
                f"@pytest.mark.weaver_cluster has no keyword {keyword!r}; it has {', '.join(_KEYWORDS)}", pytrace=False
            )
    return wishes


@final
class ClusterLogs:
    """A plugin for as long as the cluster stands: the logs of a test that failed are in its report."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._before: dict[str, int] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self._before = {name: len(member.log) for name, member in self._cluster.members}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed:
            for name, member in self._cluster.members:
                lines = member.log[self._before.get(name, 0) :].splitlines()
                if lines:
                    report.sections.append((f"log of {name}", "\n".join(lines[-_LINES:])))
        return report

"""One test, once for each fault; and what a failed test is told about its faults."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Final, Self, TypeAlias, final

import pytest

from weaver_ai.testing.faults.plan import Fault
from weaver_ai.testing.faults.session import Faults
from weaver_ai.testing.faults.spec import FaultSpec
from weaver_ai.testing.plugins import of_session

__all__ = ["FIXTURE", "FaultTests", "cross"]

Lines: TypeAlias = Callable[[], Iterable[str]]
FIXTURE: Final = "_weaver_fault"
_ARMED: Final = pytest.StashKey[Fault]()


def cross(metafunc: pytest.Metafunc) -> None:
    """Run the test once for each fault of its `faults` markers, those of its class and module included."""
    specs = list(_marked(metafunc.definition))
    if FIXTURE not in metafunc.fixturenames:
        metafunc.fixturenames.append(FIXTURE)
    metafunc.parametrize(FIXTURE, specs, ids=[spec.id for spec in specs], indirect=True)
    FaultTests.of(metafunc.config)


def _marked(definition: pytest.Item) -> Iterator[FaultSpec]:
    for marker in definition.iter_markers("faults"):
        if not marker.args or marker.kwargs:
            pytest.fail(_usage("at least one fault, by position"), pytrace=False)
        for spec in marker.args:
            if not isinstance(spec, FaultSpec):
                pytest.fail(_usage(f"faults; got {spec!r}"), pytrace=False)
            yield spec


def _usage(what: str) -> str:
    return (
        f"@pytest.mark.faults takes {what}\n"
        "  from weaver_ai.testing.faults import every, fault\n"
        "  @pytest.mark.faults(fault.openai.status(429), *every(fault.redis))"
    )


@final
class FaultTests:
    """A pytest plugin, registered with the first test that uses faults: arms a marker's fault for the test function."""

    def __init__(self) -> None:
        self._told: list[tuple[str, Lines]] = []

    @classmethod
    def of(cls, config: pytest.Config) -> Self:
        """The session's one."""
        return of_session(config, "weaver-faults", cls)

    def tell(self, title: str, lines: Lines) -> Callable[[], None]:
        """Add a section to the report if the test fails, until the returned function is called."""
        entry = (title, lines)
        self._told.append(entry)
        return lambda: self._told.remove(entry)

    def arm(self, item: pytest.Item, faults: Faults, spec: FaultSpec) -> Fault:
        """Arm a marker's fault; it counts nothing until the test function begins."""
        fault = item.stash[_ARMED] = faults.plan.prepare(spec)
        faults.reach(spec)
        return fault

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Get the fault ready behind the test's own fixtures; pytest leaves out fixtures that nobody names."""
        request = getattr(item, "_request", None)
        if request is not None and FIXTURE in getattr(getattr(item, "callspec", None), "params", ()):
            request.getfixturevalue(FIXTURE)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        fault = item.stash.get(_ARMED, None)
        if fault is None:
            return (yield)
        fault.begin()
        with fault:
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed:
            report.sections.extend((title, text) for title, lines in self._told if (text := "\n".join(lines())))
        return report

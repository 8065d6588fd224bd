"""What `pip install 'weaver-ai[testing]'` brings, read from the metadata of what is installed here."""

from __future__ import annotations

from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement


def brought_by(requirement: str) -> set[str]:
    """The distributions that come with it, as they are named."""
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(requirement)]
    while waiting:
        wanted = waiting.pop()
        for extra in wanted.extras or {""}:
            if (wanted.name, extra) in seen:
                continue
            seen.add((wanted.name, extra))
            inner = map(Requirement, distribution(wanted.name).requires or ())
            waiting += [each for each in inner if each.marker is None or each.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def plugins(names: set[str]) -> set[str]:
    return {name for name in names if any(each.group == "pytest11" for each in distribution(name).entry_points)}


@pytest.mark.parametrize("requirement", ["weaver-ai", "weaver-ai[testing]"])
def test_no_plugin_of_anybody_else_comes_with_it(requirement):
    """Each is loaded in every session of the repository, whether or not a test uses it."""
    assert plugins(brought_by(requirement)) == {"weaver-ai"}


def test_the_fakes_bring_theirs():
    assert {"respx", "pytest-httpx2", "time-machine", "anyio"} <= plugins(brought_by("weaver-ai[fakes]"))
    assert {"respx", "fakeredis"} <= brought_by("weaver-ai[all]")

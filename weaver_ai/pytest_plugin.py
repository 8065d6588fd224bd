"""The pytest plugin: options, hooks and fixtures; what a session does not use it does not load."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from weaver_ai.testing.capture import Capture
    from weaver_ai.testing.live import Spans

__all__ = ["spans"]

_CAPTURE = pytest.StashKey["Capture"]()
_FIXTURES = frozenset({"spans"})


def _uses(item: pytest.Item) -> bool:
    return not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def _start(config: pytest.Config) -> Capture:
    capture = config.stash.get(_CAPTURE, None)
    if capture is None:
        from weaver_ai.testing.capture import Capture

        capture = Capture()
        capture.start()
        config.stash[_CAPTURE] = capture
    return capture


def pytest_collection_finish(session: pytest.Session) -> None:
    if not session.config.option.collectonly and any(_uses(item) for item in session.items):
        _start(session.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    capture = config.stash.get(_CAPTURE, None)
    if capture is not None:
        capture.stop()
        del config.stash[_CAPTURE]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    capture = item.config.stash.get(_CAPTURE, None)
    if capture is None:
        return (yield)
    capture.begin(item.nodeid, record=_uses(item))
    try:
        return (yield)
    finally:
        capture.end()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    capture = item.config.stash.get(_CAPTURE, None)
    if capture is None:
        return (yield)
    with capture.body():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    capture = request.config.stash.get(_CAPTURE, None)
    if capture is None or fixturedef.scope == "function":
        return (yield)
    with capture.fixture(fixturedef.argname, fixturedef.scope):
        return (yield)


@pytest.fixture
def spans(request: pytest.FixtureRequest) -> Spans:
    """The spans of this test, whichever provider they come from."""
    from weaver_ai.testing.live import Spans

    return Spans(_start(request.config).record())

"""The network guard around tests: around all of them, or around one that uses `providers`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import final

import pytest

from weaver_ai.testing.network.allowed import AllowedHosts
from weaver_ai.testing.network.guard import Guard, violation_lines
from weaver_ai.testing.verdicts import Verdicts

__all__ = ["GuardedTests", "guarded"]

_NAME = "weaver-guarded-tests"


@final
class GuardedTests:
    """A pytest plugin: every test, from its set-up to its tear-down, is guarded."""

    def __init__(self, config: pytest.Config) -> None:
        self._allowed = _allowed(config)
        self._guard = Guard(self._allowed)
        Verdicts.of(config).watch(lambda: _texts(self._guard))

    @classmethod
    def register(cls, config: pytest.Config) -> None:
        config.pluginmanager.register(cls(config), _NAME)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        with self._guard:
            return (yield)


@contextmanager
def guarded(config: pytest.Config) -> Generator[None, None, None]:
    """Guard to the end of the block; nothing to do where every test is guarded, or where the ini file says `off`."""
    if config.getini("weaver_network") == "off" or config.pluginmanager.has_plugin(_NAME):
        yield
        return
    guard = Guard(_allowed(config))
    end = Verdicts.of(config).watch(lambda: _texts(guard))
    try:
        with guard:
            yield
    finally:
        end()


def _texts(guard: Guard) -> list[str]:
    violations = guard.take()
    return ["\n".join(violation_lines(violations))] if violations else []


def _allowed(config: pytest.Config) -> AllowedHosts:
    try:
        return AllowedHosts(config.getini("weaver_network_allow"))
    except ValueError as error:
        raise pytest.UsageError(f"weaver_network_allow: {error}") from None

"""Plugins that a pytest session gets when it first needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

__all__ = ["of_session"]

Plugin = TypeVar("Plugin")


def of_session(config: pytest.Config, name: str, make: Callable[[], Plugin]) -> Plugin:
    """The session's plugin of this name; made and registered when it is first asked for."""
    found: Plugin | None = config.pluginmanager.get_plugin(name)
    if found is None:
        found = make()
        config.pluginmanager.register(found, name)
    return found

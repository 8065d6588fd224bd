"""What stands behind the `providers` fixture."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest

from weaver_ai.testing.fakes.providers.providers import Providers
from weaver_ai.testing.fakes.providers.routers import serve
from weaver_ai.testing.network.guarded import guarded
from weaver_ai.testing.verdicts import Verdicts

__all__ = ["open_providers"]


@contextmanager
def open_providers(config: pytest.Config) -> Generator[Providers, None, None]:
    """Providers that answer, with the network guarded; what they could not answer fails the test."""
    providers = Providers()
    end = Verdicts.of(config).watch(lambda: ["\n".join(lines) for lines in providers.take_complaints()])
    try:
        with guarded(config), serve(providers):
            yield providers
    finally:
        end()

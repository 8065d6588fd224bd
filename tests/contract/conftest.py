"""The engines that the contract suites run over."""

from __future__ import annotations

import pytest

from tests.contract.engine_factories import ENGINES, EngineFactory, engine_factory


@pytest.fixture(params=ENGINES)
def make_engine(request: pytest.FixtureRequest) -> EngineFactory:
    return engine_factory(request.param, request)


@pytest.fixture(params=["embedded"])
def make_ending_engine(request: pytest.FixtureRequest) -> EngineFactory:
    """An engine whose drain ends every task, for there is nobody to leave one to."""
    return engine_factory(request.param, request)


@pytest.fixture(params=["docket"])
def make_handing_engine(request: pytest.FixtureRequest) -> EngineFactory:
    """An engine whose drain hands back what it doesn't see the end of."""
    return engine_factory(request.param, request)

"""Gateways that the tests of the service share: each is started once a session, by the first test that asks for it.

The provider server's fixtures come from `pytest_plugins = ["tests.fixtures.providers"]` in each test module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.aside import nothing_configured
from tests.fixtures.gateway import Gateway
from tests.fixtures.otlp_receiver import OtlpReceiver
from tests.fixtures.provider_server import ClosedPort, ProviderServer
from tests.fixtures.traced import Caller

__all__ = ["nothing_configured"]

StartGateway = Callable[..., Gateway]


def provider_key(vendor: str = "openai") -> str:
    """A key that looks like a real one, made here so that no scanner finds it in the repository."""
    return {"openai": "sk-proj-", "anthropic": "sk-ant-api03-"}[vendor] + "Qx7" * 12


def provider_env(server: ProviderServer, vendor: str) -> dict[str, str]:
    """The variables that point the vendor's client at the local server."""
    base_url = getattr(server, vendor).base_url
    return {f"{vendor.upper()}_API_KEY": provider_key(vendor), f"{vendor.upper()}_BASE_URL": base_url}


@pytest.fixture(scope="session")
def receiver() -> Iterator[OtlpReceiver]:
    """Where the shared gateways send their telemetry."""
    with OtlpReceiver() as running:
        yield running


@pytest.fixture(scope="session")
def _shared(
    tmp_path_factory: pytest.TempPathFactory, receiver: OtlpReceiver, running_provider_server: ProviderServer
) -> Iterator[StartGateway]:
    # It asks for the servers so that they outlive the gateways that talk to them.
    del receiver, running_provider_server
    with ExitStack() as stack:
        started: list[Gateway] = []

        def start(name: str, env: dict[str, str], *arguments: str) -> Gateway:
            started.append(stack.enter_context(Gateway(tmp_path_factory.mktemp(name), env, arguments)))
            return started[-1]

        yield start
        for gateway in started:  # all at once: they end side by side
            gateway.terminate()


@pytest.fixture(scope="session")
def keyless_gateway(_shared: StartGateway, receiver: OtlpReceiver) -> Gateway:
    """`weaver serve` as a newcomer starts it: no key, no Redis, no cloud."""
    return _shared("keyless", receiver.env)


@pytest.fixture(scope="session")
def openai_gateway(_shared: StartGateway, receiver: OtlpReceiver, running_provider_server: ProviderServer) -> Gateway:
    """`weaver serve` with a key for OpenAI."""
    return _shared("openai", {**receiver.env, **provider_env(running_provider_server, "openai")})


@pytest.fixture(scope="session")
def anthropic_gateway(
    _shared: StartGateway, receiver: OtlpReceiver, running_provider_server: ProviderServer
) -> Gateway:
    """`weaver serve` with a key for Anthropic."""
    return _shared("anthropic", {**receiver.env, **provider_env(running_provider_server, "anthropic"), **FAST})


@pytest.fixture(scope="session")
def desk_gateway(
    _shared: StartGateway, receiver: OtlpReceiver, running_provider_server: ProviderServer
) -> Iterator[Gateway]:
    """The tests' own Weaver (desk.py), with keys for both providers; its agent `lonely` meets a closed port."""
    refusing = ClosedPort()
    env = {
        **receiver.env,
        **provider_env(running_provider_server, "openai"),
        **provider_env(running_provider_server, "anthropic"),
        **FAST,
        "DESK_REFUSING_URL": f"{refusing.url}/v1",
    }
    yield _shared("desk", env, "tests.integration.service.desk:weaver")
    refusing.close()


FAST = {"WEAVER_PROVIDER_MAX_RETRIES": "0", "WEAVER_PROVIDER_TIMEOUT_SECONDS": "1.5"}
"""Provider failures come through at once, and a hanging provider is given up soon."""


@pytest.fixture
def keyless(keyless_gateway: Gateway, receiver: OtlpReceiver) -> Caller:
    return Caller(keyless_gateway, receiver)


@pytest.fixture
def openai_service(openai_gateway: Gateway, receiver: OtlpReceiver, provider_server: ProviderServer) -> Caller:
    """A gateway on OpenAI, with nothing planned at the provider."""
    return Caller(openai_gateway, receiver)


@pytest.fixture
def anthropic_service(anthropic_gateway: Gateway, receiver: OtlpReceiver, provider_server: ProviderServer) -> Caller:
    """A gateway on Anthropic, with nothing planned at the provider."""
    return Caller(anthropic_gateway, receiver)


@pytest.fixture
def desk(desk_gateway: Gateway, receiver: OtlpReceiver, provider_server: ProviderServer) -> Caller:
    """The tests' own Weaver, with nothing planned at the providers."""
    return Caller(desk_gateway, receiver)


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Start a gateway of the test's own: `start_gateway(env, *arguments, ready=True, command=None)`."""
    with ExitStack() as stack:

        def start(
            env: dict[str, str] | None = None, *arguments: str, ready: bool = True, command: Any = None
        ) -> Gateway:
            gateway = Gateway(tmp_path, env, arguments, command)
            if ready:
                return stack.enter_context(gateway)
            stack.push(gateway.__exit__)
            return gateway.start()

        yield start

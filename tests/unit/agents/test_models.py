"""Which model an agent gets, from the settings alone."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.models.test import TestModel as CannedModel

from tests.fixtures.provider_server import ProviderServer
from tests.fixtures.recorded_spans import Recorded
from weaver_ai.agents import Models, OfflineModel, ProviderStatus, Runner, Weaver
from weaver_ai.agents.models import leaves
from weaver_ai.agents.registry import RegisteredAgent
from weaver_ai.errors import SettingsError
from weaver_ai.settings import Settings, load_settings

pytest_plugins = ["tests.fixtures.providers", "tests.fixtures.recorded"]

KEY = "-".join(["sk", "test", "0" * 12])
OPENAI = {"openai_api_key": KEY}
ANTHROPIC = {"anthropic_api_key": KEY}


@pytest.fixture(autouse=True)
def poisoned_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the environment instead of the settings gets the wrong thing."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://environment.invalid/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://environment.invalid")


def settings(**values: Any) -> Settings:
    nothing = dict.fromkeys(("openai_api_key", "anthropic_api_key", "openai_base_url", "anthropic_base_url"))
    return load_settings(env_file=None, **(nothing | values))


def entry(agent: Agent[Any, Any] | None = None, **kwargs: Any) -> RegisteredAgent:
    weaver = Weaver("test")
    weaver.agent(agent or Agent(name="a"), **kwargs)
    return weaver.agents["a"]


def shape(model: Model) -> object:
    """The kinds and names of what answers, a chain as a list."""
    if isinstance(model, FallbackModel):
        return [shape(inner) for inner in model.models]
    (leaf,) = leaves(model)
    return type(leaf), leaf.model_name


ORDER: dict[str, tuple[dict[str, Any], Agent[Any, Any] | None, object]] = {
    "no key": ({}, None, (OfflineModel, "offline")),
    "an OpenAI key": (OPENAI, None, (OpenAIResponsesModel, "gpt-6-luna")),
    "an OpenAI base URL": ({"openai_base_url": "http://localhost/v1"}, None, (OpenAIResponsesModel, "gpt-6-luna")),
    "an Anthropic key": (ANTHROPIC, None, (AnthropicModel, "claude-haiku-5-5")),
    "both keys": (OPENAI | ANTHROPIC, None, (OpenAIResponsesModel, "gpt-6-luna")),
    "the setting": (
        OPENAI | ANTHROPIC | {"model": "anthropic:claude-opus-5-5"}, None, (AnthropicModel, "claude-opus-5-5"),
    ),
    "offline by setting": (OPENAI | {"model": "offline"}, None, (OfflineModel, "offline")),
    "chat completions": (OPENAI | {"model": "openai-chat:llama"}, None, (OpenAIChatModel, "llama")),
    "the agent's own name": (
        OPENAI | ANTHROPIC | {"model": "openai:gpt-5.6-luna"},
        Agent("anthropic:claude-haiku-4-5", name="a", defer_model_check=True),
        (AnthropicModel, "claude-haiku-4-5"),
    ),
    "the agent's own object": (OPENAI, Agent(CannedModel(model_name="canned"), name="a"), (CannedModel, "canned")),
}  # fmt: skip


@pytest.mark.parametrize(("values", "agent", "expected"), ORDER.values(), ids=ORDER.keys())
async def test_the_order_of_choice(values: dict[str, Any], agent: Agent[Any, Any] | None, expected: object) -> None:
    models = Models(settings(**values))
    assert shape(models.of(entry(agent))) == expected
    await models.aclose()


@pytest.mark.parametrize(
    ("values", "default"),
    [
        ({}, "offline"),
        (OPENAI, "openai:gpt-6-luna"),
        (ANTHROPIC, "anthropic:claude-haiku-5-5"),
        ({"model": "x:y"}, "x:y"),
    ],
)
def test_the_default_can_be_told_without_making_anything(values: dict[str, Any], default: str) -> None:
    assert Models(settings(**values)).default == default


CHAINS: dict[str, tuple[dict[str, Any], list[Any], object, list[str]]] = {
    "both configured": (
        OPENAI | ANTHROPIC,
        ["anthropic:claude-haiku-4-5"],
        [(OpenAIResponsesModel, "gpt-6-luna"), (AnthropicModel, "claude-haiku-4-5")],
        [],
    ),
    "the fallback isn't": (
        OPENAI,
        ["anthropic:claude-haiku-4-5"],
        (OpenAIResponsesModel, "gpt-6-luna"),
        ["no fallback to 'anthropic:claude-haiku-4-5': ANTHROPIC_API_KEY is not set"],
    ),
    "offline needs none": ({}, ["anthropic:claude-haiku-4-5"], (OfflineModel, "offline"), []),
    "down to offline": (
        OPENAI,
        ["offline"],
        [(OpenAIResponsesModel, "gpt-6-luna"), (OfflineModel, "offline")],
        [],
    ),
    "an object": (OPENAI, [CannedModel()], [(OpenAIResponsesModel, "gpt-6-luna"), (CannedModel, "test")], []),
}


@pytest.mark.parametrize(("values", "fallback", "expected", "remarks"), CHAINS.values(), ids=CHAINS.keys())
async def test_fallback_chains(
    values: dict[str, Any], fallback: list[Any], expected: object, remarks: list[str]
) -> None:
    models = Models(settings(**values))
    given = entry(fallback=fallback)
    assert shape(models.of(given)) == expected
    assert list(models.remarks(given)) == remarks
    await models.aclose()


WRONG: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "no key for it": (
        OPENAI | {"model": "anthropic:claude-haiku-5-5"},
        "the agent 'a' uses the model 'anthropic:claude-haiku-5-5', and ANTHROPIC_API_KEY is not set",
        "set ANTHROPIC_API_KEY, or choose another model",
    ),
    "no provider": (
        {"model": "gpt-6-luna"},
        "the agent 'a' uses the model 'gpt-6-luna': Unknown model: gpt-6-luna. Did you mean 'openai-chat:gpt-6-luna'?",
        None,
    ),
}


@pytest.mark.parametrize(("values", "message", "hint"), WRONG.values(), ids=WRONG.keys())
def test_a_model_that_cannot_be_had_stops_the_start(values: dict[str, Any], message: str, hint: str | None) -> None:
    weaver = Weaver("test")
    weaver.agent(Agent(name="a"))
    with pytest.raises(SettingsError) as wrong:
        Runner(weaver, settings(**values)).prepare()
    assert (wrong.value.message, wrong.value.hint) == (message, hint)


def test_what_is_not_as_it_was_asked_for_is_logged_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    weaver = Weaver("test")
    weaver.agent(Agent(name="a"), fallback=["anthropic:claude-haiku-4-5"])
    weaver.agent(Agent(name="b"))
    Runner(weaver, settings(**OPENAI)).prepare()
    assert [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "weaver_ai"] == [
        ("WARNING", "the agent 'a': no fallback to 'anthropic:claude-haiku-4-5': ANTHROPIC_API_KEY is not set")
    ]


async def test_settings_reach_the_clients_and_chains_do_not_retry() -> None:
    models = Models(settings(**OPENAI, **ANTHROPIC, provider_timeout_seconds=7.5, provider_max_retries=4))
    alone = models.of(entry())
    weaver = Weaver("test")
    weaver.agent(Agent(name="b"), fallback=["anthropic:claude-haiku-4-5"])
    chained = models.of(weaver.agents["b"])
    assert isinstance(chained, FallbackModel)
    both = {"timeout": 7.5, "request_timeout": 7.5}
    assert dict(alone.settings or {}) == {**both, "max_retries": 4}
    assert [dict(model.settings or {}) for model in chained.models] == [{**both, "max_retries": 0}] * 2
    await models.aclose()


async def test_models_are_made_once_and_clients_closed_at_the_end() -> None:
    models = Models(settings(**OPENAI))
    weaver = Weaver("test")
    weaver.agent(Agent(name="a"))
    weaver.agent(Agent(name="b"))
    first, second = (models.of(weaver.agents[name]) for name in ("a", "b"))
    assert first is second is models.of(weaver.agents["a"])
    (leaf,) = leaves(first)
    assert isinstance(leaf, OpenAIResponsesModel)
    assert not leaf.client.is_closed()
    await models.aclose()
    assert leaf.client.is_closed()
    await models.aclose()


async def test_the_providers_are_told_without_calling_them(provider_server: ProviderServer) -> None:
    models = Models(settings(openai_api_key=KEY, openai_base_url=provider_server.openai.base_url))
    unset = ProviderStatus(name="anthropic", configured=False, reason="ANTHROPIC_API_KEY is not set")
    assert models.providers() == (ProviderStatus(name="openai", configured=True), unset)
    models.of(entry())
    assert models.providers() == (ProviderStatus(name="openai", configured=True, models=("gpt-6-luna",)), unset)
    assert provider_server.requests == []
    await models.aclose()


def test_a_user_s_own_model_is_among_the_providers() -> None:
    models = Models(settings())
    models.of(entry(Agent(CannedModel(), name="a")))
    assert models.providers()[2:] == (ProviderStatus(name="test", configured=True, models=("test",)),)


async def test_a_key_reaches_the_provider_and_nothing_else(provider_server: ProviderServer, recorded: Recorded) -> None:
    values = {
        "openai_api_key": KEY,
        "openai_base_url": provider_server.openai.base_url,
        "anthropic_api_key": KEY,
        "anthropic_base_url": provider_server.anthropic.base_url,
    }
    provider_server.openai.always("from OpenAI")
    provider_server.anthropic.always("from Anthropic")
    weaver = Weaver("test")
    weaver.agent(Agent(name="a"))
    weaver.agent(Agent("anthropic:claude-haiku-5-5", name="b", defer_model_check=True))
    runner = Runner(weaver, settings(**values))
    answers = [(await runner.run(weaver.find(name), "hi")) for name in ("a", "b")]
    await runner.aclose()
    assert [answer.text for answer in answers] == ["from OpenAI", "from Anthropic"]
    assert provider_server.openai.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert provider_server.anthropic.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert [answer.usage.input_tokens for answer in answers] == [
        provider_server.openai.usage.input,
        provider_server.anthropic.usage.input,
    ]
    assert all(answer.cost is not None and answer.cost > 0 for answer in answers)
    # The Anthropic client's own span would be a third level, with the tokens again.
    assert recorded.tree() == "invoke_agent a\n  chat gpt-6-luna\ninvoke_agent b\n  chat claude-haiku-5-5"
    assert KEY not in str([dict(span.attributes or {}) for span in recorded.all])

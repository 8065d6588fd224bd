"""The time-outs and retries of models that come with the agent, however they were made."""

from __future__ import annotations

import os
from typing import Any

import pytest
from anthropic import AsyncAnthropic, Timeout
from openai import AsyncOpenAI
from pydantic_ai import Agent, capabilities
from pydantic_ai.exceptions import ModelRateLimitError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.models.test import TestModel as CannedModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.fixtures.provider_answers import Hangs, Status
from tests.fixtures.provider_server import ProviderServer
from tests.fixtures.recorded_spans import Recorded
from weaver_ai.agents import Models, RunFinished, Runner, Weaver
from weaver_ai.agents.models import leaves
from weaver_ai.agents.registry import RegisteredAgent
from weaver_ai.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from weaver_ai.settings import Settings, export_provider_variables, load_settings

pytest_plugins = ["tests.fixtures.providers", "tests.fixtures.recorded"]

KEY = "-".join(["sk", "test", "0" * 12])
needs_model_fallback = pytest.mark.skipif(
    not hasattr(capabilities, "ModelFallback"), reason="this pydantic-ai has no ModelFallback"
)
SECONDS = {"timeout": 7.5, "request_timeout": 7.5}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pydantic-ai makes a model of, given its name."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def settings(**values: Any) -> Settings:
    defaults: dict[str, Any] = {"provider_timeout_seconds": 7.5, "provider_max_retries": 4}
    return load_settings(env_file=None, **(defaults | values))


def entry(model: Any, *fallback: Any, **kwargs: Any) -> RegisteredAgent:
    weaver = Weaver("test")
    weaver.agent(Agent(model, name="a", **kwargs), fallback=fallback)
    return weaver.agents["a"]


def bounds(model: Any) -> dict[str, object]:
    return dict(model.settings or {})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("openai:gpt-6-luna", OpenAIResponsesModel),
        ("openai-chat:gpt-6-luna", OpenAIChatModel),
        ("anthropic:claude-haiku-5-5", AnthropicModel),
    ],
)
async def test_a_model_that_pydantic_ai_made_of_a_name_is_as_one_of_weaver_s(name: str, kind: type) -> None:
    models = Models(settings())
    at_once, later = entry(name), entry(name, defer_model_check=True)
    made = models.of(at_once)
    (leaf,) = leaves(made)
    assert type(leaf) is kind
    assert made is Models.of(models, later), "the same client serves both"
    assert bounds(made) == {**SECONDS, "max_retries": 4}
    assert models.remarks(at_once) == ()
    client: Any = leaf.client  # type: ignore[attr-defined]  # each of the kinds has one
    await models.aclose()
    assert client.is_closed()


async def test_in_a_chain_it_is_not_retried() -> None:
    models = Models(settings())
    chain = models.of(entry("openai:gpt-6-luna", "anthropic:claude-haiku-5-5"))
    assert isinstance(chain, FallbackModel)
    assert [bounds(model) for model in chain.models] == [{**SECONDS, "max_retries": 0}] * 2
    await models.aclose()


async def test_a_chain_of_the_user_s_own_is_bound_and_keeps_its_rule() -> None:
    models = Models(settings())
    own = FallbackModel("openai:gpt-6-luna", "anthropic:claude-haiku-5-5", fallback_on=(ModelRateLimitError,))
    chain = models.of(entry(own))
    assert isinstance(chain, FallbackModel)
    assert chain is not own
    assert [bounds(model) for model in chain.models] == [{**SECONDS, "max_retries": 0}] * 2
    assert [bounds(model) for model in own.models] == [{}, {}], "the user's own object is as it was"
    await models.aclose()


async def test_the_rule_of_a_chain_of_the_user_s_own_decides(provider_server: ProviderServer) -> None:
    provider_server.openai.always(Status(500))
    places: dict[str, Any] = {"openai_api_key": KEY, "openai_base_url": provider_server.openai.base_url}
    provider = OpenAIProvider(base_url=provider_server.openai.base_url, api_key=KEY)
    own = FallbackModel(
        OpenAIChatModel("gpt-6-luna", provider=provider), CannedModel(), fallback_on=(ModelRateLimitError,)
    )
    runner = Runner(Weaver("test"), settings(**places))
    runner.weaver.agent(Agent(own, name="a"))
    with pytest.raises(ProviderError):
        await runner.run(runner.weaver.find("a"), "go")
    provider_server.openai.always(Status(429))
    assert (await runner.run(runner.weaver.find("a"), "go")).model == "test"
    assert len(provider_server.openai.requests) == 2
    await runner.aclose()


async def test_a_client_of_the_user_s_own_keeps_what_it_was_given_and_that_is_said() -> None:
    client = AsyncOpenAI(api_key=KEY, max_retries=5, timeout=12.0)
    model = OpenAIChatModel("gpt-6-luna", provider=OpenAIProvider(openai_client=client))
    models = Models(settings())
    alone, chained = entry(model), entry(model, "anthropic:claude-haiku-5-5")
    assert bounds(models.of(alone)) == {}
    assert models.remarks(alone) == ("the model 'openai:gpt-6-luna' keeps its time-out (12 s) and its 5 retries",)
    models = Models(settings())
    chain = models.of(chained)
    assert isinstance(chain, FallbackModel)
    assert bounds(chain.models[0]) == {}
    assert models.remarks(chained) == (
        (
            "the model 'openai:gpt-6-luna' keeps its time-out (12 s) and its 5 retries, "
            "which delay the next model of the chain"
        ),
    )
    await models.aclose()
    assert not client.is_closed(), "who made it closes it"
    await client.close()


async def test_what_a_client_of_the_user_s_own_leaves_open_is_weaver_s_to_say() -> None:
    client = AsyncAnthropic(api_key=KEY, timeout=Timeout(3.0, connect=1.0))
    model = AnthropicModel("claude-haiku-5-5", provider=AnthropicProvider(anthropic_client=client))
    models = Models(settings())
    assert bounds(models.of(entry(model))) == {"max_retries": 4}
    assert models.remarks(entry(model)) == ("the model 'anthropic:claude-haiku-5-5' keeps its time-out (3 s)",)
    (leaf,) = leaves(models.of(entry(model)))
    assert leaf is model
    await models.aclose()
    await client.close()


async def test_a_model_s_own_settings_go_over_weaver_s() -> None:
    models = Models(settings())
    provider = OpenAIProvider(api_key="-".join(["another", "key"]), base_url="http://localhost:1/v1")
    own = OpenAIChatModel("gpt-6-luna", provider=provider, settings={"timeout": 1.0, "temperature": 0.5})
    assert bounds(models.of(entry(own))) == {
        "timeout": 1.0, "request_timeout": 7.5, "max_retries": 4, "temperature": 0.5,
    }  # fmt: skip
    await models.aclose()


async def test_another_place_or_key_is_kept() -> None:
    models = Models(settings())
    provider = OpenAIProvider(api_key="-".join(["another", "key"]), base_url="http://localhost:1/v1")
    given = entry(OpenAIChatModel("gpt-6-luna", provider=provider))
    (leaf,) = leaves(models.of(given))
    assert isinstance(leaf, OpenAIChatModel)
    assert str(leaf.client.base_url) == "http://localhost:1/v1/"
    assert bounds(models.of(given)) == {**SECONDS, "max_retries": 4}
    assert models.remarks(given) == ()
    await models.aclose()
    assert leaf.client.is_closed(), "pydantic-ai made what it sends with, and nobody else closes it"


@pytest.mark.parametrize("deferred", [False, True], ids=["object", "name"])
async def test_another_vendor_s_model_is_bound_too(monkeypatch: pytest.MonkeyPatch, deferred: bool) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    models = Models(settings())
    alone = models.of(entry("openrouter:openai/gpt-6-luna", defer_model_check=deferred))
    assert bounds(alone) == {**SECONDS, "max_retries": 4}
    chain = Models(settings()).of(entry("openrouter:openai/gpt-6-luna", CannedModel(), defer_model_check=deferred))
    assert isinstance(chain, FallbackModel)
    assert bounds(chain.models[0]) == {**SECONDS, "max_retries": 0}
    (leaf,) = leaves(alone)
    client: Any = leaf.client  # type: ignore[attr-defined]  # it has one
    await models.aclose()
    assert client.is_closed()


@pytest.mark.parametrize("model", [CannedModel(), FunctionModel(lambda _messages, _info: None)])  # type: ignore[arg-type,return-value]  # never called
async def test_a_model_without_a_provider_is_left_alone(model: Any) -> None:
    assert Models(settings()).of(entry(model)) is model


async def test_the_time_out_is_kept_for_a_model_object(provider_server: ProviderServer) -> None:
    provider_server.openai.always(Hangs())
    provider = OpenAIProvider(base_url=provider_server.openai.base_url, api_key=KEY)
    weaver = Weaver("test")
    weaver.agent(Agent(OpenAIChatModel("gpt-6-luna", provider=provider), name="alone"))
    weaver.agent(Agent(OpenAIChatModel("gpt-6-luna", provider=provider), name="chained"), fallback=[CannedModel()])
    runner = Runner(weaver, settings(provider_timeout_seconds=0.3))
    with pytest.raises(ProviderTimeout):
        await runner.run(weaver.find("alone"), "go")
    before = len(provider_server.openai.requests)
    assert (await runner.run(weaver.find("chained"), "go")).model == "test"
    assert len(provider_server.openai.requests) == before + 1
    await runner.aclose()


async def test_a_model_made_of_a_name_is_one_span(
    provider_server: ProviderServer, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", provider_server.anthropic.base_url)
    provider_server.anthropic.always("hello")
    weaver = Weaver("test")
    weaver.agent(Agent("anthropic:claude-haiku-5-5", name="a"))
    runner = Runner(weaver, settings())
    await runner.run(weaver.find("a"), "go")
    await runner.aclose()
    assert recorded.tree() == "invoke_agent a\n  chat claude-haiku-5-5"


def test_a_key_that_is_only_in_the_file_reaches_who_reads_the_environment(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")  # empty is as good as unset, as it is for the settings
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("GROQ_API_KEY", "x")
    monkeypatch.delenv("GROQ_API_KEY")  # so that what is set here is taken back
    file = tmp_path / ".env"
    file.write_text(f"OPENAI_API_KEY={KEY}1\nANTHROPIC_API_KEY=other\nGROQ_API_KEY={KEY}2\nWEAVER_MODEL=x\nHOME=/x\n")
    with pytest.raises(Exception, match="OPENAI_API_KEY"):
        Agent("openai:gpt-6-luna")
    export_provider_variables(file)
    made = Agent("openai:gpt-6-luna", name="a")
    assert isinstance(made.model, OpenAIResponsesModel)
    assert [os.environ[f"{name}_API_KEY"] for name in ("OPENAI", "ANTHROPIC", "GROQ")] == [f"{KEY}1", KEY, f"{KEY}2"]
    assert "WEAVER_MODEL" not in os.environ
    assert os.environ["HOME"] != "/x"
    export_provider_variables(tmp_path / "none")


BOTH_FAILED = (
    r"^all 2 models failed: openai \(gpt-6-luna\) is unavailable: status 500; "
    r"anthropic \(claude-haiku-5-5\) is unavailable: status 500$"
)


@needs_model_fallback
async def test_a_model_fallback_of_the_agent_s_own_is_a_chain_too(provider_server: ProviderServer) -> None:
    provider_server.openai.always(Status(500))
    provider_server.anthropic.always(Status(500))
    places: dict[str, Any] = {
        "openai_base_url": provider_server.openai.base_url,
        "anthropic_base_url": provider_server.anthropic.base_url,
    }
    weaver = Weaver("test")
    weaver.agent(Agent(name="a", capabilities=[capabilities.ModelFallback("anthropic:claude-haiku-5-5")]))
    runner = Runner(weaver, settings(openai_api_key=KEY, anthropic_api_key=KEY, **places))
    assert runner.models.remarks(weaver.find_agent("a")) == ()
    assert [model.model_name for model in runner.models.answering(weaver.find_agent("a"))] == [
        "gpt-6-luna", "claude-haiku-5-5",
    ]  # fmt: skip
    with pytest.raises(ProviderUnavailable, match=BOTH_FAILED) as failed:
        await runner.run(weaver.find("a"), "go")
    assert (len(provider_server.openai.requests), len(provider_server.anthropic.requests)) == (1, 1), "a retry"
    provider_server.anthropic.always("from the other")
    result = await runner.run(weaver.find("a"), "go")
    events = [event async for event in runner.stream(weaver.find("a"), "go")]
    assert (result.text, result.provider) == ("from the other", "anthropic")
    assert isinstance(events[-1], RunFinished)
    assert events[-1].result.text == "from the other"
    assert result.cost is not None
    await runner.aclose()
    assert failed.value.provider == "openai"


@needs_model_fallback
async def test_what_a_model_fallback_cannot_do_is_said() -> None:
    own = OpenAIChatModel("gpt-6-luna", provider=OpenAIProvider(api_key=KEY))
    agent = Agent(name="a", capabilities=[capabilities.ModelFallback("anthropic:claude-haiku-5-5", own, CannedModel())])
    weaver = Weaver("test")
    weaver.agent(agent)
    models = Models(settings(openai_api_key=KEY, anthropic_api_key=None))
    assert bounds(models.of(weaver.agents["a"])) == {**SECONDS, "max_retries": 0}
    assert models.remarks(weaver.agents["a"]) == (
        "its ModelFallback can't go on with 'anthropic:claude-haiku-5-5': ANTHROPIC_API_KEY is not set",
        "the model 'openai:gpt-6-luna' of its ModelFallback keeps its time-out and retries",
    )
    await models.aclose()

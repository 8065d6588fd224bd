"""Every way in which a provider fails, through the official clients and a real socket, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, FallbackExceptionGroup, UsageLimits
from pydantic_ai.exceptions import (
    AgentRunError,
    ConcurrencyLimitExceeded,
    ContentFilterError,
    ModelAPIError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelOverloadedError,
    ModelRateLimitError,
    RunTimedOut,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
)
from pydantic_ai.exceptions import RunCancelled as AgentRunCancelled
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.fixtures.provider_answers import Answer, Hangs, Malformed, Reset, Status, Truncated, tool_call
from tests.fixtures.provider_server import ClosedPort, ProviderServer, Vendor
from weaver_ai.agents import Ledger, RunEvent, Runner, RunOptions, Weaver
from weaver_ai.agents.failures import failure_of
from weaver_ai.errors import (
    ContextWindowExceeded,
    ProviderError,
    ProviderInvalidResponse,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreachable,
    QueueFull,
    RunCancelled,
    RunFailed,
    RunTimeout,
    UsageLimitReached,
    WeaverError,
)
from weaver_ai.settings import Settings, load_settings

pytest_plugins = ["tests.fixtures.providers"]

KEY = "-".join(["sk", "test", "0" * 12])
SECRET = "what the provider says of its customer"
MODELS = ["openai:gpt-6-luna", "openai-chat:gpt-6-luna", "anthropic:claude-haiku-5-5"]


def settings(openai: str, anthropic: str, **changes: object) -> Settings:
    defaults: dict[str, object] = {
        "openai_api_key": KEY,
        "anthropic_api_key": KEY,
        "openai_base_url": openai,
        "anthropic_base_url": anthropic,
        "provider_max_retries": 0,
        "provider_timeout_seconds": 20.0,
    }
    return load_settings(env_file=None, **(defaults | changes))


@dataclass
class Asked:
    """An agent on one model, at the provider server."""

    server: ProviderServer
    model: str

    @property
    def vendor(self) -> Vendor:
        return self.server.anthropic if self.model.startswith("anthropic") else self.server.openai

    @property
    def who(self) -> str:
        provider, _, name = self.model.replace("-chat", "").partition(":")
        return f"{provider} ({name})"

    async def fails(self, *, stream: bool, seconds: float = 20.0) -> WeaverError:
        urls = self.server.openai.base_url, self.server.anthropic.base_url
        async with running(self.model, *urls, provider_timeout_seconds=seconds) as runner:
            with pytest.raises(WeaverError) as failed:
                await (streamed(runner) if stream else runner.run(runner.weaver.find("a"), "hello"))
        return failed.value


async def streamed(runner: Runner) -> list[RunEvent]:
    return [event async for event in runner.stream(runner.weaver.find("a"), "hello")]


@pytest.fixture(params=MODELS, ids=["responses", "chat", "anthropic"])
def asked(request: pytest.FixtureRequest, provider_server: ProviderServer) -> Asked:
    return Asked(provider_server, request.param)


@asynccontextmanager
async def running(model: str, openai: str, anthropic: str, **changes: object) -> AsyncIterator[Runner]:
    weaver = Weaver("test")
    weaver.agent(Agent(name="a"))
    runner = Runner(weaver, settings(openai, anthropic, model=model, **changes))
    yield runner
    await runner.aclose()


UNREADABLE = "answered with something that can't be read"
BROKEN = "couldn't be reached, or the connection broke"
KEY_HINT = "check the provider's key"
QUOTA_HINT = "top up the account or raise its limit"
NAME_HINT = "check the model's name and the provider's base URL"

ANSWERS: dict[str, tuple[Answer, type[ProviderError], str, str | None, float | None]] = {
    "429": (Status(429, retry_after=7, message=SECRET), ProviderRateLimited, "is rate limiting: status 429", None, 7.0),
    "429 bare": (Status(429, message=SECRET), ProviderRateLimited, "is rate limiting: status 429", None, None),
    "500": (Status(500, message=SECRET), ProviderUnavailable, "is unavailable: status 500", None, None),
    "502": (Status(502, message=SECRET), ProviderUnavailable, "is unavailable: status 502", None, None),
    "503": (Status(503, retry_after=3), ProviderUnavailable, "is unavailable: status 503", None, 3.0),
    "504": (Status(504), ProviderUnavailable, "is unavailable: status 504", None, None),
    "529": (Status(529, message=SECRET), ProviderUnavailable, "is unavailable: status 529", None, None),
    "400": (Status(400, message=SECRET), ProviderRejected, "rejected the request: status 400", None, None),
    "401": (Status(401, message=SECRET), ProviderRejected, "rejected the request: status 401", KEY_HINT, None),
    "402": (Status(402), ProviderRejected, "says that the quota is exhausted: status 402", QUOTA_HINT, None),
    "403": (Status(403), ProviderRejected, "rejected the request: status 403", KEY_HINT, None),
    "404": (Status(404, message=SECRET), ProviderRejected, "rejected the request: status 404", NAME_HINT, None),
    "408": (Status(408), ProviderTimeout, "didn't answer in time", None, None),
    "409": (Status(409), ProviderRejected, "rejected the request: status 409", None, None),
    "422": (Status(422), ProviderRejected, "rejected the request: status 422", None, None),
    "invalid JSON": (
        Malformed(body=f'{{"{SECRET}'), ProviderInvalidResponse, UNREADABLE, None, None,
    ),
    "HTML": (
        Malformed(body=f"<p>{SECRET}</p>", content_type="text/html"),
        ProviderInvalidResponse, UNREADABLE, None, None,
    ),
    "truncated": (Truncated(), ProviderUnreachable, BROKEN, None, None),
    "reset": (Reset(), ProviderUnreachable, BROKEN, None, None),
    "reset midway": (Reset(midway=True), ProviderUnreachable, BROKEN, None, None),
    "hangs": (Hangs(), ProviderTimeout, "didn't answer in time", None, None),
    "hangs midway": (Hangs(midway=True), ProviderTimeout, "didn't answer in time", None, None),
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("answer", "kind", "what", "hint", "retry_after"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_provider_s_failure_has_one_class_and_keeps_its_words_to_itself(
    asked: Asked,
    stream: bool,
    answer: Answer,
    kind: type[ProviderError],
    what: str,
    hint: str | None,
    retry_after: float | None,
) -> None:
    asked.vendor.always(answer)
    failure = await asked.fails(stream=stream, seconds=0.3 if isinstance(answer, Hangs) else 20.0)
    assert type(failure) is kind
    assert failure.message == f"{asked.who} {what}"
    assert (failure.hint, failure.retry_after) == (hint, retry_after)
    provider, _, model = asked.model.replace("-chat", "").partition(":")
    assert (failure.provider, failure.model) == (provider, model)
    assert isinstance(failure.__cause__, ModelAPIError)
    assert SECRET not in f"{failure.message} {failure.hint} {failure}"
    assert len(asked.vendor.requests) == 1


async def test_a_body_of_another_shape_is_the_provider_s_failure(asked: Asked) -> None:
    asked.vendor.always(Malformed(body="{}"))
    failure = await asked.fails(stream=False)
    assert (type(failure), failure.message) == (
        ProviderInvalidResponse,
        f"{asked.who} {UNREADABLE}",
    )


# Not for chat completions: where their stream ends pydantic-ai takes it for a stop.
@pytest.mark.parametrize("asked", [MODELS[0], MODELS[2]], ids=["responses", "anthropic"], indirect=True)
async def test_a_stream_that_ends_early_is_no_answer(asked: Asked) -> None:
    asked.vendor.always(Malformed(body="{}"))  # half a sentence, an empty event, and a proper end of the connection
    failure = await asked.fails(stream=True)
    assert (type(failure), failure.message) == (
        ProviderInvalidResponse,
        f"{asked.who} {UNREADABLE}",
    )


@pytest.mark.parametrize("model", MODELS, ids=["responses", "chat", "anthropic"])
async def test_a_refused_connection(model: str, closed_port: ClosedPort) -> None:
    async with running(model, closed_port.url, closed_port.url) as runner:
        with pytest.raises(ProviderUnreachable, match=r"couldn't be reached, or the connection broke$"):
            await runner.run(runner.weaver.find("a"), "hello")


async def test_retries_are_as_many_as_the_settings_say(provider_server: ProviderServer) -> None:
    provider_server.openai.replies(Status(500), Status(500), "third time lucky")
    async with running(MODELS[0], provider_server.openai.base_url, "", provider_max_retries=2) as runner:
        result = await runner.run(runner.weaver.find("a"), "hello")
    assert (result.text, len(provider_server.openai.requests)) == ("third time lucky", 3)


class Answer42(BaseModel):
    answer: int


async def test_output_that_never_validates_is_the_model_s_failure(provider_server: ProviderServer) -> None:
    provider_server.openai.always("forty-two")
    weaver = Weaver("test")
    weaver.agent(Agent(name="a", output_type=Answer42))
    runner = Runner(weaver, settings(provider_server.openai.base_url, "", model=MODELS[0]))
    with pytest.raises(ProviderInvalidResponse) as failed:
        await runner.run(weaver.find("a"), "hello")
    await runner.aclose()
    assert failed.value.message == "the model of the agent 'a' never gave a usable answer"
    assert (failed.value.provider, failed.value.model) == ("openai", "gpt-6-luna")
    assert isinstance(failed.value.__cause__, UnexpectedModelBehavior)


async def test_a_request_that_cannot_be_written_is_not_the_provider_s_failure(asked: Asked) -> None:
    history = [ModelRequest(parts=[UserPromptPart("half of \ud83d")])]
    urls = asked.server.openai.base_url, asked.server.anthropic.base_url
    async with running(asked.model, *urls) as runner:
        with pytest.raises(RunFailed) as failed:
            await runner.run(runner.weaver.find("a"), None, RunOptions(history=history))
    assert (type(failed.value), failed.value.message) == (
        RunFailed, "the agent 'a' failed: something in it can't be written as JSON",
    )  # fmt: skip
    assert asked.vendor.requests == []


# What isn't worth a server

PROVIDERS = {"m1": "openai"}


def failure(error: Exception) -> WeaverError:
    return failure_of(error, name="a", kind="agent", providers=PROVIDERS)


UNMODELLED: dict[str, tuple[Exception, type[WeaverError], str]] = {
    "timed out": (RunTimedOut("x"), RunTimeout, "the agent 'a' took longer than it may"),
    "cancelled": (AgentRunCancelled("x"), RunCancelled, "the agent 'a' was cancelled"),
    "usage limit": (UsageLimitExceeded("x"), UsageLimitReached, "the agent 'a' went over its usage limit"),
    "concurrency": (ConcurrencyLimitExceeded("x"), QueueFull, "the agent 'a' has too many runs waiting"),
    "content filter": (
        ContentFilterError("x"),
        ProviderInvalidResponse, "the model of the agent 'a' refused to answer: content filter",
    ),
    "unexpected": (
        UnexpectedModelBehavior("x", SECRET),
        ProviderInvalidResponse, "the model of the agent 'a' never gave a usable answer",
    ),
    "a bug": (KeyError(SECRET), RunFailed, "the agent 'a' failed"),
    "unwritable": (
        UnicodeEncodeError("utf-8", SECRET, 0, 1, "surrogates not allowed"),
        RunFailed, "the agent 'a' failed: something in it can't be written as JSON",
    ),
    "another agent error": (AgentRunError(SECRET), RunFailed, "the agent 'a' failed"),
    "in the stream": (
        ModelAPIError("m1", SECRET, provider_error_code="strange", in_stream=True),
        ProviderError, "openai (m1) reported an error in its answer",
    ),
    "a name from the answer": (ModelAPIError(SECRET, "x"), ProviderInvalidResponse, f"openai (m1) {UNREADABLE}"),
    "too long": (
        ModelHTTPError.for_category(
            ModelContextWindowExceededError, status_code=400, model_name="m1", body=SECRET
        ),
        ContextWindowExceeded, "openai (m1) takes no input of that length: status 400",
    ),
    "quota as 429": (
        ModelHTTPError.for_category(None, status_code=429, model_name="m1", body=SECRET),
        ProviderRateLimited, "openai (m1) is rate limiting: status 429",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("error", "kind", "message"), UNMODELLED.values(), ids=UNMODELLED.keys())
def test_the_other_failures(error: Exception, kind: type[WeaverError], message: str) -> None:
    found = failure(error)
    assert (type(found), found.message) == (kind, message)
    assert SECRET not in f"{found} {found.hint}"


def test_a_weaver_error_stays_what_it_is() -> None:
    error = QueueFull("full")
    assert failure(error) is error


def rate_limited(seconds: float | None) -> ModelHTTPError:
    return ModelHTTPError.for_category(
        ModelRateLimitError, status_code=429, model_name="m1", body=SECRET, retry_after=seconds
    )


def overloaded(seconds: float | None) -> ModelHTTPError:
    return ModelHTTPError.for_category(
        ModelOverloadedError, status_code=529, model_name="m2", body=SECRET, retry_after=seconds
    )


CHAINS: dict[str, tuple[list[Exception], type[ProviderError], str, float | None]] = {
    "the more hopeful counts": (
        [ModelHTTPError(401, "m1", SECRET), overloaded(30.0)],
        ProviderUnavailable,
        ("all 2 models failed: openai (m1) rejected the request: status 401; "
        "anthropic (m2) is unavailable: status 529"),
        30.0,
    ),
    "the soonest counts": (
        [rate_limited(20.0), overloaded(5.0)],
        ProviderRateLimited,
        "all 2 models failed: openai (m1) is rate limiting: status 429; anthropic (m2) is unavailable: status 529",
        5.0,
    ),
    "too long for all": (
        [
            ModelHTTPError(401, "m1", SECRET),
            ModelHTTPError.for_category(
                ModelContextWindowExceededError, status_code=400, model_name="m2", body=SECRET
            ),
        ],
        ContextWindowExceeded,
        ("all 2 models failed: openai (m1) rejected the request: status 401; "
        "anthropic (m2) takes no input of that length: status 400"),
        None,
    ),
    "a chain in a chain": (
        [FallbackExceptionGroup("inner", [rate_limited(None)]), overloaded(None)],
        ProviderRateLimited,
        "all 2 models failed: openai (m1) is rate limiting: status 429; anthropic (m2) is unavailable: status 529",
        None,
    ),
    "nothing but rejected answers": (
        [ValueError("rejected")], ProviderError, "every model of the fallback chain was rejected", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("errors", "kind", "message", "retry_after"), CHAINS.values(), ids=CHAINS.keys())
def test_when_every_model_of_a_chain_failed(
    errors: list[Exception], kind: type[ProviderError], message: str, retry_after: float | None
) -> None:
    asked = {"m1": "openai", "m2": "anthropic"}
    found = failure_of(FallbackExceptionGroup("all failed", errors), name="a", kind="agent", providers=asked)
    assert (type(found), found.message, found.retry_after) == (kind, message, retry_after)


def test_a_name_from_the_answer_is_not_repeated() -> None:
    asked = {"m1": "openai", "m2": "anthropic"}
    found = failure_of(ModelAPIError(SECRET, "x"), name="a", kind="agent", providers=asked)
    assert found.message == f"the provider {UNREADABLE}"
    assert (found.provider, found.model) == (None, None)  # type: ignore[attr-defined]


async def test_a_fallback_goes_on_at_once_and_the_group_is_one_failure(provider_server: ProviderServer) -> None:
    weaver = Weaver("test")
    weaver.agent(Agent(name="a"), fallback=[MODELS[2]])
    runner = Runner(
        weaver,
        settings(
            provider_server.openai.base_url,
            provider_server.anthropic.base_url,
            model=MODELS[0],
            provider_max_retries=5,
        ),
    )
    provider_server.openai.always(Status(429, retry_after=20))
    provider_server.anthropic.replies("from the other one", Status(529))
    result = await runner.run(weaver.find("a"), "hello")
    ledger = Ledger()
    with pytest.raises(ProviderRateLimited) as failed:
        await runner.run(weaver.find("a"), "hello", ledger=ledger)
    await runner.aclose()
    assert ledger == Ledger()
    assert (result.text, result.model, result.provider) == ("from the other one", "claude-haiku-5-5", "anthropic")
    assert failed.value.message == (
        "all 2 models failed: openai (gpt-6-luna) is rate limiting: status 429; "
        "anthropic (claude-haiku-5-5) is unavailable: status 529"
    )
    assert failed.value.retry_after == 20.0
    assert isinstance(failed.value.__cause__, FallbackExceptionGroup)
    assert (len(provider_server.openai.requests), len(provider_server.anthropic.requests)) == (2, 2)


async def test_a_fallback_goes_on_when_all_of_the_agent_s_own_chain_failed(provider_server: ProviderServer) -> None:
    weaver = Weaver("test")
    provider = OpenAIProvider(base_url=provider_server.openai.base_url, api_key=KEY)
    first, second = (OpenAIChatModel(name, provider=provider) for name in ("first", "second"))
    own = FallbackModel(first, second)
    weaver.agent(Agent(own, name="a"), fallback=[MODELS[2]])
    runner = Runner(weaver, settings(provider_server.openai.base_url, provider_server.anthropic.base_url))
    provider_server.openai.always(Status(503))
    provider_server.anthropic.always("good")
    result = await runner.run(weaver.find("a"), "hello")
    await runner.aclose()
    assert (result.text, result.provider) == ("good", "anthropic")
    assert [request.body["model"] for request in provider_server.openai.requests] == ["first", "second"]


async def test_a_fallback_goes_on_after_an_unreadable_answer(provider_server: ProviderServer) -> None:
    weaver = Weaver("test")
    weaver.agent(Agent(name="a"), fallback=[MODELS[2]])
    runner = Runner(
        weaver, settings(provider_server.openai.base_url, provider_server.anthropic.base_url, model=MODELS[0])
    )
    provider_server.openai.always(Malformed(body="{}"))
    provider_server.anthropic.always("good")
    result = await runner.run(weaver.find("a"), "hello")
    await runner.aclose()
    assert (result.text, result.provider) == ("good", "anthropic")


async def test_an_agent_s_own_usage_limit(provider_server: ProviderServer) -> None:
    weaver = Weaver("test")
    inner = Agent(name="inner")
    outer = weaver.agent(Agent(name="a"))

    @outer.tool_plain
    async def delegate() -> str:
        """Ask the other agent."""
        model = runner.models.of(weaver.agents["a"])
        return (await inner.run("x", model=model, usage_limits=UsageLimits(request_limit=0))).output

    provider_server.openai.always(lambda request: "done" if request.tool_results else tool_call("delegate"))
    runner = Runner(weaver, settings(provider_server.openai.base_url, "", model=MODELS[0]))
    with pytest.raises(RunFailed, match=r"^the agent 'a' went over its usage limit$"):
        await runner.run(weaver.find("a"), "hello")
    await runner.aclose()

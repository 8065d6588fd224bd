"""A model provider fails under `/v1/chat/completions`, as the official client sees it: whole answers and streams."""

from __future__ import annotations

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.integration.under_fault.blame import (
    BOTH,
    CASES,
    FAILING,
    Vendors,
    assert_blamed,
    assert_stepped_in,
    assert_told,
)
from tests.integration.under_fault.conftest import KEY, OTHER, Gateway, Served
from tests.integration.under_fault.matrix import ProviderCase
from weaver_ai.testing import Spans
from weaver_ai.testing.fakes import Providers
from weaver_ai.testing.faults import Faults

pytestmark = pytest.mark.asyncio(loop_scope="module")
HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]


def client_of(gateway: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url="http://gw/v1", api_key="any", max_retries=0, http_client=gateway.client)


async def said(client: openai.AsyncOpenAI, agent: str) -> str:
    answer = await client.chat.completions.create(model=agent, messages=HI)
    return answer.choices[0].message.content or ""


async def streamed(client: openai.AsyncOpenAI, agent: str, words: list[str]) -> str:
    """What was said; `words` has them as they came, if it breaks off."""
    async for chunk in await client.chat.completions.create(model=agent, messages=HI, stream=True):
        words += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    return "".join(words)


@BOTH
@CASES
async def test_a_whole_answer(
    served: Served, spans: Spans, providers: Providers, faults: Faults, vendor: str, case: ProviderCase
) -> None:
    vendors = Vendors(providers, faults, vendor, case)
    client = client_of(await served(case.limit))
    if case.problem is None:
        assert await said(client, f"{vendor}-alone") == "From the first."
        spans.none(status="error")
        return
    with pytest.raises(openai.APIStatusError) as failed:
        await said(client, f"{vendor}-alone")
    await spans.eventually.one(kind="server")
    assert (type(failed.value).__name__, failed.value.code) == (case.raised, case.problem.code)
    assert_told(failed.value.response, case.problem, vendors)
    assert_blamed(spans, vendors, case, case.problem)


@BOTH
@FAILING
async def test_a_stream(
    served: Served, spans: Spans, providers: Providers, faults: Faults, vendor: str, case: ProviderCase
) -> None:
    """A failure before the first words is told as if nothing were streamed: nothing was."""
    vendors = Vendors(providers, faults, vendor, case)
    client, words = client_of(await served(case.limit)), list[str]()
    with pytest.raises(openai.APIError) as failed:
        await streamed(client, f"{vendor}-alone", words)
    await spans.eventually.one(kind="server")
    assert case.problem is not None
    assert failed.value.code == case.problem.code
    if isinstance(failed.value, openai.APIStatusError):
        assert (type(failed.value).__name__, words, case.begun) == (case.raised, [], False)
        assert_told(failed.value.response, case.problem, vendors)
    else:
        assert (type(failed.value), words != [], case.begun) == (openai.APIError, True, True)
        assert KEY not in str((failed.value.body, failed.value.message))
    assert_blamed(spans, vendors, case, case.problem, streamed=case.begun)


@FAILING
async def test_with_a_fallback_model(
    served: Served, spans: Spans, providers: Providers, faults: Faults, case: ProviderCase
) -> None:
    vendors = Vendors(providers, faults, "openai", case)
    agent = f"openai-then-{OTHER['openai']}"
    client, words = client_of(await served(case.limit)), list[str]()
    assert case.problem is not None
    with spans.scope() as whole:
        assert await said(client, agent) == "From the other."
        await whole.eventually.one(kind="server")
    assert_stepped_in(whole, vendors, case.problem, agent)
    with spans.scope() as stream:
        if case.begun:
            with pytest.raises(openai.APIError):
                await streamed(client, agent, words)
        else:
            assert await streamed(client, agent, words) == "From the other."
        await stream.eventually.one(kind="server")
    assert len(vendors.other.calls) == (1 if case.begun else 2)
    if case.begun:
        assert_blamed(stream, vendors, case, case.problem, streamed=True)
    else:
        assert_stepped_in(stream, vendors, case.problem, agent)

"""What becomes of an answer when a model or the cache fails. The fixtures come with weaver-ai."""

import pytest
from answers.service import answer

from weaver_ai.testing import Spans, absent, span
from weaver_ai.testing.fakes import Providers
from weaver_ai.testing.fakes.redis import TestRedis
from weaver_ai.testing.faults import Fault, Faults, every, fault


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")


def test_an_answer_is_asked_for_once(spans: Spans, providers: Providers, fake_redis: TestRedis) -> None:
    providers.openai.replies("42")

    assert [answer("6 * 7"), answer("6 * 7")] == ["42", "42"]

    assert [call.model for call in providers.openai.calls] == ["gpt-5"]
    assert spans.count("chat *") == 1
    assert fake_redis.client().ttl("6 * 7") > 0


@pytest.mark.faults(*(each.on_call(1) for each in every(fault.openai) if each.kind != "slow"))
def test_the_small_model_steps_in(
    spans: Spans, providers: Providers, fake_redis: TestRedis, armed_fault: Fault
) -> None:
    providers.openai.always("42")

    assert answer("6 * 7") == "42"

    spans.one("answer").expect_fallback(primary=span("chat gpt-5", status="error"), fallback="chat gpt-5-mini")
    assert fake_redis.client().get("6 * 7") == "42"


@pytest.mark.faults(fault.redis.down(), fault.redis.slow(5), fault.redis.readonly(), fault.redis.oom())
def test_it_goes_on_without_its_cache(
    spans: Spans, providers: Providers, fake_redis: TestRedis, armed_fault: Fault
) -> None:
    providers.openai.always("42")

    assert [answer("6 * 7"), answer("6 * 7")] == ["42", "42"]

    assert len(providers.openai.calls) == 2
    assert spans.count("remember", {"error.type": ...}) == 2

    armed_fault.lift()
    assert answer("6 * 7") == "42"
    assert spans.all("remember")[-1].attributes == {}


def test_both_at_once(spans: Spans, providers: Providers, fake_redis: TestRedis, faults: Faults) -> None:
    providers.openai.always("42")
    faults.redis.down()
    faults.openai.status(429, retry_after=2).on_call(1)

    assert answer("6 * 7") == "42"

    run = spans.one("answer", {"error.type": absent}, status="unset")
    run.expect_fallback(primary=span("chat gpt-5", status="error"), fallback="chat gpt-5-mini")

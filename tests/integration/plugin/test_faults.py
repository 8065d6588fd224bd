"""The fixture `faults` and its marker in somebody else's test file: outcomes, ids and exact words."""

from __future__ import annotations

import re

import httpcore
import httpcore2
import httpx
import httpx2
import openai
import pytest
import redis
import respx.plugin

import weaver_ai.settings
import weaver_ai.testing.faults.exporter
import weaver_ai.testing.faults.fixture
import weaver_ai.testing.faults.pools
from tests.integration.plugin.conftest import Run

# A run in this process drops what it was the first to import, and would import it again each time.
PRELOADED = (httpcore, httpcore2, httpx, httpx2, openai, redis, respx.plugin, weaver_ai)

AUTO = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
CALL = """
import httpx2
from weaver_ai.testing.faults import every, fault

def ask():
    with httpx2.Client() as client:
        return client.post("https://api.openai.com/v1/responses", json={"model": "m"})
"""


def failure(result: pytest.RunResult) -> list[str]:
    """What the report of the one failed test says, from its headline to the summary."""
    lines = result.outlines
    begin = next(place for place, line in enumerate(lines) if line.startswith("___"))
    end = next(
        place for place, line in enumerate(lines) if "short test summary" in line or (place > begin and "===" in line)
    )
    return [line for line in lines[begin + 1 : end] if line.strip()]


def test_a_test_runs_once_for_each_fault_under_a_readable_id(run_here: Run) -> None:
    result = run_here(
        CALL
        + """
@pytest.mark.faults(
    fault.openai.status(429, retry_after=2), fault.openai.timeout(), fault.openai.status(500).on_call(1)
)
def test_asks(armed_fault):
    try:
        answer = ask()
    except httpx2.ConnectTimeout:
        assert armed_fault.id == "openai-timeout"
    else:
        assert armed_fault.id.startswith(f"openai-status-{answer.status_code}")
""",
        "-v",
    )
    result.assert_outcomes(passed=3)
    ids = re.findall(r"test_asks\[(.*?)\]", result.stdout.str())
    assert ids == ["openai-status-429", "openai-timeout", "openai-status-500-on-call-1"]


def test_it_crosses_with_parameters_classes_and_modules(run_here: Run) -> None:
    result = run_here(
        CALL
        + """
pytestmark = pytest.mark.faults(fault.openai.status(500))

@pytest.mark.faults(fault.openai.status(503))
class TestAsks:
    @pytest.mark.parametrize("times", [1, 2])
    def test_it(self, times):
        assert all(ask().status_code >= 500 for _ in range(times))
""",
        "-v",
    )
    result.assert_outcomes(passed=4)
    assert set(re.findall(r"test_it\[(.*?)\]", result.stdout.str())) == {
        f"openai-status-{status}-{times}" for times in (1, 2) for status in (500, 503)
    }


def test_a_markers_fault_is_in_force_while_the_test_function_runs_only(run_here: Run) -> None:
    result = run_here(
        CALL
        + """
@pytest.fixture
def app(faults):
    faults.openai.status(418).optional().lift()
    assert not faults.plan.active
    yield
    assert not faults.plan.active

@pytest.mark.faults(fault.openai.status(500))
def test_it(app):
    assert ask().status_code == 500
"""
    )
    result.assert_outcomes(passed=1)


def test_a_fault_as_a_parameter_of_the_tests_own(run_here: Run) -> None:
    result = run_here(
        CALL
        + """
@pytest.fixture(params=[fault.openai.status(500), fault.openai.status(503)])
def outage(request, faults):
    with faults.arm(request.param) as armed:
        yield armed

def test_it(outage):
    assert ask().status_code == outage.spec.status

@pytest.mark.parametrize("spec", every(fault.openai)[6:8])
def test_other(spec, faults):
    faults.arm(spec)
    assert ask().status_code == spec.status
""",
        "-v",
    )
    result.assert_outcomes(passed=4)
    assert re.findall(r"test_\w+\[(.*?)\]", result.stdout.str()) == [
        "openai-status-500",
        "openai-status-503",
        "openai-status-429",
        "openai-status-500",
    ]


def test_a_fault_that_never_struck_fails_the_test(run_here: Run) -> None:
    result = run_here(
        """
        def test_it(faults):
            faults.openai.timeout()
            faults.anthropic.status(500).optional()
            faults.anthropic.slow(1).share(0.5)
        """
    )
    result.assert_outcomes(failed=1)
    assert failure(result) == [
        "a fault was armed and never struck, so the test shows nothing about it:",
        "  openai-timeout: no call came by",
        "  say .optional() where that is right",
        "-------------------------------- weaver faults ---------------------------------",
        "openai-timeout: no call came by",
        "anthropic-status-500: no call came by",
        "anthropic-slow-1s-share-0.5: no call came by",
        f"the same calls again: --weaver-faults-seed={_seed(result)}",
    ]


def _seed(result: pytest.RunResult) -> str:
    found = re.search(r"--weaver-faults-seed=(\d+)", result.stdout.str())
    assert found is not None
    return found[1]


SHARE = (
    CALL
    + """
def test_it(faults):
    faults.openai.status(500).share(0.4)
    faults.http("api.openai.com").status(200 + 300)
    statuses = [ask().status_code for _ in range(12)]
    print("HIT", faults.plan.armed[0].struck)
    assert statuses == []
"""
)


def test_a_share_repeats_with_the_seed_that_the_failure_names(run_here: Run) -> None:
    first = run_here(SHARE)
    hit = re.search(r"HIT (\[.*\])", first.stdout.str())
    assert hit is not None
    again = run_here(SHARE, f"--weaver-faults-seed={_seed(first)}")
    assert hit[0] in again.stdout.str()
    assert _seed(again) == _seed(first)


def test_seeds_differ_between_sessions_unless_set(run_here: Run) -> None:
    assert len({_seed(run_here(SHARE)) for _ in range(4)}) > 1


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("", "@pytest.mark.faults takes at least one fault, by position"),
        ('"openai-timeout"', "@pytest.mark.faults takes faults; got 'openai-timeout'"),
    ],
)
def test_a_marker_that_makes_no_sense_is_refused(run_here: Run, marker: str, message: str) -> None:
    result = run_here(f"@pytest.mark.faults({marker})\ndef test_it(): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            message.replace("[", "[[]"),
            "  from weaver_ai.testing.faults import every, fault",
            "  @pytest.mark.faults(fault.openai.status(429), *every(fault.redis))",
        ]
    )


def test_the_handle_needs_the_marker(run_here: Run) -> None:
    result = run_here("def test_it(armed_fault): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the fixture 'armed_fault' needs @pytest.mark.faults(...)"])


def test_a_redis_fault_without_a_redis_says_so(run_here: Run) -> None:
    result = run_here("def test_it(faults): faults.redis.down()\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E   *RuntimeError: faults.redis needs the fixture fake_redis in the same test, set up before the fault *"]
    )


def test_workers_of_xdist_run_the_matrix(run: Run) -> None:
    result = run(
        CALL
        + """
@pytest.mark.faults(*every(fault.openai)[:6])
def test_it(armed_fault):
    with pytest.raises(httpx2.TransportError):
        with httpx2.Client(timeout=0.05) as client:
            client.post("https://api.openai.com/v1/responses", json={"model": "m"})
    assert armed_fault.hits == 1
""",
        "-n",
        "2",
        plugins=["xdist"],
    )
    result.assert_outcomes(passed=6)


def test_the_fault_reaches_the_providers_fake_in_either_order(run_here: Run) -> None:
    source = """
import openai
from weaver_ai.testing.faults import fault

def complete():
    client = openai.OpenAI(api_key="k" * 3, max_retries=0)
    return client.chat.completions.create(model="gpt-5", messages=[{{"role": "user", "content": "hi"}}])

@pytest.fixture
def armed(faults):
    return faults.openai.status(500).on_call(2)

def test_it({order}):
    providers.openai.replies("one", "three")
    assert complete().choices[0].message.content == "one"
    with pytest.raises(openai.InternalServerError):
        complete()
    assert complete().choices[0].message.content == "three"
    assert len(providers.openai.calls) == 3
    assert armed.struck == [2]
"""
    for order in ("providers, armed", "armed, providers"):
        run_here(source.format(order=order), plugins=["respx.plugin"]).assert_outcomes(passed=1)


def test_clocks_are_fixtures(run_here: Run) -> None:
    result = run_here(
        """
        import time

        def test_frozen(frozen_clock):
            before = time.time()
            time.sleep(3600)
            frozen_clock.advance(60)
            assert time.time() - before == pytest.approx(3660)
            assert frozen_clock.slept == [3600]

        def test_skewed(skewed_clock):
            before = time.time()
            skewed_clock(-7200)
            assert time.time() - before == pytest.approx(-7200, abs=5)

        def test_after():
            assert time.time is not None and time.time.__module__ == "time"
        """
    )
    result.assert_outcomes(passed=3)


def test_packages_can_be_missing_for_one_test(run: Run) -> None:
    result = run(
        """
        from importlib.util import find_spec

        def test_extra(no_extra):
            no_extra("redis")
            assert find_spec("redis") is None
            with pytest.raises(ImportError):
                import redis

        def test_logfire(no_logfire):
            assert find_spec("logfire") is None

        def test_after():
            import redis
        """
    )
    result.assert_outcomes(passed=3)


def test_an_unknown_extra_says_which_there_are(run_here: Run) -> None:
    result = run_here("def test_it(no_extra): no_extra('redos')\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*ValueError: weaver-ai has no extra 'redos'; it has *gateway*redis*testing*"])


FALLBACK = """
import anthropic, openai
from pydantic_ai import Agent, InstrumentationSettings
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from weaver_ai.testing import span
from weaver_ai.testing.faults import every, fault

def agent():
    key = "k" * 3
    primary = OpenAIChatModel("gpt-5", provider=OpenAIProvider(
        openai_client=openai.AsyncOpenAI(api_key=key, max_retries=0, timeout=0.1)))
    second = AnthropicModel("claude-5", provider=AnthropicProvider(
        anthropic_client=anthropic.AsyncAnthropic(api_key=key, max_retries=0)))
    return Agent(FallbackModel(primary, second), name="desk")

@pytest.fixture(autouse=True)
def traced():
    Agent.instrument_all(InstrumentationSettings())
    yield
    Agent.instrument_all(False)
"""


def test_a_fallback_is_seen_in_what_pydantic_ai_emits_and_missed_where_there_is_none(run: Run) -> None:
    result = run(
        FALLBACK
        + """
@pytest.mark.faults(fault.openai.timeout(), fault.openai.refused(), fault.openai.status(429), fault.openai.status(500))
async def test_it(spans, providers):
    providers.anthropic.replies("here I am")
    answer = await agent().run("hello")
    assert answer.output == "here I am"
    run = spans.one("invoke_agent desk")
    run.expect_fallback(primary=span("chat gpt-*", status="error"), fallback=span("chat claude-*"), attempts=2)

@pytest.mark.faults(fault.openai.status(500))
async def test_without(spans, providers):
    desk = agent()
    desk.model = desk.model.models[0]
    with pytest.raises(Exception):
        await desk.run("hello")
    run = spans.one("invoke_agent desk")
    run.expect_fallback(primary=span("chat gpt-*", status="error"), fallback=span("chat claude-*"), attempts=2)
""",
        *AUTO,
        plugins=["pytest_asyncio.plugin", "respx.plugin"],
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*ExpectationFailed: 'invoke_agent desk'.expect_fallback(primary=span('chat gpt-[*]', status='error'), *",
            "E*  fallback: nothing was tried after 'chat gpt-5'",
            "E*  attempts: expected 2, there were 1",
            "E*  outcome: 'invoke_agent desk' ended with an error",
            "E*  tried, under 'invoke_agent desk':",
        ]
    )


def test_retries_and_back_off_against_a_controlled_clock(run: Run) -> None:
    result = run(
        """
        import openai
        from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
        from weaver_ai.testing.faults import fault

        @pytest.fixture(autouse=True)
        def traced():
            HTTPX2ClientInstrumentor().instrument()
            yield
            HTTPX2ClientInstrumentor().uninstrument()

        def test_it(spans, providers, faults, frozen_clock):
            faults.openai.status(429, retry_after=20).on_call(1, 2)
            providers.openai.replies("at last")
            client = openai.OpenAI(api_key="k" * 3, max_retries=2)
            client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
            assert frozen_clock.slept == [20, 20]
            spans.retries("POST", attempts=3, backoff=[20, 20], tolerance=0)
            with pytest.raises(AssertionError, match="back-off 1: expected 5s, it was 20s"):
                spans.retries("POST", attempts=3, backoff=[5, 20])

        async def test_async(spans, providers, faults, frozen_clock):
            faults.openai.status(429, retry_after=20).on_call(1)
            providers.openai.replies("at last")
            async with openai.AsyncOpenAI(api_key="k" * 3, max_retries=2) as client:
                await client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
            assert frozen_clock.slept == [20]
            spans.retries("POST", attempts=2, backoff=[20], tolerance=0)
        """,
        *AUTO,
        plugins=["pytest_asyncio.plugin", "respx.plugin"],
    )
    result.assert_outcomes(passed=2)

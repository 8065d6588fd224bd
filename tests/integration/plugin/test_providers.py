"""The `providers` fixture in other people's test files, and below the instrumentation of their clients."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pydantic
import pytest
import respx
from anyio import run as run_async
from anyio import sleep
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from weaver_ai.testing.fakes import structured, tool_call
from weaver_ai.testing.fakes.providers.call import Call
from weaver_ai.testing.fakes.providers.providers import Providers
from weaver_ai.testing.fakes.providers.reply import Broken, Pause, Reply
from weaver_ai.testing.spans import Spans


class Refunded(pydantic.BaseModel):
    refunded: int


CHAT = "https://api.openai.com/v1/chat/completions"
BODY: Any = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]}


# Messages


def failed(run: Any, source: str, expected: str) -> None:
    """One test fails, and says exactly this."""
    result = run(source)
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    begin = text.index(" test_it _") if " test_it _" in text else 0
    said = text[text.index("\n", begin) + 1 : text.index("=====", begin)]
    assert re.sub(r"\.py:\d+", ".py:N", said.split("-----", 1)[0].rstrip()) == expected.strip("\n")


NOTHING_QUEUED = """
providers.openai got a request that no answer is queued for
  POST https://api.openai.com/v1/chat/completions
  model gpt-5, streamed, 2 messages, tools refund
  the last message (user): 'refund order 7'
  it is call 2; 1 answer was queued
  queue one more: providers.openai.replies('...')
"""


def test_an_exhausted_queue_fails_the_test_although_the_code_swallowed_it(run: Any) -> None:
    failed(
        run,
        """
        import httpx2

        def ask():
            body = {"model": "gpt-5", "stream": True, "messages": [
                {"role": "system", "content": "Be kind."}, {"role": "user", "content": "refund order 7"}],
                "tools": [{"type": "function", "function": {"name": "refund", "parameters": {}}}]}
            return httpx2.post("https://api.openai.com/v1/chat/completions", json=body)

        def test_it(providers):
            providers.openai.replies("hello")
            assert [ask().status_code, ask().status_code] == [200, 501]
        """,
        NOTHING_QUEUED,
    )


UNKNOWN_PATH = """
providers.openai has no answer to this request
  GET https://api.openai.com/v1/models?limit=***
  it answers POST https://api.openai.com/v1 with /chat/completions, /responses, /embeddings
  mock anything else with respx
"""


def test_an_unknown_path(run: Any) -> None:
    failed(
        run,
        """
        import httpx

        def test_it(providers):
            assert httpx.get("https://api.openai.com/v1/models?limit=3").status_code == 501
        """,
        UNKNOWN_PATH,
    )


WRONG_BASE = """
providers.openai has no answer to this request
  POST https://api.openai.com/chat/completions
  it answers POST https://api.openai.com/v1 with /chat/completions, /responses, /embeddings
  did you mean https://api.openai.com/v1/chat/completions? The client's base URL seems to be wrong
"""


def test_a_wrong_base_url_is_guessed(run: Any) -> None:
    failed(
        run,
        """
        import httpx

        def test_it(providers):
            assert httpx.post("https://api.openai.com/chat/completions").status_code == 501
        """,
        WRONG_BASE,
    )


BROKEN_REPLIER = """
providers.anthropic.at('https://llm.example.com') could not make an answer: AssertionError: no such order
    assert 8 == 7
  POST https://llm.example.com/v1/messages
  model claude, 1 message
  the last message (user): 'Hi'
  raised at test_it.py:N: assert 8 == 7, "no such order"
"""


def test_an_answers_function_that_raises(run: Any) -> None:
    failed(
        run,
        """
        import httpx

        def answer(call):
            assert 8 == 7, "no such order"

        def test_it(providers):
            providers.anthropic.at("https://llm.example.com").replies(answer)
            body = {"model": "claude", "messages": [{"role": "user", "content": "Hi"}]}
            assert httpx.post("https://llm.example.com/v1/messages", json=body).status_code == 501
        """,
        BROKEN_REPLIER,
    )


def test_the_error_that_the_client_sees_says_it_too_and_is_not_retried(run: Any) -> None:
    result = run(
        """
        import openai

        def test_it(providers):
            client = openai.OpenAI(api_key="key", max_retries=5)
            try:
                client.responses.create(model="gpt-5", input="Hi")
            finally:
                assert len(providers.openai.calls) == 1
        """
    )
    result.assert_outcomes(failed=1)
    text = "providers.openai got a request that no answer is queued for"
    result.stdout.fnmatch_lines(
        [f"*openai.InternalServerError: Error code: 501 - *{text}*", "*Captured weaver call*", text]
    )


def test_a_test_that_skips_itself_fails_all_the_same(run: Any) -> None:
    result = run(
        """
        import httpx

        def test_it(providers):
            httpx.get("https://api.openai.com/v1/models")
            pytest.skip("offline")
        """
    )
    result.assert_outcomes(failed=1)


def test_what_happens_in_the_tear_down_is_an_error(run: Any) -> None:
    result = run(
        """
        import httpx

        @pytest.fixture
        def late(providers):
            yield
            httpx.get("https://api.openai.com/v1/models")

        def test_it(late): ...
        def test_next(): ...
        """
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", "providers.openai has no answer to this request"])


def test_without_the_extra_the_fixture_says_which(run: Any) -> None:
    result = run(
        """
        import sys

        def test_it(request, monkeypatch):
            monkeypatch.setitem(sys.modules, "respx", None)
            request.getfixturevalue("providers")
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["the fixture 'providers' needs the extra 'fakes': pip install 'weaver-ai[[]testing,fakes]'"]
    )


# Instrumentation


@pytest.fixture
def instrumented() -> Iterator[None]:
    instrumentors = [HTTPXClientInstrumentor(), HTTPX2ClientInstrumentor()]
    for instrumentor in instrumentors:
        instrumentor.instrument()
    yield
    for instrumentor in reversed(instrumentors):
        instrumentor.uninstrument()


class _Server(http.server.BaseHTTPRequestHandler):
    """A real answer, to compare a mocked one with."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(429)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class names it so
        pass


@pytest.fixture
def real_url() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_http_client_spans_are_those_of_production(
    spans: Spans, providers: Providers, library: Any, asynchronous: bool, real_url: str
) -> None:
    def post() -> None:
        library.post(f"{real_url}/chat/completions", json=BODY)

    async def apost() -> None:
        async with library.AsyncClient() as client:
            await client.post(f"{real_url}/chat/completions", json=BODY)

    def ask() -> None:
        run_async(apost) if asynchronous else post()

    ask()
    provider = providers.openai.at(real_url)
    ask_mocked = provider.replies(provider.error(429, "Slow down."))
    ask()
    real, mocked = spans.all(kind="client")
    assert len(ask_mocked.calls) == 1
    assert (mocked.name, mocked.status, dict(mocked.attributes)) == (real.name, real.status, dict(real.attributes))
    assert len(mocked.attributes) > 2
    assert provider.calls[0].headers["traceparent"].split("-")[1:3] == [mocked.trace_id, mocked.span_id]


@pytest.fixture
def instrumented_agents() -> Iterator[None]:
    Agent.instrument_all()
    yield
    Agent.instrument_all(False)


@pytest.mark.usefixtures("instrumented", "instrumented_agents")
async def test_agents_leave_their_whole_trace(spans: Spans, providers: Providers) -> None:
    providers.openai.replies(tool_call("refund", order=7), structured({"refunded": 7}))
    model = OpenAIChatModel("gpt-5", provider=OpenAIProvider(api_key="key"))
    agent = Agent(model, output_type=Refunded, name="billing")

    @agent.tool_plain
    def refund(order: int) -> str:
        return f"refunded {order}"

    result = await agent.run("refund order 7")
    assert result.output == Refunded(refunded=7)
    first, second = spans.all("chat gpt-5")
    posts = spans.all("POST")
    assert [post.parent_id for post in posts] == [first.span_id, second.span_id]
    assert [span.name for span in spans.all("execute_tool *")][:1] == ["execute_tool refund"]
    assert spans.one("invoke_agent billing").span_id == first.parent_id
    sent = [call.usage for call in providers.openai.calls]
    assert [(each.input, each.output) for each in sent if each] == [
        (span.attributes["gen_ai.usage.input_tokens"], span.attributes["gen_ai.usage.output_tokens"])
        for span in (first, second)
    ]
    assert providers.openai.calls[1].messages[-1].text == "refunded 7"


async def test_a_fallback_model_is_asked_when_the_first_one_fails(providers: Providers) -> None:
    from pydantic_ai.models.fallback import FallbackModel

    providers.openai.replies(providers.openai.error(500, "Broken."))
    providers.anthropic.replies("Here I am.")
    first = OpenAIChatModel(
        "gpt-5", provider=OpenAIProvider(openai_client=openai.AsyncOpenAI(api_key="key", max_retries=0))
    )
    second = AnthropicModel(
        "claude-x", provider=AnthropicProvider(anthropic_client=anthropic.AsyncAnthropic(api_key="key"))
    )
    result = await Agent(FallbackModel(first, second)).run("Hi")
    assert result.output == "Here I am."
    assert [call.provider for call in providers.calls] == ["providers.openai", "providers.anthropic"]


# What an edge can do


def broken(call: Call, go: Any) -> Reply:
    raise Broken("ConnectTimeout", "timed out")


def broken_midway(call: Call, go: Any) -> Reply:
    reply: Reply = go()

    def pieces() -> Iterator[bytes]:
        yield b"data: {}\n\n"
        raise Broken("ReadError", "connection reset")

    reply.pieces = pieces()
    return reply


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_failures_are_of_the_clients_own_class(providers: Providers, library: Any, asynchronous: bool) -> None:
    def post() -> None:
        library.post(CHAT, json=BODY)

    async def apost() -> None:
        async with library.AsyncClient() as client:
            await client.post(CHAT, json=BODY)

    providers.openai.always("Hello.")
    for edge, error in ((broken, library.ConnectTimeout), (broken_midway, library.ReadError)):
        remove = providers.openai.intercept(edge)
        with pytest.raises(error) as caught:
            run_async(apost) if asynchronous else post()
        assert str(caught.value) == ("timed out" if edge is broken else "connection reset")
        assert caught.value.request.url == CHAT
        remove()
    assert library.post(CHAT, json=BODY).status_code == 200


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("backend", [None, "asyncio", "trio"])
def test_a_slow_answer_meets_the_clients_read_timeout(providers: Providers, library: Any, backend: str | None) -> None:
    def slow(call: Call, go: Any) -> Reply:
        reply: Reply = go()
        reply.pieces = [Pause(30), *reply.pieces]
        return reply

    async def apost() -> None:
        async with library.AsyncClient(timeout=0.01) as client:
            await client.post(CHAT, json=BODY)

    providers.openai.always("Hello.")
    providers.openai.intercept(slow)
    with pytest.raises(library.ReadTimeout, match=r"^timed out$"):
        run_async(apost, backend=backend) if backend else library.post(CHAT, json=BODY, timeout=0.01)


async def test_a_slow_answer_lets_others_run(providers: Providers) -> None:
    def slow(call: Call, go: Any) -> Reply:
        reply: Reply = go()
        reply.delay = 0.05
        return reply

    providers.openai.always("Hello.")
    providers.openai.intercept(slow)
    order: list[str] = []

    async def ask() -> None:
        async with httpx2.AsyncClient() as client:
            await client.post(CHAT, json=BODY)
            order.append("answered")

    import anyio

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await sleep(0.01)
        order.append("meanwhile")
    assert order == ["meanwhile", "answered"]


# Faults


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("arm", "error"),
    [
        (lambda faults: faults.openai.timeout(), "ConnectTimeout"),
        (lambda faults: faults.openai.timeout("read"), "ReadTimeout"),
        (lambda faults: faults.openai.refused(), "ConnectError"),
        (lambda faults: faults.openai.reset(), "ReadError"),
        (lambda faults: faults.openai.reset(midway=True), "ReadError"),
        (lambda faults: faults.openai.truncated(), "RemoteProtocolError"),
        (lambda faults: faults.openai.slow(9), "ReadTimeout"),
    ],
)
def test_faults_strike_where_the_provider_answers(
    providers: Providers, faults: Any, library: Any, asynchronous: bool, arm: Any, error: str
) -> None:
    def post() -> Any:
        return library.post(CHAT, json=BODY, timeout=0.01)

    async def apost() -> Any:
        async with library.AsyncClient(timeout=0.01) as client:
            return await client.post(CHAT, json=BODY)

    providers.openai.always("Hello.")
    with arm(faults), pytest.raises(getattr(library, error)):
        run_async(apost) if asynchronous else post()
    answer = run_async(apost) if asynchronous else post()
    assert answer.json()["choices"][0]["message"]["content"] == "Hello."
    assert [call.timeouts["read"] for call in providers.openai.calls] == [0.01, 0.01]


def test_a_fault_of_one_provider_leaves_the_other_alone(providers: Providers, faults: Any) -> None:
    providers.anthropic.replies("Here I am.")
    faults.openai.status(429, retry_after=2)
    refused = httpx.post(CHAT, json=BODY)
    messages = httpx2.post("https://api.anthropic.com/v1/messages", json=BODY)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    assert messages.json()["content"][0]["text"] == "Here I am."


def test_a_fault_strikes_a_provider_at_another_address(providers: Providers, faults: Any) -> None:
    providers.openai.at("https://llm.example.com").replies("Hello.")
    with faults.openai.status(500):
        assert httpx.post("https://llm.example.com/v1/chat/completions", json=BODY).status_code == 500
    assert httpx.post("https://llm.example.com/v1/chat/completions", json=BODY).status_code == 200


# Recording


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_client_that_goes_away_is_seen(providers: Providers, library: Any) -> None:
    providers.openai.always("A sentence that is long enough for several pieces.")
    for leave in (True, False):
        with library.Client() as client, client.stream("POST", CHAT, json={**BODY, "stream": True}) as answer:
            pieces = answer.iter_raw()
            next(pieces)
            if not leave:
                list(pieces)
    assert [call.abandoned for call in providers.openai.calls] == [True, False]


def test_a_body_that_is_no_json_is_the_callers_fault(providers: Providers) -> None:
    answer = httpx.post(CHAT, content=b"{broken")
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        400,
        "We could not parse the JSON body of your request.",
    )
    assert providers.openai.calls[0].body is None


def test_queued_counts_what_nobody_asked_for(providers: Providers) -> None:
    from weaver_ai.testing.fakes import embedding

    providers.openai.replies("one", "two", embedding([1.0]))
    httpx.post(CHAT, json=BODY)
    assert providers.openai.queued == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (42, "42"),
        (None, "None"),
        (b"Hi", "b'Hi'"),
        ({"order": 7}, "{'order': 7}; as a value that the request asks for: structured({'order': 7})"),
    ],
)
@pytest.mark.parametrize("verb", ["replies", "always"])
def test_what_is_no_answer_is_refused_where_it_is_queued(
    providers: Providers, verb: str, given: object, said: str
) -> None:
    with pytest.raises(TypeError) as refused:
        getattr(providers.openai, verb)(given)
    assert str(refused.value) == (
        f"providers.openai.{verb} takes text, says(...), tool_call(...), structured(...), embedding(...), "
        f"an error(...) or a function of the call; got {said}"
    )
    assert providers.openai.queued == 0


def test_an_error_that_was_made_and_not_queued_is_told(providers: Providers) -> None:
    error = providers.openai.error(429, "Slow down.")
    assert httpx.post(CHAT, json=BODY).status_code == 501
    providers.openai.replies(error, lambda _: providers.openai.error(500, "Oh."))
    assert [httpx.post(CHAT, json=BODY).status_code for _ in range(3)] == [429, 500, 501]
    first, last = providers.take_complaints()
    hint = "  error(...) makes an answer and queues none: providers.openai.replies(providers.openai.error(...))"
    assert (first[-1], hint in last) == (hint, False)


def test_base_urls_are_checked(providers: Providers) -> None:
    with pytest.raises(ValueError, match=r"^a base URL begins with https:// or http:// and a host; got 'localhost:1'$"):
        providers.openai.at("localhost:1")
    providers.openai.at("https://llm.example.com")
    with pytest.raises(ValueError, match=r"^'https://llm.example.com' already speaks the dialect of openai$"):
        providers.anthropic.at("https://llm.example.com")


def test_the_longest_base_url_answers(providers: Providers) -> None:
    providers.openai.at("https://llm.example.com").replies("outer")
    providers.openai.at("https://llm.example.com/team/v1").replies("inner")
    said = [
        httpx.post(f"https://llm.example.com{path}/chat/completions", json=BODY).json()["choices"][0]["message"]
        for path in ("/team/v1", "/teams/v1")
    ]
    assert [message["content"] for message in said] == ["inner", "outer"]


# Beside other mocks


def test_routes_of_respx_stand_beside_them(providers: Providers, respx_mock: respx.MockRouter) -> None:
    respx_mock.get("https://example.com/").respond(204)
    respx_mock.get("https://api.openai.com/v1/models").respond(json={"data": []})
    providers.openai.replies("Hello.")
    assert httpx.get("https://example.com/").status_code == 204
    assert httpx.get("https://api.openai.com/v1/models").json() == {"data": []}
    assert httpx.post(CHAT, json=BODY).status_code == 200


def test_routes_that_came_first_do_too(respx_mock: respx.MockRouter, request: pytest.FixtureRequest) -> None:
    respx_mock.get("https://example.com/").respond(204)
    providers: Providers = request.getfixturevalue("providers")
    providers.openai.replies("Hello.")
    assert httpx.get("https://example.com/").status_code == 204
    assert httpx.post(CHAT, json=BODY).status_code == 200


def test_routes_of_pytest_httpx2_stand_beside_them(providers: Providers, httpx2_mock: respx.MockRouter) -> None:
    httpx2_mock.get("https://example.com/").respond(204)
    providers.openai.replies("Hello.")
    assert httpx2.get("https://example.com/").status_code == 204
    assert httpx2.post(CHAT, json=BODY).status_code == 200

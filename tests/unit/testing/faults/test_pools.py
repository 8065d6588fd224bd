"""Faults below httpx and httpx2, with nothing else in between: no fake, no network."""

import contextlib
import time

import httpx
import httpx2
import pytest
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor

from tests.fixtures.provider_server import ProviderServer
from weaver_ai.testing.faults import fault
from weaver_ai.testing.faults.clock import frozen
from weaver_ai.testing.faults.session import faults_of

pytest_plugins = ["tests.fixtures.providers"]

LIBRARIES = [httpx, httpx2]
URL = "https://api.openai.com/v1/chat/completions"
ASKED = {"model": "gpt-5", "messages": []}
RAISED = [
    (fault.openai.timeout(), "ConnectTimeout", "timed out"),
    (fault.openai.timeout("read"), "ReadTimeout", "timed out"),
    (fault.openai.timeout("write"), "WriteTimeout", "timed out"),
    (fault.openai.timeout("pool"), "PoolTimeout", "timed out"),
    (fault.openai.refused(), "ConnectError", "[Errno 111] Connection refused"),
    (fault.openai.reset(), "ReadError", "[Errno 104] Connection reset by peer"),
    (fault.openai.reset(midway=True), "ReadError", "[Errno 104] Connection reset by peer"),
    (
        fault.openai.truncated(),
        "RemoteProtocolError",
        "peer closed connection without sending complete message body (incomplete chunked read)",
    ),
]


@pytest.fixture
def faults():
    with faults_of("test", 1, {}) as armed:
        yield armed


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def library(request):
    return request.param


def ids(rows):
    return [row[0].id for row in rows]


@pytest.mark.parametrize(("spec", "error", "message"), RAISED, ids=ids(RAISED))
def test_a_client_raises_its_own_class(faults, library, spec, error, message):
    with faults.arm(spec), library.Client() as client, pytest.raises(getattr(library, error)) as raised:
        client.post(URL, json=ASKED)
    assert type(raised.value).__module__.partition(".")[0] == library.__name__
    assert str(raised.value) == message
    assert str(raised.value.request.url) == URL


@pytest.mark.parametrize(("spec", "error", "message"), RAISED, ids=ids(RAISED))
async def test_an_async_client_does_too(faults, library, spec, error, message):
    with faults.arm(spec):
        async with library.AsyncClient() as client:
            with pytest.raises(getattr(library, error)) as raised:
                await client.post(URL, json=ASKED)
    assert type(raised.value).__module__.partition(".")[0] == library.__name__
    assert str(raised.value) == message


def test_a_status_has_the_providers_body_and_headers(faults, library):
    faults.openai.status(429, retry_after=2.5)
    faults.anthropic.status(529)
    with library.Client() as client:
        limited = client.post(URL, json=ASKED)
        overloaded = client.post("https://api.anthropic.com/v1/messages", json=ASKED)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2.5")
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    assert (overloaded.status_code, "retry-after" in overloaded.headers) == (529, False)
    assert overloaded.json()["error"]["type"] == "overloaded_error"


def test_a_bad_key_is_refused_in_the_providers_words(faults, library):
    faults.openai.bad_key()
    with library.Client() as client:
        answer = client.post(URL, json=ASKED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def read(client, url, seen):
    with client.stream("POST", url, json={**ASKED, "stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for piece in answer.iter_bytes():
            seen.append(piece)  # what came before it broke counts


async def read_async(client, url, seen):
    async with client.stream("POST", url, json={**ASKED, "stream": True}) as answer:
        async for piece in answer.aiter_bytes():
            seen.append(piece)  # as above


def test_a_stream_breaks_after_its_first_events(faults, library):
    faults.openai.reset(midway=True)
    seen = []
    with library.Client() as client, pytest.raises(library.ReadError):
        read(client, URL, seen)
    assert len(seen) == 1
    assert seen[0].startswith(b'data: {"id": "chatcmpl-fault"')


async def test_an_async_stream_does_too(faults, library):
    faults.openai.truncated()
    seen = []
    async with library.AsyncClient() as client:
        with pytest.raises(library.RemoteProtocolError):
            await read_async(client, URL, seen)
    assert len(seen) == 1


def test_slow_is_a_timeout_where_the_client_waits_less(faults, library):
    faults.openai.slow(30)
    began = time.perf_counter()
    with library.Client(timeout=0.05) as client, pytest.raises(library.ReadTimeout):
        client.post(URL, json=ASKED)
    assert 0.05 <= time.perf_counter() - began < 20


def test_slow_is_the_answer_later_where_it_waits_long_enough(faults, library, provider_server: ProviderServer):
    provider_server.openai.always("yes")
    faults.at("openai", provider_server.openai.base_url)
    slow = faults.openai.slow(0.1)
    began = time.perf_counter()
    with library.Client() as client:
        answer = client.post(f"{provider_server.openai.base_url}/chat/completions", json=ASKED)
    assert (answer.status_code, slow.hits) == (200, 1)
    assert time.perf_counter() - began >= 0.1
    assert len(provider_server.openai.requests) == 1


def test_with_a_controlled_clock_slow_and_timeouts_take_none(faults, library):
    began = time.perf_counter()
    with frozen() as clock:
        before = clock.monotonic()
        with library.Client(timeout=600) as client:
            with faults.openai.timeout("read"), pytest.raises(library.ReadTimeout):
                client.post(URL, json=ASKED)
            assert clock.monotonic() - before == pytest.approx(600)
            with faults.openai.slow(900), pytest.raises(library.ReadTimeout):
                client.post(URL, json=ASKED)
            assert clock.monotonic() - before == pytest.approx(1200)
    assert time.perf_counter() - began < 60


def test_a_local_servers_answer_is_cut_in_half(faults, library, provider_server: ProviderServer):
    provider_server.openai.always("a sentence that is long enough to be cut somewhere in its middle")
    faults.at("openai", provider_server.openai.base_url)
    faults.openai.truncated()
    seen = []
    with library.Client() as client, pytest.raises(library.RemoteProtocolError):
        read(client, f"{provider_server.openai.base_url}/chat/completions", seen)
    assert b"".join(seen).startswith(b"data: ")
    assert b"[DONE]" not in b"".join(seen)


def test_on_call_lets_the_others_pass(faults, library, provider_server: ProviderServer):
    provider_server.openai.always("yes")
    faults.at("openai", provider_server.openai.base_url)
    faults.openai.status(500).on_call(2)
    url = f"{provider_server.openai.base_url}/chat/completions"
    with library.Client() as client:
        assert [client.post(url, json=ASKED).status_code for _ in range(3)] == [200, 500, 200]


@pytest.mark.parametrize(
    ("target", "url", "hit"),
    [
        ("api.example.com", "https://api.example.com/a", True),
        ("api.example.com", "https://api.example.com:8443/a", True),
        ("api.example.com:8443", "https://api.example.com:8443/a", True),
        ("api.example.com:8443", "http://127.0.0.1:9/a", False),
        ("https://api.example.com/v1", "https://api.example.com/v1/a", True),
        ("https://api.example.com/v1", "https://api.example.com/v1?b", True),
        ("https://api.example.com/v1", "https://api.example.com/v10", False),
    ],
)
def test_any_other_server_by_host_or_base_url(faults, library, target, url, hit):
    armed = faults.http(target).status(503)
    with library.Client() as client, contextlib.suppress(library.ConnectError):
        if hit:
            assert client.get(url).status_code == 503
        else:
            with faults.http(url.split("/")[2]).refused():  # so that nothing leaves
                client.get(url)
    assert armed.hits == hit


def test_a_fault_of_one_provider_leaves_the_other(faults, library):
    openai = faults.openai.refused()
    faults.anthropic.status(500)
    with library.Client() as client:
        assert client.post("https://api.anthropic.com/v1/messages", json=ASKED).status_code == 500
    assert openai.calls == 0


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
def test_spans_are_those_of_production(spans, faults, library):
    instrumentor = {httpx: HTTPXClientInstrumentor, httpx2: HTTPX2ClientInstrumentor}[library]()
    instrumentor.instrument()
    try:
        faults.openai.timeout().on_call(1)
        faults.openai.status(503).on_call(2)
        with library.Client() as client:
            with pytest.raises(library.ConnectTimeout):
                client.post(URL, json=ASKED)
            client.post(URL, json=ASKED)
    finally:
        instrumentor.uninstrument()
    timeout, refused = spans.all("POST", kind="client")
    assert (timeout.status.code, timeout.status.description) == ("error", "ConnectTimeout: timed out")
    assert refused.status.code == "error"
    named = ("http.response.status_code", "http.status_code")  # by the conventions that this process opted into
    assert 503 in [refused.attributes.get(name) for name in named]


def test_with_the_last_fault_lifted_the_pools_are_as_they_were(library):
    core = __import__({httpx: "httpcore", httpx2: "httpcore2"}[library])
    before = core.ConnectionPool.handle_request, core.AsyncConnectionPool.handle_async_request
    with faults_of("test", 1, {}) as faults:
        faults.openai.timeout()
        assert core.ConnectionPool.handle_request is not before[0]
    assert (core.ConnectionPool.handle_request, core.AsyncConnectionPool.handle_async_request) == before


def test_the_environments_base_url_is_the_provider_too():
    with faults_of("test", 1, {"OPENAI_BASE_URL": "http://proxy.internal/v1"}) as faults, httpx2.Client() as client:
        faults.openai.status(500)
        assert client.post("http://proxy.internal/v1/chat/completions", json=ASKED).status_code == 500


def test_a_redis_fault_without_a_redis_says_what_is_missing(faults):
    with pytest.raises(RuntimeError) as raised:
        faults.redis.down()
    assert str(raised.value) == (
        "faults.redis needs the fixture fake_redis in the same test, set up before the fault is armed: "
        "without it nothing stands between the clients and their server"
    )

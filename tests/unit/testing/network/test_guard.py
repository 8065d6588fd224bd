"""The guard without pytest: what it lets through, what it stops, what it says, and that nothing stays behind."""

from __future__ import annotations

import _socket
import asyncio
import http.client
import multiprocessing.connection
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx
import httpx2
import pytest
import requests
import respx
import trio
import urllib3
import uvloop
from opentelemetry.sdk.trace import TracerProvider

from weaver_ai.testing.network.allowed import AllowedHosts
from weaver_ai.testing.network.guard import Frame, Guard, NetworkBlocked, Violation, violation_lines

FOREIGN = "192.0.2.7"  # RFC 5737: never anybody's
PROXY = "http://127.0.0.1:9"


@pytest.fixture
def guard() -> Iterator[Guard]:
    with Guard() as guard:
        yield guard


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class names it so
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def said(guard: Guard) -> list[tuple[str, str]]:
    return [(violation.verb, violation.target) for violation in guard.take()]


# HTTP clients


def _httpx(url: str) -> None:
    httpx.post(url)


def _httpx2(url: str) -> None:
    httpx2.post(url)


def _requests(url: str) -> None:
    requests.post(url, timeout=1)


def _urllib3(url: str) -> None:
    urllib3.PoolManager(retries=False).request("POST", url)


def _urllib(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method="POST"))  # noqa: S310 - it never gets there


def _anyio(client: Any) -> Any:
    async def post(url: str) -> None:
        async with client() as opened:
            await opened.post(url)

    return post


CLIENTS = [
    pytest.param(_httpx, httpx.ConnectError, id="httpx"),
    pytest.param(_httpx2, httpx2.ConnectError, id="httpx2"),
    pytest.param(_requests, requests.ConnectionError, id="requests"),
    pytest.param(_urllib3, urllib3.exceptions.HTTPError, id="urllib3"),
    pytest.param(_urllib, OSError, id="urllib"),
    pytest.param(lambda url: anyio.run(_anyio(httpx.AsyncClient), url), httpx.ConnectError, id="httpx on asyncio"),
    pytest.param(
        lambda url: anyio.run(_anyio(httpx.AsyncClient), url, backend="trio"), httpx.ConnectError, id="httpx on trio"
    ),
    pytest.param(
        lambda url: anyio.run(_anyio(httpx2.AsyncClient), url, backend="trio"), httpx2.ConnectError, id="httpx2 on trio"
    ),
    pytest.param(lambda url: uvloop.run(_anyio(httpx2.AsyncClient)(url)), httpx2.ConnectError, id="httpx2 on uvloop"),
    pytest.param(lambda url: asyncio.run(_anyio(aiohttp.ClientSession)(url)), aiohttp.ClientError, id="aiohttp"),
    pytest.param(
        lambda url: uvloop.run(_anyio(aiohttp.ClientSession)(url)), aiohttp.ClientError, id="aiohttp on uvloop"
    ),
]


@pytest.mark.parametrize(("client", "error"), CLIENTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["api.example.com", FOREIGN, "[2001:db8::7]:8443"])
def test_each_client_is_stopped_by_an_error_of_its_own(
    guard: Guard, client: Any, error: type[Exception], scheme: str, host: str
) -> None:
    with pytest.raises(error, match="weaver's network guard stopped POST"):
        client(f"{scheme}://{host}/v1/things?key=hunter2")
    assert said(guard) == [("POST", f"{scheme}://{host}/v1/things?key=***")]


@pytest.mark.parametrize(("client", "error"), CLIENTS[:5])
def test_a_proxy_on_this_machine_is_no_way_out(
    guard: Guard, monkeypatch: pytest.MonkeyPatch, client: Any, error: type[Exception]
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, PROXY)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it is made once, with the proxies of that time
    for scheme in ("http", "https"):
        with pytest.raises(error):
            client(f"{scheme}://api.example.com/v1") if client is not _urllib3 else urllib3.ProxyManager(
                PROXY, retries=False
            ).request("POST", f"{scheme}://api.example.com/v1")
    assert said(guard) == [("POST", "http://api.example.com/v1"), ("POST", "https://api.example.com/v1")]


def test_a_connection_that_was_open_before_is_no_way_out(server: _Server) -> None:
    class Nothing:
        def reach(self, host: str) -> bool:
            return False  # what is loopback here is foreign in life

        name = reach

    with httpx.Client() as one, httpx2.Client() as two, requests.Session() as three:
        plain = http.client.HTTPConnection("127.0.0.1", server.server_port)
        with closing(plain):
            for client in (one, two, three):
                client.get(server.url)
            plain.request("GET", "/")
            plain.getresponse().read()
            with Guard(Nothing()) as guard:  # type: ignore[arg-type]
                for client in (one, two, three):
                    with pytest.raises((httpx.ConnectError, httpx2.ConnectError, requests.ConnectionError)):
                        client.get(server.url)
                with pytest.raises(NetworkBlocked):
                    plain.request("GET", "/")
    assert said(guard) == [("GET", f"{server.url}/")] * 4


# Below HTTP


async def _open_asyncio(host: str) -> None:
    await asyncio.open_connection(host, 5432)


async def _open_anyio(host: str) -> None:
    await anyio.connect_tcp(host, 5432)


async def _open_trio(host: str) -> None:
    await trio.open_tcp_stream(host, 5432)


@pytest.mark.parametrize(
    "connect",
    [
        pytest.param(lambda host: socket.create_connection((host, 5432)), id="create_connection"),
        pytest.param(lambda host: asyncio.run(_open_asyncio(host)), id="asyncio"),
        pytest.param(lambda host: uvloop.run(_open_asyncio(host)), id="uvloop"),
        pytest.param(lambda host: anyio.run(_open_anyio, host), id="anyio"),
        pytest.param(lambda host: anyio.run(_open_anyio, host, backend="trio"), id="anyio on trio"),
        pytest.param(lambda host: trio.run(_open_trio, host), id="trio"),
    ],
)
def test_connections_by_name_and_by_address(guard: Guard, connect: Any) -> None:
    with pytest.raises(OSError):  # each library wraps it its own way
        connect("db.example.com")
    assert said(guard)[0] in [("resolve", "db.example.com"), ("connect", "db.example.com:5432")]
    with pytest.raises(OSError):
        connect(FOREIGN)
    assert said(guard)[0] == ("connect", f"{FOREIGN}:5432")


def test_connect_and_connect_ex_and_datagrams(guard: Guard) -> None:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        for attempt in (
            lambda: stream.connect((FOREIGN, 80)),
            lambda: stream.connect_ex((FOREIGN, 81)),
            lambda: stream.connect(("localhost", 0)),
            lambda: datagram.sendto(b"x", (FOREIGN, 82)),
            lambda: datagram.sendmsg([b"x"], [], 0, (FOREIGN, 83)),
            lambda: datagram.connect((FOREIGN, 84)),
        ):
            with pytest.raises(ConnectionRefusedError):  # the kernel's own, of the third
                attempt()
    assert said(guard) == [
        ("connect", f"{FOREIGN}:80"),
        ("connect", f"{FOREIGN}:81"),
        ("send to", f"{FOREIGN}:82"),
        ("send to", f"{FOREIGN}:83"),
        ("connect", f"{FOREIGN}:84"),
    ]


@pytest.mark.parametrize(
    "resolve",
    [
        lambda: socket.getaddrinfo("db.example.com", 80),
        lambda: socket.gethostbyname("db.example.com"),
        lambda: socket.gethostbyname_ex("db.example.com"),
        lambda: socket.gethostbyaddr("db.example.com"),
        lambda: socket.getaddrinfo(b"db.example.com", None),
    ],
)
def test_names_are_not_asked_for(guard: Guard, resolve: Any) -> None:
    with pytest.raises(NetworkBlocked, match=r"weaver's network guard stopped resolve db\.example\.com$"):
        resolve()
    assert said(guard) == [("resolve", "db.example.com")]


@pytest.mark.parametrize(
    "resolve",
    [
        lambda: socket.gethostbyaddr(FOREIGN),
        lambda: socket.getnameinfo((FOREIGN, 80), 0),
        lambda: asyncio.run(_name_of((FOREIGN, 80))),
    ],
    ids=["gethostbyaddr", "getnameinfo", "asyncio"],
)
def test_names_of_addresses_are_not_asked_for(guard: Guard, resolve: Any) -> None:
    with pytest.raises(NetworkBlocked):
        resolve()
    assert said(guard) == [("resolve", FOREIGN)]


def _connect_in_c(address: tuple[str, int]) -> None:
    sock = _socket.socket()
    try:
        sock.connect(address)
    finally:
        sock.close()


async def _name_of(address: tuple[str, int]) -> None:
    await asyncio.get_running_loop().getnameinfo(address)


@pytest.mark.parametrize(
    ("send", "stopped"),
    [
        (lambda: smtplib.SMTP("mail.example.com"), ("resolve", "mail.example.com")),
        (lambda: multiprocessing.connection.Client((FOREIGN, 25)), ("connect", f"{FOREIGN}:25")),
        (lambda: ssl.get_server_certificate((FOREIGN, 443)), ("connect", f"{FOREIGN}:443")),
        (lambda: _connect_in_c((FOREIGN, 80)), ("connect", f"{FOREIGN}:80")),
        (lambda: _socket.getaddrinfo("c.example.com", 80), ("resolve", "c.example.com")),
    ],
    ids=["smtplib", "multiprocessing", "ssl", "the C socket", "the C look-up"],
)
def test_no_part_of_the_standard_library_is_a_way_out(
    guard: Guard, send: Callable[[], object], stopped: tuple[str, str]
) -> None:
    with pytest.raises(NetworkBlocked):
        send()
    assert said(guard) == [stopped]


def test_datagrams_of_an_endpoint_that_is_not_connected_are_stopped(guard: Guard) -> None:
    async def send() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        transport.sendto(b"x", (FOREIGN, 9))
        transport.close()

    asyncio.run(send())
    assert said(guard) == [("send to", f"{FOREIGN}:9")]


# What stays possible


@pytest.mark.parametrize("client", [httpx.get, httpx2.get, requests.get, urllib.request.urlopen])
def test_servers_on_loopback_are_reached(guard: Guard, server: _Server, client: Any) -> None:
    answer = client(server.url)
    assert getattr(answer, "status_code", None) or answer.status == 200
    getattr(answer, "close", lambda: None)()
    assert said(guard) == []


def test_servers_can_be_started(guard: Guard) -> None:
    with _Server() as server, socket.create_server(("0.0.0.0", 0)) as everywhere:  # noqa: S104 - that is the case
        assert server.server_name
        with socket.create_connection(("0.0.0.0", everywhere.getsockname()[1])):  # noqa: S104 - it means loopback
            everywhere.accept()[0].close()
    assert said(guard) == []


def test_unix_sockets_are_reached_whatever_host_they_name(guard: Guard, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        listening.settimeout(5)
        transport = httpx.HTTPTransport(uds=path)

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with httpx.Client(transport=transport) as client:
            assert client.get("http://docker/version").status_code == 204
        thread.join()
    assert said(guard) == []


def test_subprocesses_are_left_alone(guard: Guard) -> None:
    done = subprocess.run([sys.executable, "-c", "print('ran')"], capture_output=True, text=True, check=True)
    assert done.stdout == "ran\n"
    assert said(guard) == []


@pytest.mark.parametrize(
    ("listed", "reached", "not_reached"),
    [
        ([], ["localhost", "app.localhost", "127.1.2.3", "::1", "::", "::ffff:127.0.0.1", socket.gethostname()],
         ["example.com", "10.0.0.1", "2001:db8::1", "localhost.example.com"]),
        (["db.example.com"], ["db.example.com", "DB.example.com.", "127.0.0.1"], ["example.com", "a.db.example.com"]),
        (["*.example.com"], ["db.example.com", "a.b.example.com"], ["example.com"]),
        (["10.0.0.0/8", "2001:db8::1"], ["10.2.3.4", "2001:db8::1"], ["11.0.0.1", "2001:db8::2"]),
    ],
)  # fmt: skip
def test_allowed_hosts(listed: list[str], reached: list[str], not_reached: list[str]) -> None:
    allowed = AllowedHosts(listed)
    assert [host for host in reached if not allowed.reach(host)] == []
    assert [host for host in not_reached if allowed.reach(host)] == []


@pytest.mark.parametrize("entry", ["https://example.com", "example.com:443", "", "a b"])
def test_an_entry_that_is_no_host(entry: str) -> None:
    with pytest.raises(ValueError, match=f"^{entry!r} is no host name, address or network$"):
        AllowedHosts([entry])


def test_addresses_of_an_allowed_name_are_reached() -> None:
    allowed = AllowedHosts(["db.example.com"])
    allowed.learn("db.example.com", [FOREIGN])
    allowed.learn("other.example.com", ["192.0.2.8"])
    assert (allowed.reach(FOREIGN), allowed.reach("192.0.2.8")) == (True, False)


def test_an_allowed_name_is_learned_where_it_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (FOREIGN, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *arguments, **options: found)
    allowed = AllowedHosts(["db.example.com"])
    with Guard(allowed):
        assert socket.getaddrinfo("db.example.com", 80) == found
    assert allowed.reach(FOREIGN)


# Nothing stays behind


def _edges() -> dict[str, object]:
    import httpcore._async.connection_pool
    import httpcore._sync.connection_pool
    import httpcore2._async.connection_pool
    import httpcore2._sync.connection_pool

    places: list[tuple[Any, str]] = [
        (httpcore._sync.connection_pool.ConnectionPool, "handle_request"),
        (httpcore._async.connection_pool.AsyncConnectionPool, "handle_async_request"),
        (httpcore2._sync.connection_pool.ConnectionPool, "handle_request"),
        (httpcore2._async.connection_pool.AsyncConnectionPool, "handle_async_request"),
        (http.client.HTTPConnection, "putrequest"),
        (urllib3.connectionpool.HTTPConnectionPool, "urlopen"),
        (aiohttp.TCPConnector, "connect"),
        (asyncio.BaseEventLoop, "getaddrinfo"),
        (trio.socket, "getaddrinfo"),
        (sys.modules["trio._highlevel_open_tcp_stream"], "getaddrinfo"),
        (uvloop.Loop, "create_connection"),
        (uvloop.Loop, "getaddrinfo"),
        (uvloop.Loop, "sock_connect"),
        (uvloop.Loop, "create_datagram_endpoint"),
        (socket, "getaddrinfo"),
    ]
    found: dict[str, object] = {f"{place!r}.{name}": getattr(place, name) for place, name in places}
    return {**found, "meta_path": list(sys.meta_path)}


def test_everything_is_put_back() -> None:
    before = _edges()
    with Guard():
        inside = _edges()
        assert [name for name in before if before[name] == inside[name]] == []
    assert _edges() == before


def test_guards_nest_and_the_innermost_decides() -> None:
    with Guard() as outer:
        with Guard(AllowedHosts([FOREIGN])) as inner, socket.socket() as sock:
            sock.setblocking(False)
            assert sock.connect_ex((FOREIGN, 80)) != 0
        with pytest.raises(NetworkBlocked), socket.socket() as sock:
            sock.connect((FOREIGN, 81))
    assert (said(outer), said(inner)) == ([("connect", f"{FOREIGN}:81")], [])


def test_guards_may_end_in_any_order() -> None:
    before = _edges()
    first, second = Guard(), Guard()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with pytest.raises(httpx.ConnectError):
        httpx.get("https://example.com")
    second.__exit__(None, None, None)
    assert (said(first), said(second)) == ([], [("GET", "https://example.com/")])
    assert _edges() == before


def test_it_stands_below_mocks_that_came_before_it_and_outlive_it() -> None:
    before = _edges()
    with respx.mock(assert_all_called=False) as mock:
        mock.get("https://example.com/").respond(204)
        mock.get("https://example.org/").pass_through()
        with Guard() as guard:
            assert httpx.get("https://example.com/").status_code == 204
            with pytest.raises(httpx.ConnectError):
                httpx.get("https://example.org/")
        assert httpx.get("https://example.com/").status_code == 204
    assert said(guard) == [("GET", "https://example.org/")]
    assert _edges() == before


def test_clients_that_are_imported_later_are_seen() -> None:
    code = """
import sys
from weaver_ai.testing.network.guard import Guard
assert not {"httpcore", "aiohttp", "urllib3"} & set(sys.modules)
with Guard() as guard:
    import asyncio, httpx, httpx2, requests, aiohttp, inspect
    for post in (httpx.post, httpx2.post, requests.post):
        try: post("https://example.com/a")
        except OSError: pass
        except (httpx.ConnectError, httpx2.ConnectError): pass
    async def main():
        async with aiohttp.ClientSession() as session:
            await session.post("https://example.com/a")
    try: asyncio.run(main())
    except aiohttp.ClientError: pass
assert inspect.getsource(aiohttp.connector)
assert "Finder" not in repr(sys.meta_path) or not [f for f in sys.meta_path if "weaver" in type(f).__module__]
print([violation.target for violation in guard.take()])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{['https://example.com/a'] * 4}\n", "")


# What it says


def test_a_violation_knows_its_span_its_thread_and_its_line(guard: Guard) -> None:
    tracer = TracerProvider().get_tracer("test")

    def attempt() -> None:
        with tracer.start_as_current_span("chat gpt-5"), pytest.raises(httpx.ConnectError):
            httpx.get("https://example.com")

    thread = threading.Thread(target=attempt, name="worker-1")
    thread.start()
    thread.join()
    (violation,) = guard.take()
    assert (violation.span, violation.thread) == ("chat gpt-5", "worker-1")
    last = violation.stack[-1]
    assert (last.function, last.source) == ("attempt", 'httpx.get("https://example.com")')
    assert last.file == str(Path(__file__).relative_to(Path.cwd()))


FRAMES = (Frame("app.py", 7, "ask", "client.post(url)"),)
ONE = """\
network guard: 1 request would have left this process

POST https://api.openai.com/v1/chat/completions (2 times)
  in span 'chat gpt-5'
  app.py:7 in ask
    client.post(url)
  to answer it: the fixture providers, providers.openai.replies('...')

to let it through, in the ini file: weaver_network_allow = api.openai.com"""
TWO = """\
network guard: 2 requests would have left this process

POST https://llm.example.com/team/v1/messages
  in no span, thread 'worker-1'
  app.py:7 in ask
    client.post(url)
  to answer it: providers.anthropic.at('https://llm.example.com/team/v1').replies('...')

connect 10.0.0.1:5432
  in no span

to let it through, in the ini file: weaver_network_allow = llm.example.com 10.0.0.1"""


@pytest.mark.parametrize(
    ("violations", "expected"),
    [
        ([Violation("POST", "https://api.openai.com/v1/chat/completions", "api.openai.com", "chat gpt-5", None, FRAMES)]
         * 2, ONE),
        ([Violation("POST", "https://llm.example.com/team/v1/messages", "llm.example.com", None, "worker-1", FRAMES),
          Violation("connect", "10.0.0.1:5432", "10.0.0.1", None, None, ())], TWO),
    ],
    ids=["one, twice", "two"],
)  # fmt: skip
def test_messages(violations: list[Violation], expected: str) -> None:
    assert "\n".join(violation_lines(violations)) == expected

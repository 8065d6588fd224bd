"""The receiver: a small HTTP server in threads of its own."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final, Self, TypeAlias, get_args

from weaver_ai.receiver.answers import CONTENT_TYPES, accepted, failed
from weaver_ai.receiver.body import CODINGS, Refused, read_body, unzipped
from weaver_ai.receiver.delivery import Delivery, Encoding, Signal, read_delivery
from weaver_ai.spans.otlp import InvalidOtlp

__all__ = ["OtlpReceiver", "Take"]

Take: TypeAlias = Callable[[str, Delivery], None]
"""Given what arrived, and the path before `/v1/...` that it was sent to. Called in the thread of the request."""

_LIMIT: Final = 64 * 1024 * 1024
_PATIENCE: Final = 10.0  # seconds that a client may be silent within a request
_SIGNALS: Final[tuple[Signal, ...]] = get_args(Signal)
_OTHER_PROTOCOLS: Final[Mapping[bytes, str]] = {
    b"PRI * HTTP/2": "this is HTTP/2, as gRPC speaks it; OTLP is taken over HTTP/1.1: "
    "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or take the HTTP exporter in code",
    b"\x16\x03": "this is TLS; OTLP is taken over plain HTTP: the endpoint begins with http://",
}


class OtlpReceiver:
    """Takes OTLP over HTTP on `POST <prefix>/v1/traces`, `/v1/logs` and `/v1/metrics`, from `start` to `stop`.

    Args:
        take: called with each request that was read, before it is answered; KeyError means that there is no such
            prefix.
        host: the address to listen on.
        port: 0 for a free one.
        limit: bytes that a body may have, and once more uncompressed.

    Attributes:
        refusals: the status and the reason of each request that was not taken.
    """

    def __init__(self, take: Take, *, host: str = "127.0.0.1", port: int = 0, limit: int = _LIMIT) -> None:
        self._http = _Server((host, port), take, limit)
        self.refusals = self._http.refusals
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.05,), name="weaver-otlp-receiver", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://{self._http.server_address[0]!s}:{self.port}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Break off what is under way, and wait until no thread is left."""
        self._http.shutdown()
        self._thread.join()
        self._http.hang_up()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # `server_close` waits for them
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], take: Take, limit: int) -> None:
        super().__init__(address, _Handler)
        self.take = take
        self.limit = limit
        self.refusals: list[str] = []
        self._connections: set[socket.socket] = set()

    def server_bind(self) -> None:
        """Without the base class's search for the host's name, which may ask the network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in tuple(self._connections):
            with suppress(OSError):  # its thread was quicker
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone, as a killed process is, isn't worth a word; anything else is a bug of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One request a connection, so that no thread waits for a client that may never come back."""

    server: _Server
    raw_requestline: bytes  # of the base class, which doesn't declare it
    protocol_version = "HTTP/1.1"
    server_version = "weaver-ai"
    sys_version = ""
    timeout = _PATIENCE

    def do_POST(self) -> None:
        encoding: Encoding = "protobuf"
        try:
            encoding = self._encoding()
            prefix, signal = self._asked()
            body = self._body()
            delivery = read_delivery(signal, encoding, body)
            self._hand_over(prefix, delivery)
        except Refused as refused:
            self._refuse(refused, encoding)
        except InvalidOtlp as error:
            self._refuse(Refused(400, str(error)), encoding)
        else:
            self._answer(200, accepted(signal, encoding, delivery.wrong), encoding)

    def _refuse_method(self) -> None:
        self._refuse(Refused(405, f"{self.command} is not POST", {"Allow": "POST"}), "protobuf")

    do_GET = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = _refuse_method  # noqa: N815 # as above

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class names it so
        """Say nothing: what arrives is recorded, what is wrong with it is answered."""

    def _asked(self) -> tuple[str, Signal]:
        path = self.path.partition("?")[0]
        for signal in _SIGNALS:
            if path.endswith(f"/v1/{signal}"):
                return path.removesuffix(f"/v1/{signal}"), signal
        raise Refused(404, f"there is nothing at {path:.80}; OTLP goes to /v1/traces, /v1/logs and /v1/metrics")

    def _encoding(self) -> Encoding:
        sent = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        for encoding, content_type in CONTENT_TYPES.items():
            if sent == content_type:
                return encoding
        known = " and ".join(CONTENT_TYPES.values())
        raise Refused(
            415, f"Content-Type {sent!r:.60} is not known; OTLP is {known}", {"Accept": known.replace(" and ", ", ")}
        )

    def _body(self) -> bytes:
        coding = self.headers.get("content-encoding", "identity").strip().lower()
        if coding not in {*CODINGS, "identity"}:
            known = ", ".join(CODINGS)
            raise Refused(
                415,
                f"Content-Encoding {coding!r:.40} is not known; {known} and identity are",
                {"Accept-Encoding": known},
            )
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = read_body(self.rfile, headers, self.server.limit)
        return body if coding == "identity" else unzipped(body, coding, self.server.limit)

    def _hand_over(self, prefix: str, delivery: Delivery) -> None:
        try:
            self.server.take(prefix, delivery)
        except KeyError:
            raise Refused(404, f"nobody receives at {prefix:.80}") from None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """As for what the base class can't read, as the first line of gRPC."""
        for began, spoken in _OTHER_PROTOCOLS.items():
            if self.raw_requestline.startswith(began):
                message = spoken
        self.server.refusals.append(f"{int(code)} {message or 'the request is not HTTP/1.1'}")
        super().send_error(code, message, explain)

    def _refuse(self, refused: Refused, encoding: Encoding) -> None:
        self.server.refusals.append(f"{refused.status} {refused}")
        self._answer(refused.status, failed(encoding, str(refused)), encoding, refused.headers)
        self._let_finish()

    def _answer(self, status: int, body: bytes, encoding: Encoding, headers: Mapping[str, str] | None = None) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPES[encoding])
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _let_finish(self) -> None:
        """Read what the client still sends, up to a limit: closed before, it would see a reset and not the answer."""
        self.wfile.flush()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(1.0)
            for _ in range(1024):
                if not self.rfile.read1(65536):
                    break

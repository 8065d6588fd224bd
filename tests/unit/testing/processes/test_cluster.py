"""When a gateway counts as ready, without the service."""

from __future__ import annotations

import http.server
import threading
import urllib.request
from pathlib import Path

import pytest

from weaver_ai.testing.processes.cluster import _is_ready
from weaver_ai.testing.processes.process import Process


class _Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_no_proxy_of_the_shell_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "_opener", None)  # which keeps the proxies that it found first
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with http.server.HTTPServer(("127.0.0.1", 0), _Ready) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            assert _is_ready(Process("gateway 1", [], {}, tmp_path / "log", _is_ready, url=url))
        finally:
            server.shutdown()
            thread.join()

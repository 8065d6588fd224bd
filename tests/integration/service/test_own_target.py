"""A user's own agents: the example of the documentation, served, and what goes wrong with a target."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fixtures.gateway import ROOT, Gateway, run_weaver
from tests.fixtures.otlp_receiver import OtlpReceiver
from tests.fixtures.traced import Caller

pytest_plugins = ["tests.fixtures.providers"]

EXAMPLE = ROOT / "examples" / "own_agents.py"


def test_the_example_is_short() -> None:
    code = [line for line in EXAMPLE.read_text().splitlines() if line.strip()]
    assert len(code) < 20


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, receiver: OtlpReceiver):
    """The example, served from its own folder as its docstring says."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / EXAMPLE.name).write_text(EXAMPLE.read_text())
    with Gateway(folder, receiver.env, ["own_agents:weaver"]) as gateway:
        yield gateway


def test_the_example_runs_offline_and_is_traced(shop: Gateway, receiver: OtlpReceiver) -> None:
    service = Caller(shop, receiver)
    response, trace = service.post("/v1/agents/stock/run", {"input": "Count the stock of the item lamp."})
    body = response.json()
    assert response.status_code == 200, body
    assert [(call["name"], call["arguments"], call["result"]) for call in body["tool_calls"]] == [
        ("count_stock", {"item": "lamp"}, 12)
    ]
    assert "12" in body["text"]
    assert body["offline"] is True
    assert trace.one("execute_tool count_stock").status.code == "unset"


def test_the_banner_says_what_was_chosen_and_has_a_curl_that_works(shop: Gateway) -> None:
    import shlex
    import subprocess

    banner = shop.output
    backend = "logfire" if find_spec("logfire") else "opentelemetry"
    for text in ("own_agents:weaver", "stock", "embedded", backend, "offline", shop.url, "/docs"):
        assert text in banner
    command = next(line.strip() for line in banner.splitlines() if line.strip().startswith("curl "))
    answer = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=20, check=True)
    assert '"kind":"agent"' in answer.stdout.replace(" ", "")
    assert len(banner.splitlines()) < 25


def test_the_line_that_a_newcomer_copies_works(keyless: Caller) -> None:
    import json
    import shlex
    import subprocess

    line = keyless.gateway.wait_for_line("  curl ").strip()
    answer = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=20, check=True)
    body = json.loads(answer.stdout)
    assert (body["name"], body["kind"], body["offline"]) == ("support", "workflow", True)
    assert "Order 7 (espresso machine) is refunded" in body["text"]
    assert any("offline" in printed for printed in keyless.gateway.lines_with("  models "))


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        (None, "no_such_module:weaver", "there is no module 'no_such_module'"),
        ("weaver = 1", "own:weaver", "not a Weaver"),
        ("raise RuntimeError('on purpose')", "own:weaver", "RuntimeError: on purpose"),
    ],
)
def test_a_target_that_cannot_be_served_is_one_readable_line(
    tmp_path: Path, source: str | None, target: str, says: str
) -> None:
    if source is not None:
        (tmp_path / "own.py").write_text(source)
    ended = run_weaver("serve", target, "--port", "0", cwd=tmp_path)
    assert ended.returncode != 0
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) <= 2


def test_uvicorn_serves_the_app_by_its_documented_name(start_gateway, tmp_path: Path) -> None:
    (tmp_path / EXAMPLE.name).write_text(EXAMPLE.read_text())
    command = [sys.executable, "-m", "uvicorn", "weaver_ai.gateway:app", "--port", "{port}"]
    gateway = start_gateway({"WEAVER_TARGET": "own_agents:weaver"}, command=command)
    body = gateway.post("/v1/agents/stock/run", {"input": "Count the stock of the item lamp."}).json()
    assert (body["offline"], body["tool_calls"][0]["result"]) == (True, 12)
    assert gateway.stop() in (0, -signal.SIGTERM)  # uvicorn ends by the signal that it got, once it has shut down

"""What README.md and docs/gateway.md tell a reader to paste works against a gateway as a newcomer starts it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from typing import Any

import pytest

from tests.fixtures.gateway import ROOT, Gateway
from tests.fixtures.traced import Caller

pytest_plugins = ["tests.fixtures.providers"]

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "gateway.md").read_text(encoding="utf-8")
CURL = re.compile(r"^ *(?:\$ )?(curl (?:[^\n]*\\\n)*[^\n]*)$", re.MULTILINE)
ADDRESS = "http://127.0.0.1:8000"
VOLATILE = re.compile(r" +\d+(?:\.\d+)? m?s\b|^\d\d:\d\d:\d\d\.\d{3} ")


def curl(command: str, gateway: Gateway) -> str:
    assert ADDRESS in command
    arguments = shlex.split(command.replace("\\\n", " ").replace(ADDRESS, gateway.url))
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def test_the_readme_shows_the_trace_of_its_curl_line(keyless: Caller) -> None:
    (command,) = CURL.findall(README)
    (shown,) = re.findall(r"^```text\n(\d\d:.*?)\n```$", README, re.MULTILINE | re.DOTALL)
    expected = [VOLATILE.sub("", line).strip() for line in shown.splitlines()]
    before = len(keyless.gateway.output)
    assert json.loads(curl(command, keyless.gateway))["offline"] is True
    deadline = time.monotonic() + 30
    while (printed := lines_after(keyless.gateway, before)[: len(expected)]) != expected:
        assert time.monotonic() < deadline, printed
        time.sleep(0.05)


def lines_after(gateway: Gateway, before: int) -> list[str]:
    return [VOLATILE.sub("", line).strip() for line in gateway.output[before:].splitlines()]


def test_a_task_is_accepted_as_shown(keyless: Caller) -> None:
    (command,) = CURL.findall(PAGE)
    status, *headers = curl(command, keyless.gateway).splitlines()
    assert status == "HTTP/1.1 202 Accepted"
    assert any(re.fullmatch(r"location: /v1/tasks/[0-9a-f]{32}", header) for header in headers)


def test_the_openai_client_is_answered(keyless: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert ADDRESS in code
    made: dict[str, Any] = {}
    exec(code.replace(ADDRESS, keyless.gateway.url), made)  # noqa: S102 # the page's own example
    made["client"].close()
    assert capsys.readouterr().out.startswith("[offline model] Order 7 (espresso machine) is refunded: 249.00 EUR. ")


def test_the_problem_shown_is_the_one_that_is_answered(keyless: Caller) -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    expected = json.loads(shown)
    answer = keyless.gateway.post(expected["instance"], {"input": "refund order 7"})
    body = answer.json()
    varies = ("request_id", "trace_id")
    assert {
        **body,
        **{name: expected[name] for name in varies},
        "error": {**body["error"], "message": "..."},
    } == expected

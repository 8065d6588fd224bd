"""The guard around tests: what they are told, and when."""

from __future__ import annotations

import re
from typing import Any

import pytest

SWALLOWED = """
import httpx, httpx2, threading
from opentelemetry import trace

def ask(url):
    try:
        httpx.post(url)
    except Exception:
        return "fallback"
"""
EXPECTED = """\
network guard: 1 request would have left this process

POST https://llm.example.com/v1/chat/completions?api-version=***
  in span 'invoke_agent billing'
  test_it.py:N in test_it
    assert ask("https://me:hunter2@llm.example.com/v1/chat/completions?api-version=2") == "fallback"
  test_it.py:N in ask
    httpx.post(url)
  to answer it: providers.openai.at('https://llm.example.com/v1').replies('...')

to let it through, in the ini file: weaver_network_allow = llm.example.com
"""


def said(result: pytest.RunResult) -> str:
    """What stands below the name of the failed test, without line numbers."""
    lines = result.stdout.lines
    begin = next(number for number, line in enumerate(lines) if re.fullmatch(r"_+ (ERROR at .* of )?test_it _+", line))
    end = next(number for number, line in enumerate(lines) if number > begin and re.match(r"[-=_]{5}", line))
    return re.sub(r"\.py:\d+", ".py:N", "\n".join(lines[begin + 1 : end]) + "\n")


TEST = """
{head}
def test_it({fixture}):
    with TracerProvider().get_tracer("t").start_as_current_span("invoke_agent billing"):
        assert ask("https://me:hunter2@llm.example.com/v1/chat/completions?api-version=2") == "fallback"

def test_next({fixture}): ...
"""


@pytest.mark.parametrize(("fixture", "options"), [("providers", []), ("", ["-o", "weaver_network=guard"])])
def test_a_swallowed_violation_fails_its_test(run: Any, fixture: str, options: list[str]) -> None:
    result = run(TEST.format(head=SWALLOWED, fixture=fixture), *options)
    result.assert_outcomes(failed=1, passed=1)
    assert said(result) == EXPECTED
    assert "hunter2" not in result.stdout.str().replace('ask("https://me:hunter2@', "")


def test_without_guard_nothing_is_watched(run: Any) -> None:
    source = SWALLOWED + "\ndef test_it():\n    assert ask('http://127.0.0.1:1') == 'fallback'\n"
    result = run(source + "    import sys; assert 'weaver_ai.testing.network.guard' not in sys.modules")
    result.assert_outcomes(passed=1)


def test_off_is_off_with_providers_too(run: Any) -> None:
    source = """
    import sys

    def test_it(providers):
        from weaver_ai.testing.network import edges
        assert edges._gates == []
    """
    run(source, "-o", "weaver_network=off").assert_outcomes(passed=1)


def test_allowed_hosts(run: Any) -> None:
    source = """
    import socket

    def test_it(providers):
        with socket.socket() as one:
            one.setblocking(False)
            assert one.connect_ex(("192.0.2.7", 80)) != 0
    """
    run(source, "-o", "weaver_network_allow=192.0.2.0/24 *.example.com").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("weaver_network=on", "ERROR: weaver_network is 'guard' or 'off', not 'on'"),
        (
            "weaver_network_allow=https://example.com",
            "ERROR: weaver_network_allow: 'https://example.com' is no host name, address or network",
        ),
    ],
)
def test_wrong_values(run: Any, option: str, message: str) -> None:
    result = run("def test_it(): ...", "-o", "weaver_network=guard", "-o", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("plugins", "decorator", "options"),
    [
        (["pytest_asyncio.plugin"], "@pytest.mark.asyncio", ["-o", "asyncio_default_fixture_loop_scope=function"]),
        (["anyio.pytest_plugin"], "@pytest.mark.anyio", []),
    ],
    ids=["pytest-asyncio", "anyio on asyncio and trio"],
)
def test_async_tests(run: Any, plugins: list[str], decorator: str, options: list[str]) -> None:
    source = f"""
import anyio, httpx2

async def ask():
    async with httpx2.AsyncClient() as client:
        try:
            await client.get("https://example.com/a")
        except httpx2.ConnectError:
            pass

{decorator}
async def test_it(providers):
    async with anyio.create_task_group() as group:
        group.start_soon(ask)

{decorator}
async def test_next(providers): ...
"""
    result = run(source, *options, plugins=plugins)
    count = 2 if "anyio" in plugins[0] else 1
    result.assert_outcomes(failed=count, passed=count)
    result.stdout.fnmatch_lines(["GET https://example.com/a", "  in no span", "  test_it.py:* in ask"])


def test_a_test_that_failed_anyway_keeps_its_own_failure(run: Any) -> None:
    source = SWALLOWED + "\ndef test_it(providers):\n    ask('https://example.com')\n    assert 1 == 2\n"
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 1 == 2", "*Captured weaver call*", "network guard: 1 request would*"])


def test_a_violation_while_a_fixture_is_set_up_fails_the_test_that_asked_for_it(run: Any) -> None:
    source = SWALLOWED + (
        "\n@pytest.fixture(scope='module')\ndef service():\n    ask('https://example.com')\n"
        "\ndef test_it(service): ...\ndef test_next(service): ...\n"
    )
    result = run(source, "-o", "weaver_network=guard")
    result.assert_outcomes(failed=1, passed=1)


def test_a_violation_while_a_fixture_is_torn_down_is_an_error(run: Any) -> None:
    source = SWALLOWED + (
        "\n@pytest.fixture\ndef service():\n    yield\n    ask('https://example.com')\n\ndef test_it(service): ...\n"
    )
    result = run(source, "-o", "weaver_network=guard")
    result.assert_outcomes(passed=1, errors=1)
    assert "\nPOST https://example.com/\n" in said(result)


def test_workers_of_xdist(run: Any) -> None:
    source = SWALLOWED + "\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it(n):\n    ask('https://example.com')\n"
    result = run(source, "-n", "2", "-o", "weaver_network=guard", plugins=["xdist"])
    result.assert_outcomes(failed=2)


def test_a_session_inside_a_session(run: Any) -> None:
    source = (
        SWALLOWED
        + """
pytest_plugins = ["pytester"]

def test_inner(pytester, providers):
    pytester.makepyfile('''
import httpx
def test_it(providers):
    providers.openai.at("https://llm.example.com").replies("Hello.")
    body = {"model": "m", "input": "Hi"}
    assert httpx.post("https://llm.example.com/responses", json=body).status_code == 200
    try: httpx.get("https://inner.example.com")
    except httpx.HTTPError: pass
''')
    result = pytester.runpytest_inprocess("-p", "weaver_ai.pytest_plugin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["GET https://inner.example.com/"])
    providers.openai.replies("Hello.")
    assert httpx.post("https://api.openai.com/v1/responses", json={"model": "m", "input": "Hi"}).status_code == 200
    ask("https://outer.example.com")
"""
    )
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["network guard: 1 request would have left this process", "", "POST https://outer*"])


def test_a_session_that_uses_none_of_it_loads_none_of_it(run: Any) -> None:
    result = run(
        """
        import sys

        def test_it():
            loaded = [name for name in sys.modules if name.startswith("weaver_ai.testing.") and name.split(".")[2] in
                      {"guard", "guarded", "edges", "allowed", "verdicts", "urls", "fakes"}]
            assert loaded == []
            assert not {"respx", "httpx", "httpx2", "httpcore", "httpcore2"} & set(sys.modules)
        """
    )
    result.assert_outcomes(passed=1)

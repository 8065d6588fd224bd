"""README.md is run as a reader pastes it: each Python block into the file that it names, all of them in one folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[3] / "README.md"
BLOCK = re.compile(r"^```python\n# (?P<file>\w+\.py)\n(?P<code>.*?)^```\n", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"^```text\n(?P<text>ExpectationFailed: .*?)^```\n", re.MULTILINE | re.DOTALL)
TIME = re.compile(r" *\b\d+(\.\d+)?(µs|ms)(?=[\s),]|$)")

# What `weaver serve shop:weaver` does, without a server.
ASK = """
import httpx2
import shop
from weaver_ai.gateway import create_app
from weaver_ai.settings import load_settings


async def test_own_agents(spans):
    app = create_app(load_settings(), shop.weaver)
    transport = httpx2.ASGITransport(app)
    client = httpx2.AsyncClient(transport=transport, base_url="http://shop")
    async with app.router.lifespan_context(app), client:
        answer = await client.post("/v1/workflows/ask/run", json={"input": "count the stock of the article lamp"})
    assert answer.status_code == 200
    assert spans.one("workflow ask").tools == ["count_stock"]
"""


def blocks() -> dict[str, str]:
    return {match["file"]: match["code"] for match in BLOCK.finditer(README.read_text(encoding="utf-8"))}


def test_each_python_block_names_its_file() -> None:
    assert list(blocks()) == ["test_shop.py", "conftest.py", "test_desk.py", "shop.py"]
    assert len(blocks()) == README.read_text(encoding="utf-8").count("```python")


@pytest.fixture
def printed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a reader's pytest prints of them, with what the README tells him to set."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "LOGFIRE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for file, code in {**blocks(), "test_ask.py": ASK}.items():
        pytester.path.joinpath(file).write_text(code, encoding="utf-8")
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = pytester.runpytest_subprocess(
        *(
            "-p",
            "weaver_ai.pytest_plugin",
            "-p",
            "pytest_asyncio.plugin",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            "-rA",
        )
    )
    result.assert_outcomes(passed=2, failed=1)
    return result.stdout.str()


def test_it_runs_and_fails_as_it_says(printed: str) -> None:
    assert "PASSED test_desk.py::test_refund" in printed
    assert "PASSED test_ask.py::test_own_agents" in printed
    output = without_times("\n".join(line.removeprefix("E      ").strip() for line in printed.splitlines()))
    (said,) = SAID.findall(README.read_text(encoding="utf-8"))
    assert without_times("\n".join(line.strip() for line in said.splitlines())) in output


def without_times(text: str) -> str:
    return TIME.sub(" <time>", text)

"""examples/fallback: its tests pass, and fail as its README promises when a fallback is taken away."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "fallback"
MODEL_FALLBACK = """\
        try:
            text = ask(LARGE, question)
        except FAILED:
            text = ask(SMALL, question)
"""
WRONG_ORDER = """\
        try:
            text = ask(SMALL, question)
        except FAILED:
            text = ask(SMALL, question)
"""
CACHE_FALLBACK = """\
            return known_answers.get(question)
        except redis.RedisError as error:
"""


class Example:
    """A copy of the example that can be changed and run."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        self._service = pytester.path / "answers" / "service.py"

    def replace(self, old: str, new: str) -> None:
        source = self._service.read_text(encoding="utf-8")
        assert source.count(old) == 1, "the example has changed; change this test with it"
        self._service.write_text(source.replace(old, new), encoding="utf-8")

    def run(self, *arguments: str) -> pytest.RunResult:
        plugins = ("-p", "weaver_ai.pytest_plugin", "-p", "no:cacheprovider")
        return self._pytester.runpytest_subprocess(*plugins, "-W", "error", *arguments)


@pytest.fixture
def example(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Example:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    return Example(pytester)


def test_it_knows_nothing_of_weaver() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (EXAMPLE / "answers").glob("*.py"))
    assert "import weaver" not in sources
    assert "from weaver" not in sources


def test_it_passes(example: Example) -> None:
    assert example.run().parseoutcomes() == {"passed": 17}


def test_without_the_small_model_every_fault_reaches_the_caller(example: Example) -> None:
    example.replace(MODEL_FALLBACK, "        text = ask(LARGE, question)\n")
    result = example.run("--tb=line")
    assert result.parseoutcomes() == {"failed": 12, "passed": 5}
    result.stdout.fnmatch_lines(
        [
            "*openai.APITimeoutError: Request timed out.",
            "FAILED tests/test_answers.py::test_the_small_model_steps_in[[]openai-timeout-on-call-1[]]*",
            "FAILED tests/test_answers.py::test_both_at_once*",
        ]
    )


def test_a_fallback_that_is_none_gives_right_answers_and_fails_by_its_trace(example: Example) -> None:
    example.replace(MODEL_FALLBACK, WRONG_ORDER)
    result = example.run("-k", "small_model_steps_in and status-500")
    assert result.parseoutcomes() == {"failed": 1, "deselected": 16}
    promised = _block_of_the_readme("```text\n")
    assert promised.count("\n") == 2
    assert all(line in result.stdout.str() for line in promised.splitlines()), result.stdout.str()
    assert WRONG_ORDER in (EXAMPLE / "README.md").read_text(encoding="utf-8")


def test_without_the_cache_fallback_a_redis_that_is_down_is_everybodys_failure(example: Example) -> None:
    example.replace(CACHE_FALLBACK, CACHE_FALLBACK.replace("redis.RedisError", "ZeroDivisionError"))
    result = example.run("--tb=line", "-k", "without_its_cache")
    assert result.parseoutcomes() == {"failed": 2, "passed": 2, "deselected": 13}
    result.stdout.fnmatch_lines(
        [
            "*redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connection refused.",
            "*redis.exceptions.TimeoutError: Timeout reading from socket",
            "FAILED tests/test_answers.py::test_it_goes_on_without_its_cache[[]redis-down[]]*",
            "FAILED tests/test_answers.py::test_it_goes_on_without_its_cache[[]redis-slow-5s[]]*",
        ]
    )


def _block_of_the_readme(opening: str) -> str:
    return (EXAMPLE / "README.md").read_text(encoding="utf-8").partition(opening)[2].partition("```")[0]

"""examples/downstream: its tests pass, and so does the one that its README has for a reader's own repository."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "downstream"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
TIME = re.compile(r" *\b\d+(\.\d+)?(µs|ms)(?=[\s),]|$)")


@pytest.fixture
def example(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A copy of it, with the README's test in a file of its own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (pytester.path / "tests" / "test_first.py").write_text(code, encoding="utf-8")
    return pytester


def run(example: pytest.Pytester) -> pytest.RunResult:
    return example.runpytest_subprocess("-p", "weaver_ai.pytest_plugin", "-p", "no:cacheprovider", "-W", "error")


def test_it_passes(example: pytest.Pytester) -> None:
    assert run(example).parseoutcomes() == {"passed": 4}


def test_broken_as_the_readme_says_it_says_why(example: pytest.Pytester) -> None:
    (broken,) = re.findall(r"\(`(spans\.one.*?)`\)", README)
    (shown,) = re.findall(r"^```text\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    file = example.path / "tests" / "test_first.py"
    file.write_text(re.sub(r"spans\.one\(.*\)", broken, file.read_text(encoding="utf-8")), encoding="utf-8")
    result = run(example)
    assert result.parseoutcomes() == {"passed": 3, "failed": 1}
    printed = TIME.sub("", "\n".join(line.removeprefix("E").strip() for line in result.outlines))
    assert TIME.sub("", "\n".join(line.strip() for line in shown.splitlines())) in printed

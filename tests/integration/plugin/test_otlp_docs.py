"""docs/otlp.md is run: each Python block is a test file, and the text after one what its report says."""

from __future__ import annotations

import ast
import builtins
import re
import shutil
from pathlib import Path

import pytest

from tests.integration.plugin.conftest import Run

PAGE = Path(__file__).parents[3] / "docs" / "otlp.md"
_BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<text>.*?)^```\n)?", re.MULTILINE | re.DOTALL)
BLOCKS = [(match["code"], match["text"]) for match in _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def test_the_page_has_its_examples() -> None:
    assert len(BLOCKS) == 4


@pytest.mark.parametrize("code", [code for code, _ in BLOCKS], ids=range(1, len(BLOCKS) + 1))
def test_an_example_has_all_its_imports(code: str) -> None:
    """The run below has some of its own."""
    known, used = set(dir(builtins)), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.alias):
            known.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.FunctionDef):
            known.add(node.name)
        elif isinstance(node, ast.arg):
            known.add(node.arg)
        elif isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else known).add(node.id)
    assert used <= known


@pytest.mark.parametrize(("code", "text"), BLOCKS, ids=range(1, len(BLOCKS) + 1))
@pytest.mark.timeout(240)  # the last one starts the service
def test_example(run: Run, code: str, text: str | None) -> None:
    if "weaver_cluster" in code and shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    result = run(code)
    result.assert_outcomes(passed=1, errors=0 if text is None else 1)
    assert (text or "") in result.stdout.str()

"""docs/providers.md is run: each Python block is a test file, and the text after one is what its failure says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"
_BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<text>.*?)^```\n)?", re.MULTILINE | re.DOTALL)
BLOCKS = [(match["code"], match["text"]) for match in _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def test_the_page_has_its_examples() -> None:
    assert [text is not None for _, text in BLOCKS] == [False, False, False, True, True]


@pytest.mark.parametrize(("code", "text"), BLOCKS)
def test_example(run: Any, code: str, text: str | None) -> None:
    result = run(code)
    if text is None:
        result.assert_outcomes(passed=1)
        return
    result.assert_outcomes(failed=1)
    assert text in re.sub(r"test_it\.py:\d+", "test_it.py:N", result.stdout.str())

"""docs/faults.md and docs/redis.md are run: each Python block is a test file, and the text after one its failure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.plugin.conftest import Run

DOCS = Path(__file__).parents[3] / "docs"
_BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<text>.*?)^```\n)?", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(match["code"], match["text"], id=f"{page}-{number}")
    for page in ("faults", "redis")
    for number, match in enumerate(_BLOCK.finditer((DOCS / f"{page}.md").read_text(encoding="utf-8")), 1)
]


def test_the_pages_have_their_examples() -> None:
    assert len(BLOCKS) == 10


@pytest.mark.parametrize(("code", "text"), BLOCKS)
def test_example(run: Run, code: str, text: str | None) -> None:
    result = run(code)
    outcomes = result.parseoutcomes()
    if text is None:
        assert set(outcomes) == {"passed"}, result.stdout.str()
        return
    assert outcomes == {"failed": 1}
    assert text in result.stdout.str()

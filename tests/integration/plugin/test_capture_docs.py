"""Every Python example of the pages on capturing is a test file that passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.plugin.conftest import Run

DOCS = Path(__file__).parents[3] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = [
    pytest.param(block, id=f"{page}-{number}")
    for page in ("capture.md", "migrating.md")
    for number, block in enumerate(BLOCK.findall((DOCS / page).read_text(encoding="utf-8")), 1)
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 7


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_runs(run: Run, example: str) -> None:
    options = ["-o", "weaver_grace=0", "-W", "ignore"]
    outcomes = run(example, *options, plugins=["logfire.testing"] if "capfire" in example else []).parseoutcomes()
    assert outcomes.keys() <= {"passed"}
    assert outcomes["passed"] == example.count("def test_")

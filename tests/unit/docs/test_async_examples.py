"""Where a reader meets the first async test, it says what runs one: pytest alone doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_what_an_async_test_needs_is_said_before_it(page: str) -> None:
    before, example, _ = (ROOT / page).read_text(encoding="utf-8").partition("\nasync def test_")
    assert example
    assert 'asyncio_mode = "auto"' in before
    assert "@pytest.mark.anyio" in before

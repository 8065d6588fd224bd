"""docs/settings.md is made from the settings."""

from __future__ import annotations

from docs.make_settings import PAGE, page


def test_the_page_is_made_from_the_settings() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m docs.make_settings"

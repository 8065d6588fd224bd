"""Every page is found from docs/README.md, and every link within the repository leads to something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = [
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "changes/*.md")
    for path in sorted(ROOT.glob(pattern))
]
LINK = re.compile(r"\[[^\]\n]*\]\((?P<to>[^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    """Each link to another place of the repository: the file, and the heading in it, if one is named."""
    for match in LINK.finditer(CODE.sub("``", page.read_text(encoding="utf-8"))):
        if "://" not in match["to"]:
            name, _, heading = match["to"].partition("#")
            yield (page.parent / name).resolve() if name else page, heading


def anchors_of(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", match["text"].lower()).replace(" ", "-") for match in HEADING.finditer(text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_each_link_leads_somewhere(page: Path) -> None:
    for target, heading in links_of(page):
        assert target.exists(), f"{page.name} leads to {target}"
        if heading:
            assert heading in anchors_of(target), f"{page.name} leads to #{heading} of {target.name}"


def test_each_page_is_found_from_the_index() -> None:
    listed = {target for target, _ in links_of(DOCS / "README.md")}
    of_decisions = set((DOCS / "decisions").glob("*.md"))  # the index has their folder
    assert DOCS / "decisions" in listed
    assert set(DOCS.rglob("*.md")) - of_decisions - {DOCS / "README.md"} <= listed


def test_the_readme_leads_to_the_index() -> None:
    assert DOCS / "README.md" in {target for target, _ in links_of(ROOT / "README.md")}

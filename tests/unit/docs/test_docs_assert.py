"""The pages are true: their Python runs as tests, and where it is to fail, it fails with the text shown.

A page is one test module. In a block `python fails` every test fails, and the `text` block after it is
part of what pytest prints, but for the durations.
"""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGES = [DOCS / "tutorial.md", DOCS / "asserting.md", *sorted((DOCS / "how-to").glob("*.md"))]
OPTIONS = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
BLOCK = re.compile(r"^```(python(?: fails)?|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIME = re.compile(r" *\b\d+(\.\d+)?(µs|ms|s)(?=[\s),]|$)")


def blocks(page):
    return [(kind, code) for kind, code in BLOCK.findall(page.read_text(encoding="utf-8"))]


def functions_of(page, kind):
    return [name for found, code in blocks(page) if found == kind for name in re.findall(r"def (test_\w+)", code)]


def module_of(page):
    return f"test_{page.stem.replace('-', '_')}.py"


@pytest.fixture
def printed(pytester):
    """What pytest prints of all pages, in one run."""
    for page in PAGES:
        code = "\n\n".join(code for kind, code in blocks(page) if kind != "text")
        (pytester.path / module_of(page)).write_text(code, encoding="utf-8")
    result = pytester.runpytest_subprocess("-rA", "-W", "error", *OPTIONS)
    return result.outlines


def test_the_pages(printed):
    outcomes = {}
    for line in printed:
        if match := re.match(r"(PASSED|FAILED|ERROR) (test_\w+\.py)::(\w+)", line):
            outcomes[match[2], match[3]] = match[1]
    expected = {
        (module_of(page), name): outcome
        for page in PAGES
        for kind, outcome in (("python", "PASSED"), ("python fails", "FAILED"))
        for name in functions_of(page, kind)
    }
    assert outcomes == expected

    output = without_times("\n".join(line.removeprefix("E").strip() for line in printed))
    for page in PAGES:
        for kind, text in blocks(page):
            if kind == "text":
                assert without_times("\n".join(line.strip() for line in text.splitlines())) in output


def without_times(text):
    return TIME.sub(" <time>", text)

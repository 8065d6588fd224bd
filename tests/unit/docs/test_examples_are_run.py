"""Each page with Python in it is run by a test; those of docs/workers.md here."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic_ai import Agent

from weaver_ai.agents import Retry, Run, Weaver, task_policies

ROOT = Path(__file__).parents[3]
RUN_BY = {
    "README.md": "tests/integration/plugin/test_readme.py",
    "docs/agents.md": "tests/unit/agents/test_documentation.py",
    "docs/asserting.md": "tests/unit/docs/test_docs_assert.py",
    "docs/capture.md": "tests/integration/plugin/test_capture_docs.py",
    "docs/faults.md": "tests/integration/plugin/test_faults_docs.py",
    "docs/gateway.md": "tests/integration/service/test_gateway_docs.py",
    "docs/how-to": "tests/unit/docs/test_docs_assert.py",
    "docs/migrating.md": "tests/integration/plugin/test_capture_docs.py",
    "docs/otlp.md": "tests/integration/plugin/test_otlp_docs.py",
    "docs/providers.md": "tests/integration/plugin/test_providers_docs.py",
    "docs/redis.md": "tests/integration/plugin/test_faults_docs.py",
    "docs/telemetry.md": "tests/unit/telemetry/test_guide.py",
    "docs/tutorial.md": "tests/unit/docs/test_docs_assert.py",
    "docs/workers.md": "tests/unit/docs/test_examples_are_run.py",
    "examples/downstream/README.md": "tests/integration/plugin/test_downstream_example.py",
    "examples/fallback/README.md": "tests/integration/plugin/test_fallback_example.py",
}


def _known_as(page: Path) -> str:
    return "docs/how-to" if page.parent.name == "how-to" else page.relative_to(ROOT).as_posix()


def test_each_page_with_python_in_it_has_a_test() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    with_python = {_known_as(page) for page in pages if "```py" in page.read_text(encoding="utf-8")}
    assert with_python == RUN_BY.keys()
    for page, test in RUN_BY.items():
        assert Path(page).stem in (ROOT / test).read_text(encoding="utf-8"), f"{test} doesn't name {page}"


def test_the_example_of_the_workers_page() -> None:
    text = (ROOT / "docs" / "workers.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    weaver = Weaver("shop")
    exec(code, {"weaver": weaver, "extractor": Agent(name="extractor"), "Run": Run})  # noqa: S102
    policies = task_policies(weaver)
    assert policies["support"].retry == Retry(retries=4, pause_seconds=2.0, longest_pause_seconds=120.0)
    assert policies["extractor"].concurrency == 2

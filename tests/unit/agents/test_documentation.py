"""The examples of docs/agents.md, run in their order as one program."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "agents.md"


def test_the_examples_of_the_page_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "WEAVER_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "my_shop.py").write_text("\n".join(blocks))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_shop", raising=False)
    import_module("my_shop")
    printed = capsys.readouterr().out.splitlines()
    assert len(blocks) == 5
    assert printed[0] == "[offline model] Order 7 is refunded. 69 None {'order': 7}"
    assert [line.partition(" ")[0] for line in printed if line.startswith("run.")] == ["run.started", "run.finished"]
    assert printed[-1] == "DrainReport(finished=(), cancelled=(), handed_back=(), abandoned=())"

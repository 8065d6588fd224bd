"""The examples of docs/telemetry.md run as they stand, one after the other in one process."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[3] / "docs/telemetry.md"


@pytest.mark.timeout(120)
def test_the_examples_run(tmp_path: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 6
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(examples)],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(GUIDE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = re.sub(r"(?m)^\d\d:\d\d:\d\d\.\d{3} |trace=\w+|\d+\.\d m?s", "", done.stderr).splitlines()
    if find_spec("logfire") is None:
        assert shown.pop(0).startswith("Logfire not available")
    assert shown[:2] == ["INFO classifying  weaver.request.id=r-1 text_length=42 ", "agent.execute  "]
    assert "ERROR classification failed" in done.stderr

"""Commands are tested where nothing is set: no variable, no .env, and what a target adds to the path goes again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from weaver_ai.settings import Settings, variable_of


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_of(field), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

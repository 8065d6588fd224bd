"""docs/plugin.md has every fixture, marker and option of the plugin, and no other; docs/asserting.md every type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from weaver_ai import pytest_plugin, testing

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def rows() -> dict[str, list[list[str]]]:
    """The cells of each table, by the head of its first column."""
    found: dict[str, list[list[str]]] = {}
    for table in (DOCS / "plugin.md").read_text(encoding="utf-8").split("\n\n"):
        if table.startswith("| "):
            (head, *_), _, *cells = [_cells(line) for line in table.splitlines()]
            found[head] = cells
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| \n").split("|")]


def _names(rows: list[list[str]]) -> list[str]:
    return [re.split(r"[(=]", name)[0] for row in rows for name in re.findall(r"`([^`]+)`", row[0])]


class Declared:
    """What the plugin's `pytest_addoption` declares, by name."""

    def __init__(self) -> None:
        self.ini: dict[str, Any] = {}
        self.options: list[str] = []
        pytest_plugin.pytest_addoption(self)  # type: ignore[arg-type]

    def addini(self, name: str, _help: str, **options: Any) -> None:
        self.ini[name] = options.get("default")

    def getgroup(self, _name: str) -> Declared:
        return self

    def addoption(self, name: str, **_options: Any) -> None:
        self.options.append(name)


def test_every_fixture(rows: dict[str, list[list[str]]]) -> None:
    assert sorted(_names(rows["Fixture"])) == sorted(name for name in _fixtures() if not name.startswith("_"))


def _fixtures() -> Iterator[str]:
    source = Path(pytest_plugin.__file__).read_text(encoding="utf-8")
    yield from re.findall(r"^@pytest\.fixture.*\ndef (\w+)", source, re.MULTILINE)


def test_every_marker(rows: dict[str, list[list[str]]], pytestconfig: pytest.Config) -> None:
    ours = {
        line.partition("(")[0] for line in pytestconfig.getini("markers") if re.match(r"(weaver|faults)\w*\(", line)
    }
    assert set(_names(rows["Marker"])) == ours


def test_every_option(rows: dict[str, list[list[str]]]) -> None:
    declared = Declared()
    shown = {name: row[1].strip("`") for row in rows["In the ini file"] for name in _names([row])}
    assert shown == {
        name: "" if default is None else str(default).lower() if isinstance(default, bool) else default
        for name, default in declared.ini.items()
    }
    assert _names(rows["On the command line"]) == [*declared.options, "-vv"]


def test_every_type_and_pattern_is_in_the_reference() -> None:
    page = (DOCS / "asserting.md").read_text(encoding="utf-8")
    assert [name for name in testing.__all__ if not re.search(rf"\b{name}\b", page)] == []

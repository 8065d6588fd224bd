"""The registry, the constants and the page say the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from weaver_ai.telemetry import names

ROOT = Path(__file__).parents[3]
GROUPS: list[dict[str, Any]] = yaml.safe_load((ROOT / "weaver_ai/telemetry/registry/weaver.yaml").read_text())["groups"]
ATTRIBUTES = {
    item["id"]: item for group in GROUPS if group["type"] == "attribute_group" for item in group["attributes"]
}
CONSTANTS = {name: value for name, value in vars(names).items() if name.isupper()}
TYPES = {"string": str, "int": int, "double": float, "boolean": bool}


def test_every_attribute_has_a_constant_and_the_reverse() -> None:
    constants = {value for name, value in CONSTANTS.items() if not name.startswith(("SPAN_", "METRIC_"))}
    assert constants == set(ATTRIBUTES)


def test_every_metric_has_a_constant_and_the_reverse() -> None:
    constants = {value for name, value in CONSTANTS.items() if name.startswith("METRIC_")}
    assert constants == {group["metric_name"] for group in GROUPS if group["type"] == "metric"}


def test_every_span_has_a_constant_and_the_reverse() -> None:
    constants = {value for name, value in CONSTANTS.items() if name.startswith("SPAN_")}
    assert constants == {group["brief"].split("`")[1] for group in GROUPS if group["type"] == "span"}


def test_spans_refer_to_attributes_that_are_there() -> None:
    refs = {item["ref"] for group in GROUPS if group["type"] == "span" for item in group["attributes"]}
    assert refs <= set(ATTRIBUTES)
    assert refs != set()


@pytest.mark.parametrize("attribute", ATTRIBUTES.values(), ids=lambda item: item["id"])
def test_attributes_are_complete_and_their_examples_fit(attribute: dict[str, Any]) -> None:
    assert set(attribute) - {"note"} == {"id", "type", "stability", "brief", "examples"}
    assert attribute["id"].startswith("weaver.")
    assert attribute["stability"] in ("development", "stable")
    assert attribute["brief"].endswith(".")
    assert all(type(example) is TYPES[attribute["type"]] for example in attribute["examples"])


def test_ids_are_unique() -> None:
    ids = [group["id"] for group in GROUPS] + [
        item["id"] for group in GROUPS if group["type"] == "attribute_group" for item in group["attributes"]
    ]
    assert len(ids) == len(set(ids))


def test_the_page_is_made_from_the_registry() -> None:
    spec = importlib.util.spec_from_file_location("make_page", ROOT / "docs/make_telemetry_attributes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(GROUPS), "run docs/make_telemetry_attributes.py"

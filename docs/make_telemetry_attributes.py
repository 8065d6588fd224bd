"""Make docs/telemetry-attributes.md from the registry: `python docs/make_telemetry_attributes.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
REGISTRY = ROOT / "weaver_ai" / "telemetry" / "registry" / "weaver.yaml"
PAGE = ROOT / "docs" / "telemetry-attributes.md"

_INTRODUCTION = """\
# Weaver's own attributes, spans and metrics

<!-- Made from weaver_ai/telemetry/registry/weaver.yaml by docs/make_telemetry_attributes.py; don't edit. -->

Names follow OpenTelemetry's semantic conventions (HTTP, GenAI, messaging, database, exceptions) wherever there is one.
What there is none for is named `weaver.*` and listed here. "development" means that a name may still change in a minor
version; the changelog says so when it does.
"""


def page(groups: list[dict[str, Any]]) -> str:
    """The whole page, from the registry's groups."""
    return "\n".join([_INTRODUCTION, *_spans(groups), *_attributes(groups), *_metrics(groups)])


def _spans(groups: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Spans\n"
    for group in groups:
        if group["type"] != "span":
            continue
        yield f"{group['brief']} Kind {group['span_kind']}, {group['stability']}.\n"
        yield "| Attribute | When |\n| --- | --- |"
        for attribute in group["attributes"]:
            yield f"| `{attribute['ref']}` | {_level(attribute['requirement_level'])} |"
        yield ""


def _attributes(groups: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Attributes\n"
    for group in groups:
        if group["type"] != "attribute_group":
            continue
        yield f"### {group['display_name']}\n\n{group['brief']}\n"
        yield "| Attribute | Type | What it is | Example | Stability |\n| --- | --- | --- | --- | --- |"
        for attribute in group["attributes"]:
            meaning = " ".join(part for part in (attribute["brief"], attribute.get("note")) if part)
            examples = ", ".join(f"`{_shown(example)}`" for example in attribute["examples"])
            yield (f"| `{attribute['id']}` | {attribute['type']} | {meaning} | {examples} | {attribute['stability']} |")
        yield ""


def _metrics(groups: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Metrics\n"
    yield "| Metric | Instrument | Unit | What it counts | Stability |\n| --- | --- | --- | --- | --- |"
    for group in groups:
        if group["type"] == "metric":
            yield (
                f"| `{group['metric_name']}` | {group['instrument']} | {group['unit']} | {group['brief']} "
                f"| {group['stability']} |"
            )
    yield ""


def _level(level: str | dict[str, str]) -> str:
    return level if isinstance(level, str) else f"if {level['conditionally_required']}"


def _shown(example: object) -> str:
    return str(example).lower() if isinstance(example, bool) else str(example)


if __name__ == "__main__":
    PAGE.write_text(page(yaml.safe_load(REGISTRY.read_text(encoding="utf-8"))["groups"]), encoding="utf-8")

"""Make docs/settings.md from the settings: `python -m docs.make_settings`, from the root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr

from weaver_ai.settings import Settings, variable_of

PAGE = Path(__file__).parent / "settings.md"

_INTRODUCTION = """\
# Settings

<!-- Made from weaver_ai/settings.py by docs/make_settings.py; don't edit. -->

Each is an environment variable, or a line of the file `.env` in the folder where the process starts. The environment
goes before the file, and an option of the command line before both. An empty value is none. A wrong one stops the start
with a line that names the variable. `weaver doctor` prints what is in force and where it comes from, secrets masked.

In code they are one object, `weaver_ai.settings.load_settings()`. Each field has its variable's name in lower case,
without `WEAVER_`: `load_settings(env_file=None, port=0)`.
"""

_TEN_YEARS = 315_360_000.0  # a bound that nobody needs to know

# The first field of each part of the class.
_PARTS = {
    "telemetry_enabled": ("Telemetry", "What each does together with the others: [telemetry](telemetry.md)."),
    "otel_sdk_disabled": ("OpenTelemetry's own", "The SDK reads its other variables itself."),
    "no_color": ("Terminal", "The names that many programs take."),
    "host": ("Gateway", "See [the gateway](gateway.md)."),
    "model": ("Runs", "See [agents](agents.md#which-model)."),
    "redis_url": (
        "Tasks",
        "See [gateways, workers and Redis](workers.md) and [Connect to Redis](how-to/connect-redis.md).",
    ),
}


def page() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *_rows()]) + "\n"


def _rows() -> Iterator[str]:
    for field, info in Settings.model_fields.items():
        if field in _PARTS:
            title, text = _PARTS[field]
            yield f"{'' if field == next(iter(_PARTS)) else chr(10)}## {title}\n\n{text}\n"
            yield "| Variable | Default | Takes | What it does |\n| --- | --- | --- | --- |"
        variable = variable_of(field)
        meaning = (info.description or "").removeprefix(f"`{variable}`: ").replace("|", "\\|")
        yield f"| `{variable}` | {_default(info.default)} | {_takes(info)} | {meaning} |"


def _default(value: object) -> str:
    if value is None or value == ():
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else f'{value:g}' if isinstance(value, float) else value}`"


def _takes(info: Any) -> str:
    kind = _kind(info.annotation)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    name = {bool: "`true`, `false`", int: "whole number", float: "number", SecretStr: "secret", str: "text"}.get(kind)
    return ", ".join([name or "secrets, with commas between", *_bounds(info.metadata)])


def _kind(annotation: Any) -> Any:
    if get_origin(annotation) in {Union, UnionType}:
        (annotation,) = (each for each in get_args(annotation) if each is not NoneType)
    return annotation


def _bounds(metadata: list[Any]) -> Iterator[str]:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    for each in metadata:
        for name, said in words.items():
            if (bound := getattr(each, name, None)) not in {None, _TEN_YEARS}:
                yield f"{said} {bound:.10g}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

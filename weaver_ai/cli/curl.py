"""The line for a shell with which what was just started can be tried."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weaver_ai.settings import Settings

__all__ = ["curl_line"]

_VARIABLE: Final = "WEAVER_API_KEYS"


def curl_line(url: str, body: JsonValue, settings: Settings) -> str:
    """Post `body` as JSON to `url`. No key is in the line: the shell takes it from where the settings did."""
    headers = ["-H", "Content-Type: application/json"]
    line = shlex.join(["curl", "-s", url, *headers, "-d", json.dumps(body, ensure_ascii=False)])
    if settings.api_keys:
        line += f' -H "Authorization: Bearer {_first_key()}"'
    return line


def _first_key() -> str:
    if os.environ.get(_VARIABLE):
        return f"${{{_VARIABLE}%%,*}}"
    file = shlex.quote(str(Path(".env").resolve()))
    return rf"""$(sed -nE "s/^(export )? *{_VARIABLE} *= *[\"']?([^,\"'[:space:]]*).*/\2/p" {file} | tail -n 1)"""

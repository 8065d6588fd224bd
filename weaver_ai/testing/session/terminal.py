"""How messages and reports are set: as wide as the terminal, in colour where it has some, whole with `-vv`."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import dataclass, replace

import pytest

from weaver_ai.spans.render import Style
from weaver_ai.testing.spans import MESSAGE

__all__ = ["Styles", "styles_for"]

_MARGIN = 8  # `E`, and the indentation of the line that failed
_TYPE = len("ExpectationFailed: ")  # stands before the first line
_ELSEWHERE = Style(width=104)  # a file, a pipe, the log of CI: nothing wraps there
_LEAST, _MOST = 60, 200
_WHOLE = 2  # -vv, which leaves nothing out in pytest's own comparisons either


@dataclass(frozen=True, slots=True)
class Styles:
    """One for what pytest indents as the error, one for the sections of a report."""

    message: Style = MESSAGE
    section: Style = _ELSEWHERE


def styles_for(config: pytest.Config) -> Styles:
    """As the terminal is, or what stands in for it."""
    whole = config.get_verbosity() >= _WHOLE
    colour, hint = _colour(config), "" if whole else "-vv shows all"
    styles = Styles()
    if columns := _columns(config):
        width = min(max(columns, _LEAST), _MOST)
        styles = Styles(Style(width=width - _MARGIN, first=_TYPE), Style(width=width))
    message, section = (
        replace(style, colour=colour, whole=whole, hint=hint) for style in (styles.message, styles.section)
    )
    return Styles(message, section)


def _columns(config: pytest.Config) -> int:
    """The terminal's, or what COLUMNS says; 0 where there is none. A worker of pytest-xdist is told."""
    if (workerinput := getattr(config, "workerinput", None)) is not None:
        return int(workerinput.get("weaver_columns", 0))
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():  # else stdout is pytest's file
        return shutil.get_terminal_size(fallback=(0, 0)).columns


def _colour(config: pytest.Config) -> bool:
    if (workerinput := getattr(config, "workerinput", None)) is not None:
        return bool(workerinput.get("weaver_colour"))
    # There is none with -p no:terminal, as some editors run it.
    has_terminal = config.pluginmanager.has_plugin("terminalreporter")
    return has_terminal and config.get_terminal_writer().hasmarkup

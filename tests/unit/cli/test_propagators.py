from __future__ import annotations

import os
import subprocess
import sys

import pytest

from weaver_ai.cli.propagators import check_propagators
from weaver_ai.errors import SettingsError


@pytest.mark.parametrize("listed", [None, "", "none", "tracecontext, None, b33", "tracecontext, baggage"])
def test_what_is_there_is_fine(listed: str | None) -> None:
    check_propagators({} if listed is None else {"OTEL_PROPAGATORS": listed})


@pytest.mark.parametrize("listed", ["b33", "tracecontext,b33"])
def test_what_is_not_there_is_named(listed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_propagators({"OTEL_PROPAGATORS": listed})
    assert str(caught.value) == "OTEL_PROPAGATORS: there is no propagator 'b33'"


def test_the_command_says_so_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "weaver_ai", "doctor"],
        env={**os.environ, "OTEL_PROPAGATORS": "b33"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    line = (
        "weaver: OTEL_PROPAGATORS: there is no propagator 'b33' "
        "(it is misspelt, or the package that has it isn't installed)\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)

"""The `weaver` command: light, and readable when something is wrong."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from weaver_ai import __version__
from weaver_ai.cli import main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert (left.value.code, capsys.readouterr().out) == (0, f"weaver {__version__}\n")


def test_without_a_verb_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert "serve" in shown
    assert "doctor" in shown


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom weaver_ai.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'fastapi', 'pydantic', 'uvicorn', 'opentelemetry', 'pydantic_ai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def _fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on standard error of a command that couldn't begin."""
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    (line,) = streams.err.splitlines()
    return line


def test_a_setting_that_cannot_be_used(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVER_PORT", "eighty")
    assert _fails(capsys, "serve") == (
        "weaver: WEAVER_PORT: Input should be a valid integer, unable to parse string as an integer "
        "(run 'weaver doctor' to see every setting)"
    )


def test_a_target_that_leads_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert _fails(capsys, "serve", "no_such_module:weaver") == (
        "weaver: 'no_such_module:weaver': there is no module 'no_such_module' "
        "(run it from the directory that holds the module, or install the package)"
    )


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert _fails(capsys, "serve", "--port", str(port)) == (
            f"weaver: can't listen on 127.0.0.1:{port}: another program listens there "
            "(take another with --port, or 0 for a free one)"
        )


def test_an_extra_that_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weaver_ai.cli.serve.find_spec", lambda name: None if name == "uvicorn" else object())
    assert _fails(capsys, "serve") == (
        "weaver: 'weaver serve' needs the extra 'gateway': pip install 'weaver-ai[gateway]'"
    )

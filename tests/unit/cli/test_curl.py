"""The line that is printed works in the user's shell, whatever holds the key, and the key isn't in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from weaver_ai.cli.curl import curl_line
from weaver_ai.settings import load_settings

KEY = "-".join(["first", "key"])


def _said(line: str, tmp_path: Path, shell: str, **env: str) -> list[str]:
    """What curl is called with when a shell runs the line, in another directory than the service was started in."""
    fake = tmp_path / "bin" / "curl"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    fake.chmod(0o755)
    path = f"{fake.parent}:/usr/bin:/bin"
    found = subprocess.run(
        [shell, "-c", line], env={"PATH": path, **env}, cwd="/", capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    return found.stdout.splitlines()


def test_without_keys_it_is_a_post_of_json(tmp_path: Path) -> None:
    line = curl_line("http://127.0.0.1:8000/v1/x/run", {"input": "it's \u00fc"}, load_settings(env_file=None))
    assert _said(line, tmp_path, "sh") == [
        "-s",
        "http://127.0.0.1:8000/v1/x/run",
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"input": "it\'s \u00fc"}',
    ]


def test_a_key_of_the_environment_is_put_in_by_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVER_API_KEYS", f"{KEY},second")
    line = curl_line("http://x", 1, load_settings(env_file=None))
    assert KEY not in line
    assert _said(line, tmp_path, "sh", WEAVER_API_KEYS=f"{KEY},second")[-1] == f"Authorization: Bearer {KEY}"


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    "file",
    [
        f"WEAVER_API_KEYS={KEY}",
        f"A=1\nexport WEAVER_API_KEYS = '{KEY}, second' # two\nB=2",
        f'# WEAVER_API_KEYS=old\nWEAVER_API_KEYS="{KEY}"\n',
        f"WEAVER_API_KEYS=old\nWEAVER_API_KEYS={KEY} # the last one holds",
    ],
)
def test_a_key_that_is_only_in_the_file_is_read_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, file: str
) -> None:
    if (found := shutil.which(shell)) is None:
        pytest.skip(f"{shell} isn't installed")
    (tmp_path / "a place").mkdir()
    monkeypatch.chdir(tmp_path / "a place")
    monkeypatch.delenv("WEAVER_API_KEYS", raising=False)
    Path(".env").write_text(file)
    settings = load_settings()
    assert settings.api_keys[0].get_secret_value() == KEY
    line = curl_line("http://x", 1, settings)
    assert KEY not in line
    assert _said(line, tmp_path, found)[-1] == f"Authorization: Bearer {KEY}"

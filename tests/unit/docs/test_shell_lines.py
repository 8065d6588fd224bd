"""What the pages tell a reader to type exists: commands, options, extras, variables, files."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from weaver_ai import __version__
from weaver_ai.agents import Runner
from weaver_ai.agents.support_desk import weaver as support_desk
from weaver_ai.cli import _parser
from weaver_ai.cli.serve import _banner
from weaver_ai.settings import Settings, load_settings, variable_of
from weaver_ai.telemetry.off_backend import OffTelemetry

ROOT = Path(__file__).parents[3]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
BLOCK = re.compile(r"^```(?:sh|console)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|&& )(?:\$ )?(?:uv run )?weaver (?P<rest>[a-z].*)$", re.MULTILINE)
INLINE = re.compile(r"`(?:uv run )?weaver (?P<rest>[a-z][^`]*)`")


def said(pattern: re.Pattern[str], *, blocks: bool = False) -> list[str]:
    """What it finds in all pages, each once; `blocks`: in what is to be typed alone."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    if blocks:
        texts = [block for text in texts for block in BLOCK.findall(text)]
    return sorted({match for text in texts for match in pattern.findall(text)})


COMMANDS = {
    command.partition("  #")[0].strip().replace("[TARGET]", "").replace("…", "")
    for command in (*said(COMMAND, blocks=True), *said(INLINE))
}


def test_there_are_commands() -> None:
    assert {"serve", "tasks retry 4f0c", "demo cluster", "doctor"} <= {command.strip() for command in COMMANDS}


@pytest.mark.parametrize("command", sorted(COMMANDS - {"tasks"}))  # its name alone, in a sentence
def test_a_command_is_one(command: str) -> None:
    options = _parser().parse_args(shlex.split(command))
    assert callable(options.run)


def test_a_variable_is_a_setting() -> None:
    known = {variable_of(field) for field in Settings.model_fields}
    of_the_tests = {"WEAVER_TEST_REDIS_SERVER"}
    assert set(said(re.compile(r"\bWEAVER_[A-Z_]+\b"))) - known == of_the_tests


def test_an_extra_is_one() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {extra for group in said(re.compile(r"weaver-ai\[([a-z,]+)\]")) for extra in group.split(",")}
    assert named == extras.keys()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md"])
def test_a_file_that_is_named_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:weaver_ai|tests|docs|benchmarks|changes|\.ci)/[\w./-]+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_shows_what_the_start_prints() -> None:
    keyless = dict.fromkeys(("openai_api_key", "openai_base_url", "anthropic_api_key", "anthropic_base_url"))
    settings = load_settings(env_file=None, **keyless)
    telemetry = OffTelemetry()
    printed = "\n".join(_banner(settings, Runner(support_desk, settings), telemetry, "http://127.0.0.1:8000"))
    (shown,) = re.findall(r"^```text\n(weaver .*?)\n```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown.startswith(f"weaver {__version__} ")
    assert shown.replace("  telemetry  logfire,", "  telemetry  off,") == printed

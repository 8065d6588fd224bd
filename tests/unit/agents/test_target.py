from __future__ import annotations

from pathlib import Path

import pytest

from weaver_ai.agents import load_target
from weaver_ai.agents.support_desk import weaver as support_desk
from weaver_ai.errors import TargetError

GOOD = """
from weaver_ai.agents import Weaver
weaver = Weaver("mine")
other = 7
class Holder:
    inner = weaver
def make():
    return Weaver("made")
"""
MODULES = {
    "good": GOOD,
    "dependency": "import a_package_that_nobody_has",
    "broken": "raise RuntimeError('the flux is low')",
    "keyless": "from pydantic_ai import Agent\nAgent('openai:gpt-6-luna', name='a')\n",
    "misspelt": "def x(:\n",
    "misregistered": "from weaver_ai.agents import Weaver\nWeaver('a b')\n",
}


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "targets_of_the_test"
    directory.mkdir()
    (directory / "__init__.py").write_text("")
    for name, source in MODULES.items():
        (directory / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("target", "name"),
    [("good:weaver", "mine"), ("good:Holder.inner", "mine"), ("good:make", "made")],
)
def test_a_target_leads_to_a_weaver(target: str, name: str) -> None:
    assert load_target(f"targets_of_the_test.{target}").name == name


def test_without_a_target_it_is_the_support_desk() -> None:
    assert load_target() is support_desk


WRONG = {
    "good": (
        "'targets_of_the_test.good' is no target",
        "write module:attribute, for instance my_package.agents:weaver",
    ),
    "good:": (
        "'targets_of_the_test.good:' is no target",
        "write module:attribute, for instance my_package.agents:weaver",
    ),
    "nowhere:weaver": (
        "'targets_of_the_test.nowhere:weaver': there is no module 'targets_of_the_test.nowhere'",
        "run it from the directory that holds the module, or install the package",
    ),
    "dependency:weaver": (
        (
            "'targets_of_the_test.dependency:weaver': importing 'targets_of_the_test.dependency' failed: "
            "No module named 'a_package_that_nobody_has'"
        ),
        None,
    ),
    "broken:weaver": (
        (
            "'targets_of_the_test.broken:weaver': importing 'targets_of_the_test.broken' failed: "
            "RuntimeError: the flux is low"
        ),
        None,
    ),
    "misspelt:weaver": (
        (
            "'targets_of_the_test.misspelt:weaver': importing 'targets_of_the_test.misspelt' failed: "
            "SyntaxError: invalid syntax (misspelt.py, line 1)"
        ),
        None,
    ),
    "misregistered:weaver": (
        (
            "'targets_of_the_test.misregistered:weaver': importing 'targets_of_the_test.misregistered' failed: "
            "a Weaver's name can't be 'a b'"
        ),
        "up to 64 letters, digits, '.', '_' and '-', the first a letter or a digit",
    ),
    "good:waever": (
        "'targets_of_the_test.good:waever': the module 'targets_of_the_test.good' has no attribute 'waever'",
        "did you mean 'weaver'?",
    ),
    "good:other": (
        "'targets_of_the_test.good:other' is a 'int', not a Weaver",
        "name the object that Weaver(...) gave",
    ),
    "good:Holder": (
        "'targets_of_the_test.good:Holder' is the class 'Holder', not a Weaver",
        "name the object that Weaver(...) gave",
    ),
    "good:other.inner": (
        "'targets_of_the_test.good:other.inner': 'int' has no attribute 'inner'",
        None,
    ),
}


@pytest.mark.parametrize(("target", "expected"), WRONG.items(), ids=WRONG.keys())
def test_a_wrong_target_says_where_the_way_ends(target: str, expected: tuple[str, str | None]) -> None:
    with pytest.raises(TargetError) as wrong:
        load_target(f"targets_of_the_test.{target}")
    assert (wrong.value.message, wrong.value.hint) == expected


def test_a_missing_parent_package_is_the_one_named() -> None:
    with pytest.raises(TargetError, match=r"^'not_here\.agents:weaver': there is no module 'not_here'$"):
        load_target("not_here.agents:weaver")


def test_a_key_that_is_missing_at_import_says_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(TargetError, match=r"importing 'targets_of_the_test.keyless' failed: Set the `OPENAI_") as wrong:
        load_target("targets_of_the_test.keyless:weaver")
    assert wrong.value.hint == (
        "a provider's key goes into the environment or into .env; with Agent(..., defer_model_check=True) none is "
        "needed to import the module"
    )

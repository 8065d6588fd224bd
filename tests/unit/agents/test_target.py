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
def broken_maker():
    raise ValueError("two\\nlines")
async def maker():
    return weaver
def of_what(it):
    return weaver
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
    "nested": "from targets_of_the_test import broken\n",
    "leaving": "raise SystemExit(3)",
    "long": "raise RuntimeError('x' * 400)",
    "lazy": "def __getattr__(name):\n    if name.startswith('__'):\n        raise AttributeError(name)\n"
    "    raise RuntimeError(f'no {name} yet')\n",
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
            "No module named 'a_package_that_nobody_has' (dependency.py, line 1)"
        ),
        None,
    ),
    "broken:weaver": (
        (
            "'targets_of_the_test.broken:weaver': importing 'targets_of_the_test.broken' failed: "
            "RuntimeError: the flux is low (broken.py, line 1)"
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
            "a Weaver's name can't be 'a b' (misregistered.py, line 2)"
        ),
        "up to 64 letters, digits, '.', '_' and '-', the first a letter or a digit",
    ),
    "good:waever": (
        "'targets_of_the_test.good:waever': the module 'targets_of_the_test.good' has no attribute 'waever'",
        "did you mean 'weaver'?",
    ),
    "nested:weaver": (
        (
            "'targets_of_the_test.nested:weaver': importing 'targets_of_the_test.nested' failed: "
            "RuntimeError: the flux is low (broken.py, line 1)"
        ),
        None,
    ),
    "leaving:weaver": (
        (
            "'targets_of_the_test.leaving:weaver': importing 'targets_of_the_test.leaving' failed: "
            "SystemExit: 3 (leaving.py, line 1)"
        ),
        None,
    ),
    "long:weaver": (
        (
            "'targets_of_the_test.long:weaver': importing 'targets_of_the_test.long' failed: "
            f"RuntimeError: {'x' * 299}… (long.py, line 1)"
        ),
        None,
    ),
    "lazy:weaver": (
        "'targets_of_the_test.lazy:weaver': looking for 'weaver' failed: RuntimeError: no weaver yet (lazy.py, line 4)",
        None,
    ),
    "good:broken_maker": (
        "'targets_of_the_test.good:broken_maker': calling it failed: ValueError: two lines (good.py, line 6)",
        None,
    ),
    "good:maker": (
        "'targets_of_the_test.good:maker' is an async function",
        "name a plain one that returns a Weaver",
    ),
    "good:of_what": (
        "'targets_of_the_test.good:of_what' is a function that wants arguments, and it gets none",
        None,
    ),
    "good:other": (
        "'targets_of_the_test.good:other' is of the type 'int', not a Weaver",
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


FILES = {
    "my_package/agents.py": "write my_package.agents:weaver",
    "my_package/agents.py:desk": "write my_package.agents:desk",
    "./agents.py:weaver": "write agents:weaver",
    "agents.py": "write agents:weaver",
    "my_package\\agents.py:weaver": "write my_package.agents:weaver",
    "/srv/agents.py:weaver": "write module:attribute, for instance my_package.agents:weaver",
    "../agents.py:weaver": "write module:attribute, for instance my_package.agents:weaver",
}


@pytest.mark.parametrize(("target", "hint"), FILES.items(), ids=FILES.keys())
def test_a_file_is_no_target_and_what_is_one_is_said(target: str, hint: str) -> None:
    with pytest.raises(TargetError) as wrong:
        load_target(target)
    assert (wrong.value.message, wrong.value.hint) == (f"{target!r} is a file's name", hint)


@pytest.mark.parametrize("target", ["", ":weaver", ".agents:weaver"])
def test_what_has_no_module_is_no_target(target: str) -> None:
    with pytest.raises(TargetError, match=f"^{target!r} is no target$"):
        load_target(target)


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

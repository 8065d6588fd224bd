"""`weaver_ai.gateway:app`: made when it is asked for, and never shadowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import weaver_ai


def _run(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(Path(weaver_ai.__file__).parent.parent), **environment},
    )


def test_importing_the_package_makes_nothing(tmp_path: Path) -> None:
    done = _run(
        "import sys, weaver_ai.gateway as g\n"
        "print(sorted({'fastapi', 'pydantic', 'opentelemetry', 'weaver_ai.settings'} & set(sys.modules)))\n"
        "print('app' in vars(g), 'app' in dir(g))",
        tmp_path,
    )
    assert (done.stdout, done.stderr) == ("[]\nFalse True\n", "")


def test_app_is_an_application_made_once_even_when_its_modules_were_imported_before(tmp_path: Path) -> None:
    done = _run(
        "import weaver_ai.gateway.application\n"
        "from weaver_ai import gateway\n"
        "print(type(gateway.app).__name__, gateway.app is gateway.app)",
        tmp_path,
        WEAVER_TELEMETRY_ENABLED="false",
    )
    assert (done.stdout, done.stderr) == ("FastAPI True\n", "")


def test_no_module_of_the_package_is_called_like_the_application() -> None:
    package = Path(weaver_ai.__file__).parent / "gateway"
    assert not (package / "app.py").exists()
    assert not (package / "app").exists()


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        (
            {"WEAVER_PORT": "eighty"},
            (
                "weaver: WEAVER_PORT: Input should be a valid integer, unable to parse string as an integer "
                "(run 'weaver doctor' to see every setting)"
            ),
        ),
        (
            {"WEAVER_TARGET": "nowhere:weaver"},
            (
                "weaver: 'nowhere:weaver': there is no module 'nowhere' "
                "(run it from the directory that holds the module, or install the package)"
            ),
        ),
    ],
)
def test_what_is_wrong_stops_the_start_with_one_line(environment: dict[str, str], line: str, tmp_path: Path) -> None:
    done = _run("from weaver_ai.gateway import app", tmp_path, **environment)
    assert (done.returncode, done.stderr) == (1, f"{line}\n")


def test_other_names_are_an_attribute_error() -> None:
    from weaver_ai import gateway

    with pytest.raises(AttributeError, match=r"module 'weaver_ai\.gateway' has no attribute 'ap'"):
        gateway.ap  # type: ignore[attr-defined] # noqa: B018

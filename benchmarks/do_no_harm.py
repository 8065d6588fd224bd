"""Does the plugin change the outcome of somebody else's tests?

    python benchmarks/do_no_harm.py [package ...] [--with requirement ...] [--tests package==version=folder]

Takes a package that uses OpenTelemetry, by its name in the registry, with the tests of its source
distribution, into an environment of its own, and runs them three times: without the plugin, with it
installed and unused, and with every test recording. The outcome of each test must be the same.

Where a source distribution has no tests (Logfire's has none), `--tests` names the folder `tests` of a checkout of
that version, as in `--tests logfire==4.41.0=/path/to/logfire/tests`; `--only` names the files of it that are to run.

In the third run sampling is the provider's and the checks are off: those are meant to make a difference.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from table import publish

ROOT = Path(__file__).parent.parent
PACKAGES: Mapping[str, Sequence[str]] = {  # with what their tests need besides
    "opentelemetry-sdk": ("opentelemetry-test-utils", "ddt", "psutil", "flaky"),
    "opentelemetry-exporter-otlp-proto-common": ("opentelemetry-test-utils", "opentelemetry-sdk"),
    "logfire": (
        "anyio",
        "attrs",
        "cloudpickle",
        "dirty-equals",
        "eval-type-backport",
        "httpx",
        "httpx2",
        "inline-snapshot",
        "logfire[fastapi,httpx,requests,sqlite3,starlette,system-metrics,wsgi]",
        "loguru",
        "pydantic>=2.11",
        "pydantic-handlebars",
        "pytest-asyncio",
        "pytest-recording",
        "pytest-timeout",
        "requests-mock",
        "setuptools",
        "sqlmodel",
        "structlog",
    ),
}
OFF = [f"-oweaver_check_{check}=false" for check in ("open", "context", "orphan", "stray", "secret", "error")]
RECORD = """
import pathlib
import pytest

COUNT = []

@pytest.fixture(autouse=True)
def _record(spans, logs, metrics):
    COUNT.append(1)

def pytest_sessionfinish():
    pathlib.Path(__file__).with_name("recorded").write_text(str(len(COUNT)))
"""


def run(*command: str | Path, cwd: Path, check: bool = True) -> None:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def source_of(package: str, where: Path) -> Path:
    """The unpacked source distribution."""
    run(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", package, package, "-d", where, cwd=where)
    (archive,) = where.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(where, filter="data")
    (folder,) = (each for each in where.iterdir() if each.is_dir())
    return folder


def outcomes(python: Path, tests: Path, only: Sequence[str], *options: str) -> dict[str, str]:
    """Each test, and how it ended."""
    report = tests.parent / "report.xml"
    report.unlink(missing_ok=True)
    options = ("-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", f"--junitxml={report}", *options)
    command = [python, "-m", "pytest", *options, *(tests / each for each in only or [""])]
    run(*command, cwd=tests.parent, check=False)
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        kinds = sorted(child.tag for child in case if child.tag in {"failure", "error", "skipped"})
        found[f"{case.get('classname')}.{case.get('name')}"] = "+".join(kinds) or "passed"
    return found


def tests_of(package: str, where: Path) -> tuple[Path, str]:
    """The tests of the source distribution, and its version."""
    folder = source_of(package, where)
    if not (folder / "tests").is_dir():
        sys.exit(f"the source distribution of {package} has no tests: give those of a checkout, with --tests")
    return folder / "tests", folder.name.rpartition("-")[2]


def checked_out(tests: Path, where: Path) -> Path:
    """A copy of those tests, without the configuration beside them, which names plugins that aren't installed."""
    return Path(shutil.copytree(tests, where / "checkout" / "tests"))


def compare(package: str, needs: Sequence[str], where: Path, checkout: str = "", only: Sequence[str] = ()) -> list[str]:
    """One row of the table; it tells of each difference on the way."""
    version, _, folder = checkout.partition("=")
    tests, version = (checked_out(Path(folder), where), version) if checkout else tests_of(package, where)
    environment = where / "environment"
    run(sys.executable, "-m", "venv", environment, cwd=where)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "-q", f"{package}=={version}", "pytest>=9", *needs, cwd=where)
    without = outcomes(python, tests, only)
    run(python, "-m", "pip", "install", "-q", f"{ROOT}", cwd=where)
    unused = outcomes(python, tests, only)
    (tests.parent / "conftest.py").write_text(RECORD, encoding="utf-8")
    recording = outcomes(python, tests, only, "-oweaver_sampling=provider", *OFF)
    recorded = int((tests.parent / "recorded").read_text(encoding="utf-8"))
    different = 0
    for name, run_with in (("unused", unused), ("recording", recording)):
        for test in sorted(without.keys() | run_with.keys()):
            before, after = without.get(test, "not run"), run_with.get(test, "not run")
            if before != after:
                different += 1
                sys.stdout.write(f"{package} ({name}): {test} was {before}, is {after}\n")
    if not recorded:
        sys.exit(f"no test of {package} recorded")
    if "passed" not in without.values():
        sys.exit(f"none of the tests of {package} passes without the plugin: install what they need, with --with")
    passed = [sum(outcome == "passed" for outcome in each.values()) for each in (without, unused, recording)]
    files = f" ({len(only)} files of its tests)" if only else ""
    return [f"{package} {version}{files}", str(len(without)), *map(str, passed), str(different)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=[package for package in PACKAGES if package != "logfire"])
    parser.add_argument("--tests", action="append", default=[], metavar="PACKAGE==VERSION=FOLDER")
    parser.add_argument("--only", nargs="+", default=[], metavar="FILE", help="of the folder given with --tests")
    parser.add_argument("--with", dest="needs", action="extend", nargs="+", default=[], help="what the tests need")
    options = parser.parse_args()
    checkouts = dict(each.split("==", 1) for each in options.tests)
    rows = []
    for package in [*options.packages, *(each for each in checkouts if each not in options.packages)]:
        with tempfile.TemporaryDirectory() as directory:
            needs = [*PACKAGES.get(package, ()), *options.needs]
            only = options.only if package in checkouts else ()
            rows.append(compare(package, needs, Path(directory), checkouts.get(package, ""), only))
    different = sum(int(row[-1]) for row in rows)
    publish(
        "do_no_harm",
        "Other people's tests, without the plugin and with it",
        ["package", "tests", "pass without", "pass, unused", "pass, recording", "different"],
        rows,
        packages=[],
        verdict="Every test ends as it does without the plugin." if not different else f"{different} differ.",
    )
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()

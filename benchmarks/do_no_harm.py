"""Does the plugin change the outcome of somebody else's tests?

    python benchmarks/do_no_harm.py [package ...] [--with requirement ...]

Takes a package that uses OpenTelemetry, by its name in the registry, with the tests of its source
distribution, into an environment of its own, and runs them three times: without the plugin, with it
installed and unused, and with every test recording. The outcome of each test must be the same.

In the third run sampling is the provider's and the checks are off: those are meant to make a difference.
"""

from __future__ import annotations

import argparse
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


def outcomes(python: Path, tests: Path, *options: str) -> dict[str, str]:
    """Each test, and how it ended."""
    report = tests.parent / "report.xml"
    report.unlink(missing_ok=True)
    options = ("-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", f"--junitxml={report}", *options)
    command = [python, "-m", "pytest", *options, tests]
    run(*command, cwd=tests.parent, check=False)
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        kinds = sorted(child.tag for child in case if child.tag in {"failure", "error", "skipped"})
        found[f"{case.get('classname')}.{case.get('name')}"] = "+".join(kinds) or "passed"
    return found


def compare(package: str, needs: Sequence[str], where: Path) -> list[str]:
    """One row of the table; it tells of each difference on the way."""
    tests = source_of(package, where) / "tests"
    environment = where / "environment"
    run(sys.executable, "-m", "venv", environment, cwd=where)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    version = tests.parent.name.rpartition("-")[2]
    run(python, "-m", "pip", "install", "-q", f"{package}=={version}", "pytest>=9", *needs, cwd=where)
    without = outcomes(python, tests)
    run(python, "-m", "pip", "install", "-q", f"{ROOT}", cwd=where)
    unused = outcomes(python, tests)
    (tests.parent / "conftest.py").write_text(RECORD, encoding="utf-8")
    recording = outcomes(python, tests, "-oweaver_sampling=provider", *OFF)
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
    return [f"{package} {version}", str(len(without)), *map(str, passed), str(different)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=list(PACKAGES))
    parser.add_argument("--with", dest="needs", action="extend", nargs="+", default=[], help="what the tests need")
    options = parser.parse_args()
    rows = []
    for package in options.packages:
        with tempfile.TemporaryDirectory() as directory:
            rows.append(compare(package, [*PACKAGES.get(package, ()), *options.needs], Path(directory)))
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

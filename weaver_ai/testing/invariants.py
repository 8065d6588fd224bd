"""What must hold for the trace of every test, asserted or not."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from opentelemetry.trace import StatusCode

from weaver_ai.spans.render import PLAIN, Style, shares
from weaver_ai.spans.values import clip
from weaver_ai.testing.capture.recording import Recording
from weaver_ai.testing.capture.remote import explain_orphan
from weaver_ai.testing.secrets import secret_keys

__all__ = ["CHECKS", "Invariants", "Violation", "explain", "settle", "violations"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

CHECKS: Mapping[str, bool] = {
    "open": True,
    "context": True,
    "orphan": True,
    "stray": True,
    "secret": True,
    "error": False,
}
"""Each check, and whether it's on unless somebody says otherwise."""
_SHOWN = 24  # violations in a message


@final
class Invariants:
    """Which checks hold for the running test.

    Example:
        >>> def test_poller(spans, invariants):
        ...     invariants.off("open", "poll *")  # those spans only; without a name, all of them
    """

    def __init__(self, on: Mapping[str, bool] = CHECKS) -> None:
        self._on = {**CHECKS, **on}
        self._excused: dict[str, list[str]] = {check: [] for check in CHECKS}

    def on(self, check: str) -> None:
        """Check from here to the end of the test."""
        self._on[_known(check)] = True

    def off(self, check: str, *names: str) -> None:
        """Don't check spans of these names (`*` stands for any run of characters); without names, nothing."""
        if names:
            self._excused[_known(check)].extend(names)
        else:
            self._on[_known(check)] = False

    def checks(self, check: str, name: str = "") -> bool:
        return self._on[check] and not any(_fits(name, glob) for glob in self._excused[check])


@dataclass(frozen=True, slots=True)
class Violation:
    """One invariant that one span broke."""

    check: str
    line: str


def settle(recording: Recording, seconds: float) -> None:
    """Wait until no span is open and none lacks its parent, at most so long; woken by each that ends or arrives."""
    if not recording.unsettled():
        return
    woken = threading.Event()
    unsubscribe = recording.subscribe(woken.set)
    deadline = time.monotonic() + seconds
    try:
        while recording.unsettled() and (left := deadline - time.monotonic()) > 0:
            woken.wait(left)
            woken.clear()
    finally:
        unsubscribe()


def violations(recording: Recording, leaks: Sequence[str], invariants: Invariants) -> Iterator[Violation]:
    """What the test broke, in the order of `CHECKS`, once each."""
    yield from dict.fromkeys(
        violation
        for check, name, line in _findings(recording, leaks)
        if invariants.checks(check, name)
        for violation in [Violation(check, line)]
    )


def explain(found: Sequence[Violation], style: Style = PLAIN) -> Iterator[str]:
    """The message, line by line: of each check the first ones, where there are very many.

    Its first line, all that a summary has, says what was broken first.
    """
    others = found[1:]
    rest = f", and {len(others):,} more ({', '.join(dict.fromkeys(each.check for each in others))})" if others else ""
    yield clip(f"it passed, but {found[0].line}", max(style.room - len(rest), 40)) + rest
    yield ""
    if others:
        yield from _listed(found, style)
        yield ""
    checks = [f"check_{check}=False" for check in dict.fromkeys(each.check for each in found)]
    yield f"Where that is meant: @pytest.mark.weaver({', '.join(checks)})"


def _listed(found: Sequence[Violation], style: Style) -> Iterator[str]:
    by_check: dict[str, list[str]] = {}
    for violation in found:
        by_check.setdefault(violation.check, []).append(violation.line)
    rooms = shares([len(lines) for lines in by_check.values()], len(found) if style.whole else _SHOWN)
    for (check, lines), room in zip(by_check.items(), rooms, strict=True):
        for line in lines[:room]:
            yield f"  {check:<8} {clip(line, max(style.room - 11, 20))}"
        if len(lines) > room:
            yield f"  {check:<8} {style.more(f'{len(lines) - room:,} more')}"


def _findings(recording: Recording, leaks: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for captured in recording.open:
        yield "open", captured.name, f"span {captured.name!r} was never ended"
    for span in recording.remote_open():
        yield "open", span.name, f"span {span.name!r} was never ended: the process may have been killed"
    for leak in leaks:
        yield "context", "", leak
    for captured in recording.orphans():
        yield "orphan", captured.name, f"span {captured.name!r} has a parent that was never recorded"
    for span in recording.remote_orphans():
        yield "orphan", span.name, explain_orphan(span)
    for captured in recording.strays:
        what = "ended" if captured.ended_late else "began"
        yield "stray", captured.name, f"span {captured.name!r} of {captured.origin.name} {what} here"
    for name, origin in recording.remote.strays:
        yield "stray", name, f"span {name!r} of {origin} arrived here"
    failed: list[tuple[str, str]] = []
    for name, attributes, error in _everything(recording):
        for key in secret_keys(attributes):
            yield "secret", name, f"span {name!r}: the value of {key!r} looks like a secret"
        if error is not None:
            failed.append((name, error))
    for name, error in failed:
        yield "error", name, f"span {name!r} ended with an error{f': {clip(error, 72)}' if error else ''}"


def _everything(recording: Recording) -> Iterator[tuple[str, Mapping[str, object], str | None]]:
    """The name, the attributes and, where it failed, the status of each span."""
    for captured in recording.everything():
        latest = captured.latest
        is_error = latest.status.status_code is StatusCode.ERROR
        yield captured.name, latest.attributes or {}, (latest.status.description or "") if is_error else None
    for span in recording.remote_spans():
        yield span.name, span.attributes, (span.status.description or "") if span.status.code == "error" else None


def _known(check: str) -> str:
    if check not in CHECKS:
        raise ValueError(f"there is no check {check!r}; the checks are {', '.join(CHECKS)}")
    return check


def _fits(name: str, glob: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, glob.split("*"))), name, re.DOTALL) is not None

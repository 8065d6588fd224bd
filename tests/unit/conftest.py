"""What every unit test starts from: no telemetry that an earlier test of the process has switched on."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nothing_configured() -> Iterator[None]:
    """A gateway in the test's process configures telemetry for the process, which is slow to take back.

    So it is only laid aside, and is there again for the next gateway.
    """
    if "weaver_ai.telemetry.configure" not in sys.modules:
        yield
        return
    from weaver_ai.telemetry import instrument, runtime

    instrument.uninstrument_all()
    before, runtime._active = runtime._active, None
    yield
    runtime._active = before

"""What telemetry costs that is switched off."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from weaver_ai.settings import load_settings
from weaver_ai.telemetry import configure_telemetry, instrument_all, log_info, start_span

assert configure_telemetry(load_settings(env_file=None)).name == "off"
instrument_all()
with start_span("work", n=1):
    log_info("done")
costly = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation", "logfire")
print(sorted(name for name in sys.modules if name.startswith(costly)))
"""


def test_nothing_of_the_sdk_is_imported() -> None:
    # Logfire's plugin for pydantic, which pydantic loads by itself wherever Logfire is installed, is none of weaver's.
    environment = {"WEAVER_TELEMETRY_ENABLED": "false", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr

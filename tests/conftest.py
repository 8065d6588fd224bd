"""What holds for every test of Weaver's own."""

from __future__ import annotations

import os

from hypothesis import settings

# OpenTelemetry's instrumentations read it once for the process: whichever test is the first must not decide the names.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")

pytest_plugins = ["pytester"]

# No deadline for an example: machines are shared. CI generates the same examples each time: what is new is found where
# tests are written, and no change fails by what another one did. The matrix asks every interpreter, more briefly.
settings.register_profile("weaver", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("matrix", settings.get_profile("ci"), max_examples=20)
settings.load_profile("weaver")

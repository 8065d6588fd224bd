"""What holds for every test of Weaver's own."""

from __future__ import annotations

import os

from hypothesis import settings

# OpenTelemetry's instrumentations read it once for the process: whichever test is the first must not decide the names.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")

pytest_plugins = ["pytester"]

# No deadline for an example: machines are shared. The matrix asks the same on every interpreter, more briefly.
settings.register_profile("weaver", deadline=None)
settings.register_profile("matrix", deadline=None, max_examples=20)
settings.load_profile("weaver")

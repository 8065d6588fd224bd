"""What holds for every test of Weaver's own."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["pytester"]

# No deadline for an example: machines are shared. The matrix asks the same on every interpreter, more briefly.
settings.register_profile("weaver", deadline=None)
settings.register_profile("matrix", deadline=None, max_examples=20)
settings.load_profile("weaver")

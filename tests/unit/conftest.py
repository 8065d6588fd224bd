"""What every unit test starts from: no telemetry that an earlier test of the process has switched on."""

from tests.fixtures.aside import nothing_configured

__all__ = ["nothing_configured"]

"""Faults on purpose: one vocabulary for providers, Redis and the telemetry backend; and clocks under control."""

from weaver_ai.testing.faults.clock import ControlledClock, frozen, skewed
from weaver_ai.testing.faults.plan import Fault
from weaver_ai.testing.faults.session import Faults
from weaver_ai.testing.faults.spec import FaultSpec, every, fault

__all__ = ["ControlledClock", "Fault", "FaultSpec", "Faults", "every", "fault", "frozen", "skewed"]

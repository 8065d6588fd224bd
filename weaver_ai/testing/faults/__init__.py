"""Faults on purpose: one vocabulary for providers, Redis and the telemetry backend."""

from weaver_ai.testing.faults.plan import Fault
from weaver_ai.testing.faults.spec import FaultSpec, every, fault

__all__ = ["Fault", "FaultSpec", "every", "fault"]

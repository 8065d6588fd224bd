"""Telemetry: Logfire, plain OpenTelemetry, or off, behind one interface."""

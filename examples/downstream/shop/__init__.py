"""A shop: a plain FastAPI service with plain OpenTelemetry."""

"""The service as real processes, for tests that hurt them."""

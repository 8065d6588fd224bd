"""One Redis for a test: every redis-py client of the process, and every other process that is told, talks to it."""

from weaver_ai.testing.fakes.redis.handle import TestRedis

__all__ = ["TestRedis"]

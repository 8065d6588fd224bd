"""The engine on Redis, of the extra `redis`: gateways and workers make an `engine`, and the rest is in it.

- Getting there: `address` reads the URL, `pool` holds the connections, `trouble` says what is wrong with a Redis.
- Asking: `access` is the service's corner of Redis, `batch` sends what is asked for at the same time together,
  `prelude` has the keys, `scripts` every change of a task, `answers` what they give.
- Who asks: `records` for gateways, `attempts` for workers, `news` for who waits for events.
- Working: `worker` runs tasks, in the turns that docket delivers to it (`turns`), of what it serves (`serving`), and
  their events leave through the `outbox`.
"""

"""A tool or a workflow that exits ends its run, not the process that serves everybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ExitAsked", "contained"]


class ExitAsked(Exception):
    """The application's code raised SystemExit, as `sys.exit` and command line parsers do."""


@contextmanager
def contained() -> Iterator[None]:
    """Raise ExitAsked in the place of SystemExit.

    It has to be in the task in which the code runs: asyncio lets a SystemExit out of the event loop as soon as it
    leaves any task, whoever awaits that.
    """
    try:
        yield
    except SystemExit as error:
        raise ExitAsked(f"it asked the whole process to exit, with {error.code!r}: it has to raise an error") from error

"""What stands behind the fixture `faults`."""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterable
from contextlib import contextmanager

import pytest

from weaver_ai.testing.faults.matrix import FaultTests
from weaver_ai.testing.faults.session import Faults, complaint, faults_of, notes
from weaver_ai.testing.verdicts import Verdicts

__all__ = ["open_faults", "seed_of"]

_SEED = pytest.StashKey[int]()


@contextmanager
def open_faults(item: pytest.Item) -> Generator[Faults, None, None]:
    """Faults of one test; those that never strike fail it, and a failure tells what was armed."""
    seed = seed_of(item.config)
    with faults_of(item.nodeid, seed, os.environ) as faults:
        end_notes = FaultTests.of(item.config).tell("weaver faults", lambda: notes(faults.plan, seed))
        end_watch = Verdicts.of(item.config).watch(_once(faults))
        try:
            yield faults
        finally:
            faults.close()
            end_watch()
            end_notes()


def seed_of(config: pytest.Config) -> int:
    """`--weaver-faults-seed`, else one drawn for the session."""
    given: int | None = config.getoption("weaver_faults_seed")
    if given is not None:
        return given
    if _SEED not in config.stash:
        config.stash[_SEED] = random.SystemRandom().randrange(1_000_000)
    return config.stash[_SEED]


class _once:  # noqa: N801 # a function with a memory
    """The complaint about faults that never struck, given once, when the test function is over."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._said: set[int] = set()

    def __call__(self) -> Iterable[str]:
        missed = [fault for fault in self._faults.plan.missed() if id(fault) not in self._said]
        self._said.update(id(fault) for fault in missed)
        text = complaint(missed)
        return [] if text is None else [text]

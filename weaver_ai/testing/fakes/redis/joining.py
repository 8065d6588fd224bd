"""Clients of fakeredis itself share the test's server, and don't name a host that is another in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

from fakeredis import FakeServer
from fakeredis._clients import _base, _setup

from weaver_ai.testing.patches import Patches

__all__ = ["HOST", "joined"]

HOST: Final = "fakeredis"
"""The host in the spans of `fakeredis.FakeRedis()`, in place of a random one."""


@contextmanager
def joined(server: FakeServer) -> Iterator[None]:
    """Let fakeredis' clients that name no server, no host and no path use this one."""

    def around(original: Callable[..., None]) -> Callable[..., None]:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 # it replaces one
            if kwargs.get("server") is None and kwargs.get("host") == HOST:
                kwargs["server"] = server
            original(self, *args, **kwargs)

        return __init__

    patches = Patches()
    patches.replace(_base.FakeBaseConnectionMixin, "__init__", around)
    setup: Any = _setup
    uuid = setup.uuid
    setup.uuid = SimpleNamespace(uuid4=lambda: SimpleNamespace(hex=HOST))  # all that it uses of it
    try:
        yield
    finally:
        setup.uuid = uuid
        patches.undo()

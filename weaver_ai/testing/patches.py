"""Attributes of other people's classes and modules, replaced for a while."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["Patches"]


class Patches:
    """Replaced attributes of classes, put back in reverse order."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def replace(self, owner: type | ModuleType, name: str, make: Callable[[Any], Any]) -> None:
        """Set `owner.name` to `make(original)`.

        Undone only while it's still ours: somebody who wrapped it later keeps the wrapper, and with it
        our replacement, which then only forwards.
        """
        inherited = name not in vars(owner)
        original = getattr(owner, name, None) if inherited else vars(owner)[name]
        ours = make(original)
        setattr(owner, name, ours)

        def undo() -> None:
            if vars(owner).get(name) is not ours:
                return
            if inherited:
                delattr(owner, name)
            else:
                setattr(owner, name, original)

        self._undo.append(undo)

    def replace_class(self, instance: object, subclass: type) -> None:
        """Make `instance` one of `subclass` of its class; whoever holds it sees the change."""
        original = type(instance)
        instance.__class__ = subclass
        self._undo.append(lambda: setattr(instance, "__class__", original))

    def undo(self) -> None:
        while self._undo:
            self._undo.pop()()

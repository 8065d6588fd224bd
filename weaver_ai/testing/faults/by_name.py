"""Functions of a module, replaced there and wherever somebody took them by name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

__all__ = ["replaced"]

_EXCEPT: Final = (
    "weaver_ai.testing.",
    "_pytest.",
    "pytest_timeout.",
    "xdist.",
    "execnet.",
    "hypothesis.",
    "trio.",  # its clock is made of perf_counter, and nothing would move it
)


@contextmanager
def replaced(owner: ModuleType, by: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Replace functions of `owner`, there and in modules outside the standard library that hold them by name."""
    originals = {id(getattr(owner, name)): (getattr(owner, name), new) for name, new in by.items()}
    undo: list[tuple[ModuleType, str, Any, Any]] = []
    for module in [owner, *_foreign_modules()]:
        for name, value in list(vars(module).items()):
            found = originals.get(id(value))
            if found is not None:
                setattr(module, name, found[1])
                undo.append((module, name, value, found[1]))
    try:
        yield
    finally:
        for module, name, value, new in reversed(undo):
            if getattr(module, name, None) is new:
                setattr(module, name, value)


def _foreign_modules() -> list[ModuleType]:
    loaded: dict[str, ModuleType | None] = dict(sys.modules)
    return [
        module
        for name, module in loaded.items()
        if isinstance(module, ModuleType)
        and name.partition(".")[0] not in sys.stdlib_module_names
        and not f"{name}.".startswith(_EXCEPT)
    ]

"""Packages that are installed, as if they were not: for the branches that run where an extra is missing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any, Final

__all__ = ["extras", "modules_of", "without", "without_extra", "without_logfire"]

_WEAVER: Final = "weaver-ai"


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Let importing `modules` raise ModuleNotFoundError, and `find_spec` not find them, until the block ends.

    Who imported them before keeps what he has, Weaver's own modules excepted: those load again, without.
    """
    gone = tuple(modules)
    aside = {name: module for name, module in sys.modules.items() if _is_of(name, gone) or _holds(name, module, gone)}
    attributes = [found for name in aside if (found := _attribute(name)) is not None]
    for name in aside:
        del sys.modules[name]
    for parent, name, _ in attributes:
        delattr(parent, name)
    sys.modules.update(dict.fromkeys(gone))  # type: ignore[arg-type] # None is how Python marks what must not be imported
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_of(name, gone) or name in aside]:
            del sys.modules[name]
        sys.modules.update(aside)
        for parent, name, value in attributes:
            setattr(parent, name, value)


@contextmanager
def without_extra(*names: str) -> Iterator[None]:
    """As if Weaver had been installed without these extras.

    Raises:
        ValueError: for a name that is none of Weaver's extras.
    """
    known = extras()
    for name in names:
        if name not in known:
            raise ValueError(f"weaver-ai has no extra {name!r}; it has {', '.join(sorted(known))}")
    with ExitStack() as stack:
        if "logfire" in names:
            stack.enter_context(_telemetry_aside())
        stack.enter_context(without(*(module for name in names for module in modules_of(known[name]))))
        yield


@contextmanager
def without_logfire() -> Iterator[None]:
    """Logfire can't be imported, and telemetry chooses again: what was configured is set aside, and comes back.

    Inside, OpenTelemetry's global providers are unset, as in a process that has just begun.
    """
    with _telemetry_aside(), without("logfire"):
        yield


def extras() -> Mapping[str, tuple[str, ...]]:
    """Weaver's extras with the distributions that each brings."""
    found: dict[str, list[str]] = {}
    for requirement in metadata.requires(_WEAVER) or ():
        name, _, marker = requirement.partition(";")
        if "extra ==" in marker:
            extra = marker.split("extra ==")[1].strip().strip("'\"")
            found.setdefault(extra, []).append(_name_in(name))
    return {extra: tuple(names) for extra, names in found.items()}


def modules_of(distributions: Iterable[str]) -> list[str]:
    """The packages that only these distributions bring: the topmost, also inside a namespace as `opentelemetry`."""
    return [module for name in distributions for module in _modules_of(name)]


def _modules_of(distribution: str) -> list[str]:
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    packages = {PurePosixPath(file).parent for file in files if file.name == "__init__.py"}
    return sorted(
        ".".join(package.parts)
        for package in packages
        if package.parts and not any(parent in packages for parent in package.parents)
    )


def _name_in(requirement: str) -> str:
    for at, character in enumerate(requirement):
        if not (character.isalnum() or character in "-_."):
            return requirement[:at].strip()
    return requirement.strip()


def _is_of(name: str, gone: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in gone)


def _holds(name: str, module: ModuleType | None, gone: tuple[str, ...]) -> bool:
    """Whether one of Weaver's modules imported what is to be gone."""
    if module is None or not name.startswith("weaver_ai.") or name.startswith("weaver_ai.testing"):
        return False
    return any(
        _is_of(value.__name__ if isinstance(value, ModuleType) else str(getattr(value, "__module__", "")), gone)
        for value in list(vars(module).values())
    )


def _attribute(name: str) -> tuple[ModuleType, str, Any] | None:
    """The module as its parent package holds it, by which `from parent import it` would still find it."""
    parent_name, _, own = name.rpartition(".")
    parent = sys.modules.get(parent_name)
    if parent is None or own not in vars(parent) or not isinstance(vars(parent)[own], ModuleType):
        return None
    return parent, own, vars(parent)[own]


@contextmanager
def _telemetry_aside() -> Iterator[None]:
    """Weaver's telemetry and OpenTelemetry's providers as before anybody configured them, for a while."""
    if find_spec("opentelemetry.sdk") is None:
        yield
        return
    from opentelemetry import propagate  # noqa: PLC0415 # only with the fixture

    from weaver_ai.telemetry import instrument, log_bridge, runtime  # noqa: PLC0415 # only with the fixture

    before = runtime.current_telemetry()
    textmap = propagate.get_global_textmap()
    held = [(owner, name, getattr(owner, name)) for owner, name, _ in _globals()]
    for owner, name, fresh in _globals():
        setattr(owner, name, fresh)
    try:
        yield
    finally:
        chosen = runtime.current_telemetry()
        log_bridge.remove_bridge()
        if chosen.enabled:
            chosen.shutdown()
        for owner, name, value in held:
            setattr(owner, name, value)
        propagate.set_global_textmap(textmap)
        if before.enabled:
            log_bridge.install_bridge(before)
        instrument.refresh(before)


def _globals() -> Iterator[tuple[Any, str, Any]]:
    """What remembers that telemetry was configured, with the value of a fresh process."""
    from opentelemetry.util._once import Once  # noqa: PLC0415 # only with the fixture

    for module, provider in (
        ("opentelemetry.trace", "_TRACER_PROVIDER"),
        ("opentelemetry.metrics._internal", "_METER_PROVIDER"),
        ("opentelemetry._logs._internal", "_LOGGER_PROVIDER"),
    ):
        owner = importlib.import_module(module)
        yield owner, provider, None
        yield owner, f"{provider}_SET_ONCE", Once()
    configure = importlib.import_module("weaver_ai.telemetry.configure")
    for name, fresh in (("settings", None), ("resource", None), ("user_propagator", None), ("said", set())):
        yield configure._State, name, fresh
    yield importlib.import_module("weaver_ai.telemetry.runtime"), "_active", None
    yield importlib.import_module("weaver_ai.telemetry.otel_backend"), "_installed", None

"""`module:attribute` as users write it on the command line, to a Weaver object."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Final

from pydantic_ai.exceptions import UserError

from weaver_ai.agents.registry import Weaver, did_you_mean
from weaver_ai.errors import TargetError, WeaverError

__all__ = ["BUILT_IN_TARGET", "load_target"]

_KEY_HINT: Final = (
    "a provider's key goes into the environment or into .env; with Agent(..., defer_model_check=True) none is needed "
    "to import the module"
)
_FORM: Final = "write module:attribute, for instance my_package.agents:weaver"
_LONGEST: Final = 300  # characters of what the user's code said
BUILT_IN_TARGET = "weaver_ai.agents.support_desk:weaver"


def load_target(target: str | None = None) -> Weaver:
    """Import the Weaver object that `target` names, e.g. `my_package.agents:weaver`; the support desk for None.

    A function without parameters that returns a Weaver will do as well.

    Raises:
        TargetError: it doesn't lead to a Weaver object, and the message, of one line, says where the way ends.
    """
    target = target if target is not None else BUILT_IN_TARGET
    module_name, _, attribute = target.partition(":")
    _check(target, module_name, attribute)
    found: object = _import(module_name, target)
    for name in attribute.split("."):
        with _users_code(f"{target!r}: looking for {name!r}", module_name):
            there = hasattr(found, name)
        if not there:
            raise TargetError(f"{target!r}: {_subject(found)} has no attribute {name!r}", hint=_hint(name, found))
        found = getattr(found, name)
    if callable(found) and not isinstance(found, type):
        found = _called(found, target, module_name)
    if not isinstance(found, Weaver):
        raise TargetError(f"{target!r} is {_kind(found)}, not a Weaver", hint="name the object that Weaver(...) gave")
    return found


def _check(target: str, module_name: str, attribute: str) -> None:
    if "/" in module_name or "\\" in module_name or module_name.endswith(".py"):
        dotted = module_name.removesuffix(".py").removeprefix("./").replace("/", ".").replace("\\", ".")
        guess = f"{dotted}:{attribute or 'weaver'}"
        raise TargetError(f"{target!r} is a file's name", hint=_FORM if dotted.startswith(".") else f"write {guess}")
    if not module_name or not attribute or module_name.startswith("."):
        raise TargetError(f"{target!r} is no target", hint=_FORM)


def _import(name: str, target: str) -> ModuleType:
    with _users_code(f"{target!r}: importing {name!r}", name):
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            # Only when it is the module asked for, or a parent of it; else something that it imports is missing.
            if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
                raise TargetError(
                    f"{target!r}: there is no module {error.name!r}",
                    hint="run it from the directory that holds the module, or install the package",
                ) from error
            raise


def _called(function: Callable[..., object], target: str, module_name: str) -> object:
    if inspect.iscoroutinefunction(function):
        raise TargetError(f"{target!r} is an async function", hint="name a plain one that returns a Weaver")
    if any(each.default is each.empty for each in _parameters(function)):
        raise TargetError(f"{target!r} is a function that wants arguments, and it gets none")
    with _users_code(f"{target!r}: calling it", module_name):
        return function()


def _parameters(function: Callable[..., object]) -> Iterator[inspect.Parameter]:
    for each in inspect.signature(function).parameters.values():
        if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}:
            yield each


@contextmanager
def _users_code(doing: str, module_name: str) -> Iterator[None]:
    """What the user's code raises becomes one line that says what was done, what was raised and where."""
    try:
        yield
    except TargetError:
        raise
    except WeaverError as error:
        raise TargetError(f"{doing} failed: {error.message}{_where(error, module_name)}", hint=error.hint) from error
    except UserError as error:
        hint = _KEY_HINT if "_API_KEY" in error.message else None
        raise TargetError(f"{doing} failed: {error.message}{_where(error, module_name)}", hint=hint) from error
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise TargetError(f"{doing} failed: {_said(error)}{_where(error, module_name)}") from error


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError):
        return text
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _where(error: BaseException, module_name: str) -> str:
    """The innermost line of the user's own package that led to it; a SyntaxError says its own."""
    package = module_name.partition(".")[0]
    found = ""
    for frame, line in walk_tb(error.__traceback__ if not isinstance(error, SyntaxError) else None):
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package:
            found = f" ({Path(frame.f_code.co_filename).name}, line {line})"
    return found


def _subject(found: object) -> str:
    return f"the module {found.__name__!r}" if isinstance(found, ModuleType) else f"{type(found).__name__!r}"


def _kind(found: object) -> str:
    return f"the class {found.__name__!r}" if isinstance(found, type) else f"of the type {type(found).__name__!r}"


def _hint(name: str, found: object) -> str | None:
    weavers = (
        {key: value for key, value in vars(found).items() if isinstance(value, Weaver)}
        if hasattr(found, "__dict__")
        else {}
    )
    return did_you_mean(name, weavers)

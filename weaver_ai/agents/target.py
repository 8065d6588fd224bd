"""`module:attribute` as users write it on the command line, to a Weaver object."""

from __future__ import annotations

from importlib import import_module
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
BUILT_IN_TARGET = "weaver_ai.agents.support_desk:weaver"


def load_target(target: str | None = None) -> Weaver:
    """Import the Weaver object that `target` names, e.g. `my_package.agents:weaver`; the support desk for None.

    A function without parameters that returns a Weaver will do as well.

    Raises:
        TargetError: it doesn't lead to a Weaver object, and the message says where the way ends.
    """
    target = target if target is not None else BUILT_IN_TARGET
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise TargetError(
            f"{target!r} is no target", hint="write module:attribute, for instance my_package.agents:weaver"
        )
    found: object = _import(module_name, target)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise TargetError(f"{target!r}: {_subject(found)} has no attribute {name!r}", hint=_hint(name, found))
        found = getattr(found, name)
    if callable(found) and not isinstance(found, type):
        found = found()
    if not isinstance(found, Weaver):
        raise TargetError(f"{target!r} is {_kind(found)}, not a Weaver", hint="name the object that Weaver(...) gave")
    return found


def _import(name: str, target: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # Only when it is the module asked for, or a parent of it; else something that it imports is missing.
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise TargetError(
                f"{target!r}: there is no module {error.name!r}",
                hint="run it from the directory that holds the module, or install the package",
            ) from error
        raise TargetError(f"{target!r}: importing {name!r} failed: {error}") from error
    except WeaverError as error:
        raise TargetError(f"{target!r}: importing {name!r} failed: {error.message}", hint=error.hint) from error
    except UserError as error:
        hint = _KEY_HINT if "_API_KEY" in error.message else None
        raise TargetError(f"{target!r}: importing {name!r} failed: {error.message}", hint=hint) from error
    except Exception as error:  # the module is the user's code, which may raise anything
        raise TargetError(f"{target!r}: importing {name!r} failed: {type(error).__name__}: {error}") from error


def _subject(found: object) -> str:
    return f"the module {found.__name__!r}" if isinstance(found, ModuleType) else f"{type(found).__name__!r}"


def _kind(found: object) -> str:
    return f"the class {found.__name__!r}" if isinstance(found, type) else f"a {type(found).__name__!r}"


def _hint(name: str, found: object) -> str | None:
    weavers = (
        {key: value for key, value in vars(found).items() if isinstance(value, Weaver)}
        if hasattr(found, "__dict__")
        else {}
    )
    return did_you_mean(name, weavers)

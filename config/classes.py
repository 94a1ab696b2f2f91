"""Classes that settings name: `"package.module:Class"`."""

import importlib
import traceback
from typing import TypeVar

__all__ = ["ClassNotFound", "load_class"]

T = TypeVar("T")


class ClassNotFound(Exception):
    """What a setting names is no class of the kind that is needed; one sentence says why."""


def load_class(where: str, target: str, base: type[T], called: str) -> type[T]:
    """Import the class that the setting at `where` names; it must be a subclass of `base`.

    `called` is the name of `base` as users know it. Raises `ClassNotFound`, whose sentence names
    the setting and the remedy.
    """
    named = f"{where} names '{target}'"
    module_name, _, class_name = target.partition(":")
    if not module_name or not class_name:
        raise ClassNotFound(f"{named}, which is not of the form 'package.module:Class'.")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ClassNotFound(
            f"{named}, but there is no module '{error.name}'; start the pod in the folder "
            "that holds it, or install it."
        ) from error
    except (Exception, SystemExit, GeneratorExit) as error:  # KeyboardInterrupt is somebody's key
        raise ClassNotFound(
            f"{named}, but importing it failed with {_error_text(error)}"
        ) from error
    found = getattr(module, class_name, None)
    if found is None:
        raise ClassNotFound(f"{named}, but the module has no '{class_name}'.")
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ClassNotFound(f"{named}, which is not a subclass of {called}.")
    return found


def _error_text(error: BaseException) -> str:
    """Return an exception's class and text, whatever its own `__str__` does."""
    return "".join(traceback.format_exception_only(error)).strip()

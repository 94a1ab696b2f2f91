"""The scenarios that are shipped, by name; and those of a file."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from .errors import UnknownScenario
from .reading import parse, read_scenario
from .schema import Scenario

__all__ = ["find", "names", "shipped"]

_FOLDER: Final = resources.files("deployd.tools.chaos").joinpath("scenarios")


@cache
def names() -> Sequence[str]:
    """Return the names of all that are shipped."""
    files = (file.name for file in _FOLDER.iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


@cache
def shipped(name: str) -> Scenario:
    """Return the one of a name. Raises `UnknownScenario`."""
    if name not in names():
        like = get_close_matches(name, names(), 1)
        hint = f"did you mean {like[0]}?" if like else "`deployd chaos list` names them all."
        raise UnknownScenario(f"There is no scenario {name}; {hint}")
    text = _FOLDER.joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return parse(text, name, f"{name}.toml")


def find(name: str) -> Scenario:
    """Return the scenario of a file, if it is called as one, or that of a name."""
    return read_scenario(Path(name)) if name.endswith(".toml") else shipped(name)

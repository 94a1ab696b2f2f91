"""What is installed: named by version and hash, and within what the project says it needs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[1]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRA: Final = PROJECT["project"]["optional-dependencies"]
NEEDED: Final = [
    *map(Requirement, PROJECT["project"]["dependencies"]),
    *map(Requirement, EXTRA["postgres"]),
    *map(Requirement, PROJECT["build-system"]["requires"]),
]
PACKAGES: Final = ("config", "transport", "client", "actors", "documents", "supervisors", "tools")


def entries() -> dict[str, str]:
    """Read requirements.lock: what it says of each package, by its name."""
    text = (ROOT / "requirements.lock").read_text()
    found = re.findall(r"^(\S+)==((?:.|\n)*?)(?=^\S|\Z)", text, re.MULTILINE)
    return {canonicalize_name(name): said for name, said in found}


def version(name: str) -> str:
    return re.split(r"[ \\\n]", entries()[canonicalize_name(name)])[0]


@pytest.mark.parametrize("needed", NEEDED, ids=lambda needed: needed.name)
def test_the_lock_file_is_as_new_as_what_the_project_needs(needed: Requirement) -> None:
    remedy = f"{needed} is not what requirements.lock has; run 'make lock'"
    assert canonicalize_name(needed.name) in entries(), remedy
    assert needed.specifier.contains(version(needed.name)), remedy


def test_the_lock_file_has_nothing_that_the_project_needs_no_more() -> None:
    direct = {name for name, said in entries().items() if re.search(r"via\s[^=]*\bdeployd\b", said)}
    needed = {canonicalize_name(needed.name) for needed in NEEDED}
    assert direct <= needed, "run 'make lock'"


def test_every_entry_of_the_lock_file_has_hashes_and_none_has_an_address() -> None:
    for name, said in entries().items():
        assert "--hash=sha256:" in said, name
    assert "://" not in (ROOT / "requirements.lock").read_text()


def imported() -> set[str]:
    """Name the modules of others that the packages import."""
    names: set[str] = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    names.update(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    names.add(node.module)
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


def test_every_library_that_is_imported_is_declared() -> None:
    declared: set[str] = {canonicalize_name(needed.name) for needed in NEEDED}
    declared |= {canonicalize_name(Requirement(needed).name) for needed in EXTRA["targets"]}
    declared |= {"nkeys"}  # comes with nats-py's extra of that name
    homes = packages_distributions()
    undeclared = {
        name
        for name in imported() - {"deployd"}
        if declared.isdisjoint(map(canonicalize_name, homes[name]))
    }
    assert not undeclared


PRIVATE: Final = ["aiormq", "nats-py", "redis"]


@pytest.mark.parametrize("library", PRIVATE)
def test_a_library_whose_private_parts_are_used_is_let_in_up_to_what_was_tested(
    library: str,
) -> None:
    [needed] = [needed for needed in NEEDED if canonicalize_name(needed.name) == library]
    assert any(bound.operator == "<" for bound in needed.specifier), f"{library} has no upper bound"

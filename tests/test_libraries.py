"""Every reach into a library's private names is in `docs/libraries.md`, with a test that guards it.

A reach is found in the source: a private name of anything but `self` that no class here has; a
private name in a class that is made from a library's, where that one has it too; and private
names that are imported, or asked for by `getattr`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest
from test_architecture import MODULES, ROOT

OWN = ("deployd", "builtins", "abc", "typing", "enum")
"""Whose classes have no private parts that a class of ours could reach into."""
Reach = tuple[str, str]
"""A file of ours, and a private name of somebody else's."""


def is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.endswith("__")


def own_names(tree: ast.AST) -> Iterator[str]:
    """Yield what is defined, annotated, or set on `self` or `cls`."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                yield name
            case ast.Attribute(ast.Name("self" | "cls"), attr, ast.Store()):
                yield attr
            case ast.AnnAssign(ast.Name(name)):
                yield name


def reaches(path: str, source: str, module: ModuleType | None, ours: frozenset[str]) -> set[Reach]:
    """Find the private names of others in a file; `module` is what it is when it is imported."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(ast.Name("self" | "cls") | ast.Call(ast.Name("super"))):
                pass  # seen with its class, below
            case ast.Attribute(_, name) if is_private(name) and name not in ours:
                found.add(name)
            case ast.Call(ast.Name("getattr" | "setattr" | "hasattr"), [_, ast.Constant(name), *_]):
                found.update({str(name)} if is_private(name) else ())
            case ast.ImportFrom(module=folders, names=names, level=0):
                parts = [*(folders or "").split("."), *(alias.name for alias in names)]
                found.update(filter(is_private, parts))
            case ast.ClassDef(name) if module is not None:
                cls = getattr(module, name, None)
                found.update(inherited(cls, node) if isinstance(cls, type) else ())
    return {(path, name) for name in found}


def inherited(cls: type, node: ast.ClassDef) -> Iterator[str]:
    """Yield the private names in a class that classes of others, which it is made from, have."""
    theirs = "".join(
        _source(base) for base in cls.__mro__[1:] if not base.__module__.startswith(OWN)
    )
    for inner in ast.walk(node):
        match inner:
            case ast.Attribute(attr=name) | ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
                plain = re.sub(r"^_[A-Z]\w*?(?=__)", "", name)  # as the class itself writes it
                if is_private(name) and re.search(rf"\b{plain}\b", theirs):
                    yield name


@lru_cache
def _source(cls: type) -> str:
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):  # written in C
        return ""


def found_in_the_source() -> set[Reach]:
    sources = {path: (ROOT / path).read_text() for path in MODULES}
    ours = frozenset(name for text in sources.values() for name in own_names(ast.parse(text)))
    found: set[Reach] = set()
    for path, text in sources.items():
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        found |= reaches(str(path), text, importlib.import_module(f"deployd.{name}"), ours)
    return found


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield the parts, the places and the guards of each row of both tables, in that order."""
    for line in (ROOT / "docs" / "libraries.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and "`" in line:
            yield cells[1], cells[2], cells[4]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_reach_into_a_library_is_in_the_table_and_every_row_of_it_is_one() -> None:
    listed = {
        (place, part)
        for parts, places, _ in rows()
        for part in quoted(parts)
        if is_private(part)
        for place in quoted(places)
    }
    found = found_in_the_source()
    assert found - listed == set(), "docs/libraries.md does not say why, and what guards it"
    assert listed - found == set(), "nothing reaches there any more"


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in rows()])
def test_what_is_said_to_guard_a_part_is_there(row: tuple[str, str, str]) -> None:
    _, places, guards = row
    assert all((ROOT / place).is_file() for place in quoted(places))
    assert quoted(guards)
    for guard in quoted(guards):
        path, _, name = guard.partition("::")
        assert f"def {name}" in (ROOT / path).read_text()


@pytest.mark.parametrize(
    "source",
    [
        "import library\nlibrary.thing._secret\n",
        "getattr(library, '_secret', None)\n",
        "from library import _secret\n",
        "from library._secret import thing\n",
    ],
)
def test_a_reach_into_a_library_is_found(source: str) -> None:
    assert reaches("a.py", source, None, frozenset({"_own"})) == {("a.py", "_secret")}


def test_what_is_our_own_is_no_reach() -> None:
    source = "self._secret\nother._own\nthing.__class__\nfrom ._mine import thing\n"
    assert reaches("a.py", source, None, frozenset({"_own"})) == set()


def test_a_private_name_that_a_library_has_too_is_found_in_a_class_made_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = "class Base:\n    def __init__(self):\n        self._secret = 1\n"
    (tmp_path / "some_library.py").write_text(library)
    source = "import some_library\nclass Ours(some_library.Base):\n    def _own(self):\n"
    source += "        return self._secret, self._own\n"
    (tmp_path / "made_of_it.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("made_of_it")
    assert reaches("a.py", source, module, frozenset({"_own"})) == {("a.py", "_secret")}

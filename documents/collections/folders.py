"""What lies in the folder of collections: looked at in a thread, for disks and scripts block.

Others make, change and remove what lies there at the same time (an editor, `git checkout`, `rsync
--delete`), and not all of it is what it should be. So each entry is looked at on its own, and one
that cannot be read is a problem of this entry.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from ...actors import error_text
from ...config import Definition, check_collection_name, read_definition, read_regular
from ..scripts import EVENTS, Interrupted, Interruption, Scripts, load_scripts
from ..users import USERS, users_document

__all__ = ["CONFIG", "FolderContent", "FolderScan", "make_folder"]

CONFIG: Final = "config.json"

MAX_COLLECTIONS: Final = 1000
"""Folders that are looked at; the log says that there are more."""

MAX_CONFIG_BYTES: Final = 2**20

_FILES: Final = frozenset({CONFIG, *(f"{event}.py" for event in EVENTS)})

Stamps = frozenset[tuple[str, int, int]]
"""How a folder's files look: name, when changed (nanoseconds), size (bytes)."""


@frozen
class FolderContent:
    """A folder as it was read: its definition and scripts, or the `problem` that it has."""

    stamps: Stamps
    definition: Definition | None = None
    scripts: Scripts | None = None
    problem: str = ""

    @property
    def whole(self) -> bool:
        """Whether all of it could be read; what could not may have been half written."""
        scripts = self.scripts
        return scripts is not None and all(one.run for one in scripts.by_event.values())


class FolderScan:
    """One look at the folder, in a thread of its own: `run` it there, and `stop` it from outside.

    `known` is what earlier looks found: it is read again when it has changed, where `reload` says
    so, or where it could not all be read. `at` names the folder that is being read, `gone` those
    that are known and have no definition any more, `problem` what is wrong with the folder of them
    all.
    """

    def __init__(self, folder: Path, known: Mapping[str, FolderContent], *, reload: bool) -> None:
        self._folder = folder
        self._known = dict(known)
        self._reload = reload
        self._interruption: Interruption | None = None
        self._stopped = False
        self.found: dict[str, FolderContent] = {}
        self.at: tuple[str, Stamps] | None = None
        self.gone: frozenset[str] = frozenset()
        self.problem = ""

    def run(self) -> None:
        """Read what is new or has changed."""
        interruption = Interruption()
        try:
            try:
                # In this order, and `stop` the other way round: one of the two sees the other.
                self._interruption = interruption
                for path in self._folders():
                    if self._stopped:
                        break
                    self._read_folder(path)
                self.gone = frozenset(filter(self._is_gone, self._known))
            finally:
                interruption.leave()
        except Interrupted:
            pass

    def stop(self) -> dict[str, FolderContent]:
        """End the look from outside, and return what it has found until now.

        What it is at keeps the thread no longer than it must.
        """
        self._stopped = True
        if self._interruption is not None:
            self._interruption.interrupt()
        return dict(self.found)

    def _folders(self) -> Iterator[Path]:
        try:
            paths = sorted(self._folder.iterdir())
        except FileNotFoundError:  # there is none, and none is needed, unless there was one
            self.problem = "it is gone; its collections stay as they are" if self._known else ""
            return
        except OSError as error:
            self.problem = error_text(error)
            return
        looked_at = 0
        for path in paths:
            if path.name.startswith((".", "_")) or not _may_be_one(path):
                continue
            if looked_at == MAX_COLLECTIONS:
                self.problem = f"there are more than {MAX_COLLECTIONS}; the rest is left out"
                return
            looked_at += 1
            yield path

    def _is_gone(self, name: str) -> bool:
        """Whether a folder has gone, or its definition: looked at by itself, whatever is listed.

        Where they all lie is to be there: a disk that is not mounted says nothing of collections.
        """
        return not self.problem and not _may_be_one(self._folder / name)

    def _read_folder(self, path: Path) -> None:
        name, known = path.name, self._known.get(path.name)
        try:
            stamps = _stamps(path)
        except OSError as error:
            unreadable: Stamps = frozenset({(error_text(error), 0, 0)})
            if known is None or known.stamps != unreadable:
                self.found[name] = FolderContent(unreadable, problem=error_text(error))
            return
        if known is None or (known.stamps != stamps and (self._reload or not known.whole)):
            self.at = name, stamps
            found = _read(path, stamps)
            self.at = None
            if not _changes(path, stamps):  # else it is being written: the next look takes it
                self.found[name] = found


def make_folder(folder: Path) -> None:
    """Make the folder of a collection that keeps whatever it is given. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / CONFIG
    if not config.exists():
        config.write_bytes(orjson.dumps({"properties": {}}, option=orjson.OPT_INDENT_2))


def _may_be_one(path: Path) -> bool:
    """Whether there is a definition, be it a bad one, or something is in the way of looking."""
    try:
        os.lstat(path / CONFIG)
    except NotADirectoryError:  # a file that lies there
        return False
    except FileNotFoundError:  # no definition, or a link to nothing
        return path.is_symlink() and not path.exists()
    except OSError:
        return True
    return True


def _stamps(folder: Path) -> Stamps:
    """Look at the files of a folder. Raises `OSError` when it cannot be looked into."""
    with os.scandir(folder) as entries:
        return frozenset(_stamp(entry) for entry in entries if entry.name in _FILES)


def _changes(folder: Path, stamps: Stamps) -> bool:
    try:
        return _stamps(folder) != stamps
    except OSError:
        return True


def _stamp(entry: os.DirEntry[str]) -> tuple[str, int, int]:
    try:
        status = entry.stat()
    except OSError:  # it dangles, or has gone meanwhile: reading it says what is wrong
        return entry.name, 0, -1
    return entry.name, status.st_mtime_ns, status.st_size


def _read(folder: Path, stamps: Stamps) -> FolderContent:
    name, config = folder.name, folder / CONFIG
    sentence = check_collection_name(name)
    if sentence is not None:
        return FolderContent(stamps, problem=sentence)
    try:
        document = orjson.loads(read_regular(config, MAX_CONFIG_BYTES))
        if name == USERS:
            document = users_document(document)
        definition = read_definition(name, document, f"file {config}")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is this one's
        return FolderContent(stamps, problem=f"{config}: {error_text(error)}")
    if name == USERS and definition.no_store:
        return FolderContent(stamps, problem=f"{config}: users are kept; take noStore out")
    return FolderContent(stamps, definition, load_scripts(name, folder))

"""Finding collections: each folder with a `config.json` is one, and its scripts lie beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson
import trio
from attrs import frozen

from ...config import ConfigError, Definition, check_collection_name, get_logger, read_definition
from .directory import Directory
from .scripts import Scripts, load_scripts
from .users import USERS, users_document

__all__ = ["CONFIG", "Discovery"]

CONFIG: Final = "config.json"
LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the folder."""

MAX_COLLECTIONS: Final = 1000
"""Folders that are looked at; more are named in the log and left out."""

MAX_CONFIG_BYTES: Final = 2**20

_log = get_logger("collections")

Stamps = frozenset[tuple[str, int, int]]
"""How a folder's files look: name, when changed (nanoseconds), size (bytes)."""


@frozen
class _Found:
    """A folder as it was read: its definition and scripts, or why it cannot be had."""

    stamps: Stamps
    definition: Definition | None = None
    scripts: Scripts | None = None
    problem: str = ""


class Discovery:
    """Looks into the folder of collections and installs what it finds there.

    New folders are taken whenever they appear; files that change, when `reload` says so. One that
    cannot be read is named in the log once, and does not disturb the others.
    """

    def __init__(self, folder: Path, directory: Directory, *, reload: bool) -> None:
        self._folder = folder
        self._directory = directory
        self._reload = reload
        self._known: dict[str, Stamps] = {}
        self._looking = trio.Lock()

    async def run(self, started: Callable[[], None]) -> None:
        """Look once, say so, and go on looking."""
        await self.look()
        started()
        while True:
            await trio.sleep(LOOK_EVERY)
            await self.look()

    async def look(self) -> None:
        """Install what is new, and what has changed where it is to be reloaded."""
        async with self._looking:
            found = await trio.to_thread.run_sync(_scan, self._folder, self._known, self._reload)
            for name, one in found.items():
                self._known[name] = one.stamps
                if one.definition is not None and one.scripts is not None:
                    self._directory.install(one.definition, one.scripts)
                    _log.info("collection", name=name, scripts=sorted(one.scripts.by_event))
                else:
                    _log.error("a collection cannot be read", name=name, reason=one.problem)
            if self._directory.find(USERS) is None and USERS not in self._known:
                definition = read_definition(USERS, users_document({}))
                self._directory.install(definition, load_nothing(USERS))

    async def look_for(self, name: str) -> None:
        """Look at once when there is a folder of that name, which is not installed yet."""
        config = self._folder / name / CONFIG
        if name not in self._known and await trio.to_thread.run_sync(config.is_file):
            await self.look()

    async def create(self, name: str) -> None:
        """Make the folder of a new collection that keeps whatever it is given, and install it."""
        await trio.to_thread.run_sync(_create, self._folder / name)
        await self.look()


def load_nothing(name: str) -> Scripts:
    """Return the scripts of a collection without a folder: none."""
    return load_scripts(name, Path("/nonexistent"))


def _create(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / CONFIG
    if not config.exists():
        config.write_bytes(orjson.dumps({"properties": {}}, option=orjson.OPT_INDENT_2))


# In a thread ----------------------------------------------------------------------------------


def _scan(folder: Path, known: dict[str, Stamps], reload: bool) -> dict[str, _Found]:
    found = {}
    for path in _folders(folder):
        stamps = _stamps(path)
        if path.name not in known or (reload and known[path.name] != stamps):
            found[path.name] = _read(path, stamps)
    return found


def _folders(folder: Path) -> list[Path]:
    try:
        inside = sorted(path for path in folder.iterdir() if (path / CONFIG).is_file())
    except OSError:  # there is none, and none is needed
        return []
    return [path for path in inside if not path.name.startswith((".", "_"))][:MAX_COLLECTIONS]


def _stamps(folder: Path) -> Stamps:
    seen = set()
    for path in folder.iterdir():
        if path.suffix in (".py", ".json"):
            status = path.stat()
            seen.add((path.name, status.st_mtime_ns, status.st_size))
    return frozenset(seen)


def _read(folder: Path, stamps: Stamps) -> _Found:
    name, config = folder.name, folder / CONFIG
    sentence = check_collection_name(name)
    if sentence is not None:
        return _Found(stamps, problem=sentence)
    try:
        with config.open("rb") as file:
            document = orjson.loads(file.read(MAX_CONFIG_BYTES))
        if name == USERS:
            document = users_document(document)
        definition = read_definition(name, document, f"file {config}")
    except (OSError, orjson.JSONDecodeError, ConfigError) as error:
        return _Found(stamps, problem=f"{config}: {error}")
    if name == USERS and definition.no_store:
        return _Found(stamps, problem=f"{config}: users are kept; take noStore out")
    return _Found(stamps, definition, load_scripts(name, folder))

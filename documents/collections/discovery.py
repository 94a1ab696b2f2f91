"""Finding collections: each folder with a `config.json` is one, and its scripts lie beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import trio

from ...actors import EnvironmentFailure
from ...config import get_logger, read_definition
from ...transport import NoThread, in_thread
from ..errors import RequestRefused
from ..scripts import Scripts, load_scripts
from ..users import USERS, users_document
from .directory import Directory
from .folders import CONFIG, FolderContent, FolderScan, make_folder

__all__ = ["Discovery"]

SCAN_EVERY: Final = 1.0
"""Seconds between two looks at the folder."""

SCAN_WITHIN: Final = 10.0
"""Seconds that one look may take. Reading takes milliseconds; a script that is executed for the
first time may never end, and the folder that it lies in is then left alone until it changes."""

_log = get_logger("collections")


class Discovery:
    """Looks into the folder of collections and installs what it finds there.

    New folders are taken whenever they appear; files that change, when `reload` says so. A folder
    that two looks in a row have not found takes its collection along: one alone may have come
    while it was being replaced. What cannot be read is named in the log once, does not disturb the
    others, and is read again when it changes.
    """

    def __init__(self, folder: Path, directory: Directory, *, reload: bool) -> None:
        self._folder = folder
        self._directory = directory
        self._reload = reload
        self._known: dict[str, FolderContent] = {}
        self._missing: frozenset[str] = frozenset()
        self._problem = ""
        self._scanning = trio.Lock()

    async def run(self, started: Callable[[], None]) -> None:
        """Look once, say so, and go on looking."""
        await self._rescan()
        started()
        while True:
            await trio.sleep(SCAN_EVERY)
            await self._rescan()

    async def scan(self) -> None:
        """Install what is new, and what has changed where it is to be reloaded.

        Raises `NoThread`.
        """
        async with self._scanning:
            scan = FolderScan(self._folder, self._known, reload=self._reload)
            with trio.move_on_after(SCAN_WITHIN) as scope:
                await in_thread(scan.run, abandon=True)
            found = self._cut_short(scan) if scope.cancelled_caught else scan.found
            self._report(scan.problem)
            for name in sorted(scan.gone & self._missing):
                self._remove(name)
            self._missing = scan.gone
            for name, one in found.items():
                self._install(name, one)
            if self._directory.find(USERS) is None and USERS not in self._known:
                self._install_users()

    async def scan_for(self, name: str) -> None:
        """Look at once when there is a folder of that name, which is not installed yet.

        Raises `RequestRefused` (503) when that cannot be known now.
        """
        if name not in self._known:
            config = self._folder / name / CONFIG
            try:
                if await in_thread(partial(_is_there, config)):
                    await self.scan()
            except NoThread as error:
                raise RequestRefused(
                    503,
                    "The pod has too much to do at the moment; try again later.",
                    headers={"Retry-After": "2"},
                    detail=str(error),
                ) from error

    async def create(self, name: str) -> None:
        """Make the folder of a new collection that keeps whatever it is given, and install it.

        Raises `RequestRefused` (503) when it cannot be made.
        """
        try:
            await in_thread(partial(make_folder, self._folder / name))
            await self.scan()
        except (OSError, NoThread) as error:
            sentence = f"The folder of '{name}' cannot be made; the pod's log says why."
            _log.warning("a collection cannot be made", name=name, reason=str(error))
            raise RequestRefused(503, sentence, headers={"Retry-After": "2"}) from error

    async def _rescan(self) -> None:
        try:
            await self.scan()
        except NoThread as error:
            raise EnvironmentFailure(str(error)) from error

    def _install(self, name: str, found: FolderContent) -> None:
        if found.definition is None or found.scripts is None:
            self._known[name] = found
            _log.error("a collection cannot be read", name=name, reason=found.problem)
            return
        if self._directory.install(found.definition, found.scripts):
            self._known[name] = found
            _log.info("collection", name=name, scripts=sorted(found.scripts.by_event))

    def _remove(self, name: str) -> None:
        """Let a collection go. One whose name differed by case alone may come now."""
        alike = [known for known in self._known if known.casefold() == name.casefold()]
        for each in alike:
            del self._known[each]
        if name == USERS:  # they are always there
            self._install_users()
            return
        self._directory.remove(name)
        _log.info("a collection has gone with its folder; its documents stay", name=name)

    def _install_users(self) -> None:
        """Install users as they are without a folder."""
        definition = read_definition(USERS, users_document({}))
        self._directory.install(definition, load_nothing(USERS))

    def _cut_short(self, scan: FolderScan) -> dict[str, FolderContent]:
        """Return what a look has read before it got stuck, and where it is."""
        at, found = scan.at, scan.stop()
        if at is not None:
            name, stamps = at
            problem = f"reading it and its scripts takes more than {SCAN_WITHIN:g} s"
            found[name] = FolderContent(stamps, problem=problem)
        return found

    def _report(self, problem: str) -> None:
        if problem and problem != self._problem:
            _log.error("not all collections can be seen", folder=str(self._folder), reason=problem)
        self._problem = problem


def load_nothing(name: str) -> Scripts:
    """Return the scripts of a collection without a folder: none."""
    return load_scripts(name, Path("/nonexistent"))


def _is_there(config: Path) -> bool:
    try:
        return config.is_file()
    except OSError:  # a look says what is wrong with it
        return True

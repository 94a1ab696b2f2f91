"""Starting again in the same process when a developer saves a file."""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final, NoReturn

import trio
from watchfiles import awatch

from ..config import get_logger
from .changes import Changes, Stamp, as_read, refusal

LOOK_EVERY: Final = 1000
"""Milliseconds between two looks at the files where the system tells of no change."""

_log = get_logger("reload")


async def wait_for_change(
    files: frozenset[Path], check_settings: Callable[[], object], began: int | None = None
) -> None:
    """Wait until files were saved that are worth a new start; `refusal` says which are not.

    `began` is when the process did (nanoseconds since 1970): what was saved since counts.

    What decides is how the files look; the watching thread only says when to look. Where the
    system cannot watch, or not any more (the folder has gone for a moment), this says so and looks
    by itself.
    """
    now, stop = stamps(files), trio.Event()
    changes = Changes(now if began is None else as_read(now, began, time.time_ns()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_set_when_cancelled, stop)
        looks = awatch(
            *{path.parent for path in files},
            recursive=False,
            # The pod's own log may lie beside them, and the watcher logs each change that it sees.
            watch_filter=lambda _, path: Path(path) in files,
            stop_event=stop,
            rust_timeout=LOOK_EVERY,
            yield_on_timeout=True,
        )
        try:
            async with aclosing(looks):
                async for _ in looks:
                    if _worth_a_start(changes.look(stamps(files)), check_settings):
                        break
        except (OSError, RuntimeError) as error:  # RuntimeError is the watcher's own, not exported
            _log.warning("files cannot be watched, so they are looked at", reason=str(error))
            while not _worth_a_start(changes.look(stamps(files)), check_settings):  # noqa: ASYNC110
                await trio.sleep(LOOK_EVERY / 1000)
        nursery.cancel_scope.cancel()


def imported_files() -> list[str]:
    """List the files of all modules that are imported now."""
    # From a copy: another thread may be importing.
    found = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    return [file for file in found if isinstance(file, str)]


def stamps(files: Iterable[Path]) -> dict[Path, Stamp]:
    """Look at files; those that cannot be seen are left out, and what is no file now."""
    found = {}
    for path in files:
        try:
            status = path.stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


def start_again(folder: str) -> NoReturn:
    """Replace this process by a new one with the same command, id and folder."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it
            stream.flush()
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command


def _worth_a_start(differing: tuple[Path, ...], check_settings: Callable[[], object]) -> bool:
    refused = [why for path in differing if (why := refusal(path, check_settings))]
    for why in refused:
        _log.error("not reloaded, the pod goes on as it was", reason=why)
    if differing and not refused:
        _log.info("reloading", files=[str(path) for path in differing])
    return bool(differing) and not refused


async def _set_when_cancelled(stop: trio.Event) -> None:
    # A thread cannot be cancelled, only told; without this the pod waits LOOK_EVERY for it.
    try:
        await trio.sleep_forever()
    finally:
        stop.set()

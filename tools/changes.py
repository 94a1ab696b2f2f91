"""Which saved files are worth a new start; decisions only, on what was seen of the files."""

import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import attrs

from ..config import ConfigurationError, read_regular

MAX_SOURCE = 16 * 2**20
"""Bytes of a module that is looked through."""

Stamp = tuple[int, int]
"""When a file was changed (nanoseconds) and its size (bytes)."""


@attrs.define
class Changes:
    """Tells which files differ from those that the process runs with.

    `running` stays what it is; `seen` is what was looked at last.
    """

    running: Mapping[Path, Stamp]
    seen: Mapping[Path, Stamp] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.seen = self.running

    def look(self, now: Mapping[Path, Stamp]) -> tuple[Path, ...]:
        """Return the files that differ, or none when nothing is new since the last look.

        A file that is gone does not count: it is being replaced, or nothing could start without.
        """
        if now == self.seen:
            return ()
        self.seen = now
        return tuple(sorted(path for path in now if now[path] != self.running.get(path)))


def as_read(now: Mapping[Path, Stamp], began: int, at: int) -> Mapping[Path, Stamp]:
    """Return the stamps that the process was started with, given those of now.

    What was saved between its beginning and now (nanoseconds since 1970) may have been read before
    or after that: it has none. A file from the future, whose clock is another, is as it was.
    """
    return {path: stamp for path, stamp in now.items() if not began < stamp[0] <= at}


def files_to_watch(
    settings: Path | None, modules: Iterable[str], folder: Path, environment: Path
) -> frozenset[Path]:
    """Choose the files whose change starts the pod again; the answer's paths are resolved.

    These are the file of settings and, of the files of the imported `modules`, those in the
    project's `folder` that were not installed into the virtual `environment`.
    """
    folder, environment = folder.resolve(), environment.resolve()
    resolved = (path for module in modules if (path := _resolved(module)) is not None)
    sources = {
        path
        for path in resolved
        if path.suffix == ".py"
        and path.is_relative_to(folder)
        and not path.is_relative_to(environment)
    }
    return frozenset(sources | ({settings.resolve()} if settings else set()))


def files_behind(error: BaseException, rooms: Mapping[str, str]) -> list[str]:
    """List the files through which an import failed, and where missing modules of rooms would be.

    `rooms` are the settings' own: pattern to `"package.module:Class"`.
    """
    modules = [target.partition(":")[0].replace(".", "/") for target in rooms.values()]
    files = [f"{module}{end}" for module in modules for end in (".py", "/__init__.py")]
    behind: BaseException | None = error
    while behind is not None:
        frames = traceback.walk_tb(behind.__traceback__)
        files += [frame.f_code.co_filename for frame, _ in frames]
        if isinstance(behind, SyntaxError) and behind.filename:
            files.append(behind.filename)
        behind = behind.__cause__ or behind.__context__
    return files


def _resolved(module: str) -> Path | None:
    try:
        return Path(module).resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that can be no file's
        return None


def refusal(path: Path, check_settings: Callable[[], object]) -> str | None:
    """Say why a start with this file would fail, as far as a look can tell, or None.

    A pod that runs is worth more than a new one that does not. `check_settings` reads the
    settings anew and raises `ConfigurationError`.
    """
    try:
        if path.suffix == ".py":
            compile(read_regular(path, MAX_SOURCE), path, "exec", dont_inherit=True)
        else:
            check_settings()
    except (ConfigurationError, OSError) as error:
        return str(error)
    except SyntaxError as error:
        return f"{path}, line {error.lineno}: {error.msg}"
    except Exception as error:  # noqa: BLE001 - no content of a file ends the pod
        # Null bytes before Python 3.11.4, and what is nested too deep for its parser.
        return f"{path}: {str(error) or 'nested too deep'}"
    return None

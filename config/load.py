"""Where settings come from: defaults, one file, the environment, the command line, in that order.

What comes later wins. The four are laid over each other as plain data, and structured once.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import attrs
import orjson

from .catalogue import ENTRIES, nearest
from .errors import ConfigError, Misconfiguration
from .files import create_once
from .schema import Config, Logging
from .settings_file import fill, read_document
from .structure import structure
from .text_values import from_environment, from_text

DEFAULT = "default"
_BASIC = {
    "enabled": True,
    "messageTTL": 3600,
    "broker": {"type": "memory", "enabled": False},
    "limits": {
        "maxConnections": 10000,
        "maxRoomsPerClient": 100,
        "messageRateLimit": 100,
        "pingInterval": 54,
        "pongTimeout": 10,
    },
}


@attrs.frozen
class Loaded:
    """The settings in force, and by dotted path where each of them was set.

    A source is `default`, `file config/realtime.json`, `environment LOG_LEVEL` or
    `command line --port`.
    """

    config: Config
    sources: Mapping[str, str]


@attrs.define
class _Layers:
    """The document under construction, with the origin of each of its settings."""

    document: object = attrs.field(factory=dict)
    file: str = ""
    sources: dict[str, str] = attrs.field(factory=lambda: dict.fromkeys(ENTRIES, DEFAULT))
    problems: list[Misconfiguration] = attrs.field(factory=list)

    def lay_file(self, path: Path, environ: Mapping[str, str]) -> None:
        """Begin with a file, its placeholders filled."""
        self.file = f"file {path}"
        self.document = fill(read_document(path), environ, self._found_in_file)
        self.sources |= {known: self.file for known in ENTRIES if self._holds(known)}

    def lay(self, path: str, value: object, source: str) -> None:
        """Put one setting over what is there."""
        section, (*above, key) = self.document, path.split(".")
        for name in above:
            section = section.setdefault(name, {}) if isinstance(section, dict) else None
        # Where the file has no section in this place it is refused for that later.
        if isinstance(section, dict):
            section[key] = value
            self.sources[path] = source

    def origin(self, problem: Misconfiguration) -> Misconfiguration:
        """Add to a problem where its settings were set."""
        found = [self._source(path) for path in problem.paths]
        told = [source for source in dict.fromkeys(found) if source != DEFAULT]
        return attrs.evolve(problem, origin=problem.origin or " and ".join(told))

    def _found_in_file(self, problem: Misconfiguration) -> None:
        self.problems.append(attrs.evolve(problem, origin=self.file))

    def _holds(self, path: str) -> bool:
        here = self.document
        for name in path.split("."):
            if not isinstance(here, dict) or name not in here:
                return False
            here = here[name]
        return True

    def _source(self, path: str) -> str:
        for known, source in self.sources.items():
            if path == known or path.startswith((f"{known}.", f"{known}[")):
                return source
        return self.file


def load(
    path: Path | None, *, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Loaded:
    """Load the settings from a file (or none), the environment and the command line.

    `overrides` has values of the settings' own types by dotted path (`server.port`); None is
    one that was not given. Raises `ConfigError` with all the problems there are.
    """
    layers = _Layers()
    if path is not None:
        layers.lay_file(path, environ)
    _lay_environment(layers, environ)
    _lay_overrides(layers, overrides or {})
    return _finish(layers)


def logging_wanted(path: Path | None, environ: Mapping[str, str]) -> Logging:
    """Tell in which format to say what is wrong with settings that cannot be loaded.

    It is what they say of it, as far as that much of them can be read; all else is the default.
    """
    layers = _Layers()
    with suppress(ConfigError):
        if path is not None:
            layers.lay_file(path, environ)
    _lay_environment(layers, environ)
    section = layers.document.get("logging") if isinstance(layers.document, dict) else None
    wanted = section.get("format") if isinstance(section, dict) else None
    try:
        return structure({"logging": {} if wanted is None else {"format": wanted}}).logging
    except ConfigError:
        return Logging()


def write_default(path: Path) -> bool:
    """Write the basic settings to `path` when nothing is there; tell whether it was done.

    Raises `ConfigError`.
    """
    content = orjson.dumps(_BASIC, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return not path.exists() and create_once(path, content, mode=0o644)
    except OSError as error:
        sentence = f"it cannot be written: {error.strerror}"
        raise ConfigError(Misconfiguration(sentence, origin=f"file {path}")) from error


def _lay_environment(layers: _Layers, environ: Mapping[str, str]) -> None:
    found, unknown = from_environment(environ)
    layers.problems += unknown
    for path, name in found.items():
        layers.lay(path, from_text(ENTRIES[path], environ[name]), f"environment {name}")


def _lay_overrides(layers: _Layers, overrides: Mapping[str, object]) -> None:
    given = {path: value for path, value in overrides.items() if value is not None}
    for path, value in given.items():
        if path in ENTRIES:
            layers.lay(path, value, f"command line {_option(path)}")
        else:
            sentence = f"{path} is not a setting; {nearest(path)}"
            layers.problems.append(Misconfiguration(sentence, (path,), "command line"))


def _option(path: str) -> str:
    """Give the option that sets a setting: `--api-enabled` for `server.apiEnabled`."""
    name = ENTRIES[path].names[-1]
    return f"--{name.replace('_', '-')}"


def _finish(layers: _Layers) -> Loaded:
    try:
        config = structure(layers.document)
    except ConfigError as error:
        # What could not be filled in is not also told to be of the wrong type.
        told = {problem.paths for problem in layers.problems}
        layers.problems += [layers.origin(new) for new in error.details if new.paths not in told]
    if layers.problems:
        raise ConfigError(*layers.problems)
    return Loaded(config, layers.sources)

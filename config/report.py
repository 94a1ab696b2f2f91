"""What is in force and why, for people: rows for a table, and the reference of all settings."""

from collections.abc import Mapping

import attrs
import orjson

from .catalogue import ENTRIES, Entry
from .load import Loaded

_PREAMBLE = """\
# Configuration

<!-- Written by `deployd.config.reference_markdown()`; a test keeps it current. -->

Settings come from four places, and what comes later wins: the defaults below, one file, the
environment, the command line. `deployd config` prints what is in force and where it came from.

- The file is JSON (`.json`) or YAML (`.yaml`, `.yml`). All of it may stand below one key
  `realtime`. An unknown key, a wrong type or an impossible value stops the start.
- In its texts `${NAME}` and `${NAME:-default}` are filled from the environment; `$${` stands
  for `${` itself. A text that is one placeholder and nothing else takes its setting's type.
- `limits.pingInterval` is `DEPLOYD_LIMITS__PING_INTERVAL` in the environment, and so on. A
  list is given with commas, an object as JSON. `REALTIME_ENABLED`, `API_ENABLED`, `LOG_LEVEL`,
  `REALTIME_DEBUG` and `DATABASE_URL` work too. A `DEPLOYD_` variable that is no setting stops
  the start.
- Settings marked ↻ take effect while the pod runs, when it is told to read them anew (`SIGHUP`).
- `DEPLOYD_MASTER_KEY` and `DEPLOYD_JWT_SECRET` take the place of the secrets that the first
  start writes to `secrets.json` in the data folder.
"""


@attrs.frozen
class Row:
    """One setting as it is in force; `value` is as JSON has it, secrets are masked."""

    path: str
    value: object
    unit: str
    source: str
    help: str


def explain(loaded: Loaded) -> tuple[Row, ...]:
    """List every setting in force, in the order of the schema."""
    return tuple(_row(entry, loaded) for entry in ENTRIES.values())


def reference_markdown() -> str:
    """Write the reference of all settings: `docs/configuration.md`."""
    sections: dict[str, list[Entry]] = {}
    for path, entry in ENTRIES.items():
        sections.setdefault(path.rpartition(".")[0], []).append(entry)
    return _PREAMBLE + "".join(_section(name, rows) for name, rows in sections.items())


def text_of(value: object) -> str:
    """Show a value as its type is written in files; texts without quotes."""
    if isinstance(value, str) and value:
        return str(value)
    return orjson.dumps(plain(value)).decode()


def plain(value: object) -> object:
    """Turn a setting's value into what JSON has."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if attrs.has(type(value)):
        return attrs.asdict(value)  # type: ignore[arg-type]
    return value


def _row(entry: Entry, loaded: Loaded) -> Row:
    value, about = entry.value(loaded.config), entry.about
    return Row(
        path=entry.path,
        value=plain(about.public(value)),
        unit=about.unit,
        source=loaded.sources[entry.path],
        help=about.help,
    )


def _section(name: str, entries: list[Entry]) -> str:
    rows = "".join(map(_line, entries))
    title = f"`{name}`" if name else "At the root"
    return f"\n## {title}\n\n| Key | Default | Unit | |\n| --- | --- | --- | --- |\n{rows}"


def _line(entry: Entry) -> str:
    about = entry.about
    mark = " ↻" if about.live else ""
    return f"| `{entry.path}` | `{_default(entry)}` | {about.unit} | {about.help}{mark} |\n"


def _default(entry: Entry) -> str:
    return text_of(entry.about.public(entry.default))

"""The flat list of every setting, read from the schema once.

Whatever must know all settings (files, environment, reports) walks this list and nothing else.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import reduce
from typing import cast

import attrs

from .fields import Setting, key_of, setting_of
from .schema import Config


@attrs.frozen
class Entry:
    """One setting: its path in files, its environment variable, type, default and meaning."""

    names: tuple[str, ...]
    kind: object
    about: Setting
    default: object

    @property
    def path(self) -> str:
        """The dotted path, as files write it: `limits.pingInterval`."""
        return ".".join(map(key_of, self.names))

    @property
    def variable(self) -> str:
        """The environment variable: `DEPLOYD_LIMITS__PING_INTERVAL`."""
        return "DEPLOYD_" + "__".join(self.names).upper()

    def value(self, config: Config) -> object:
        """Give what `config` has here."""
        return reduce(getattr, self.names, cast(object, config))


def _entries(section: object, names: tuple[str, ...] = ()) -> Iterator[Entry]:
    for attribute in attrs.fields(cast(type[attrs.AttrsInstance], type(section))):
        about, path = setting_of(attribute), (*names, attribute.name)
        value = getattr(section, attribute.name)
        if about is None:
            yield from _entries(value, path)
        else:
            yield Entry(path, attribute.type, about, value)


ENTRIES: Mapping[str, Entry] = {entry.path: entry for entry in _entries(Config())}


def nearest(path: str) -> str:
    """Say which setting an unknown path most resembles, as the end of a sentence.

    A sibling in the same section is preferred to a namesake elsewhere.
    """
    section, _, key = path.rpartition(".")
    siblings = {known.rpartition(".")[2]: known for known in _below(section)}
    elsewhere = {known.rpartition(".")[2]: known for known in ENTRIES}
    for candidates in (siblings, elsewhere):
        near = get_close_matches(key, candidates, 1)
        if near:
            return f"did you mean {candidates[near[0]]}?"
    return f"known are {', '.join(siblings or elsewhere)}"


def _below(section: str) -> list[str]:
    """List the settings and sections that lie directly in a section."""
    prefix = f"{section}." if section else ""
    tails = (path.removeprefix(prefix) for path in ENTRIES if path.startswith(prefix))
    return list(dict.fromkeys(prefix + tail.partition(".")[0] for tail in tails))

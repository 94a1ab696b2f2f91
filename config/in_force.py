"""The settings of a pod while it runs: which of them a new reading changes, and who follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from attrs import AttrsInstance

from .catalogue import ENTRIES
from .fields import setting_of
from .schema import Config

S = TypeVar("S", bound=AttrsInstance)

__all__ = ["InForce", "Reading", "read_again"]


@attrs.frozen
class Reading:
    """What reading the settings anew comes to. Both tuples are paths, as files write them.

    `config` is what is to be in force, `changed` what differs in it from before, `later` what was
    changed too and waits for the next start.
    """

    config: Config
    changed: tuple[str, ...]
    later: tuple[str, ...]


def read_again(now: Config, wanted: Config) -> Reading:
    """Take the `live` settings of `wanted`, and keep all others as they are."""
    differing = [e for e in ENTRIES.values() if e.value(now) != e.value(wanted)]
    return Reading(
        _with_live(now, wanted),
        tuple(entry.path for entry in differing if entry.about.live),
        tuple(entry.path for entry in differing if not entry.about.live),
    )


class InForce:
    """The settings in force. Who keeps something that is made of them follows their changes."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._followers: list[Callable[[Config], None]] = []

    def follow(self, adopt: Callable[[Config], None]) -> None:
        """Have `adopt` called with each new configuration, after those who followed before."""
        self._followers.append(adopt)

    def change(self, config: Config) -> None:
        """Put a configuration in force, of which only `live` settings differ."""
        self.config = config
        for adopt in self._followers:
            adopt(config)


def _with_live(now: S, wanted: S) -> S:
    """Return a section with the live settings, and sections, of another."""
    values: dict[str, Any] = {}
    for attribute in attrs.fields(type(now)):
        about, name = setting_of(attribute), attribute.name
        if about is None:
            values[name] = _with_live(getattr(now, name), getattr(wanted, name))
        else:
            values[name] = getattr(wanted if about.live else now, name)
    return type(now)(**values)

"""Somebody who is in a room, and what pods tell each other of those who are: pure.

A pod speaks of its own members alone. What it has said so far is its *page*; each change of it has
the next number. Whoever has missed one asks for the whole page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from ...transport import JSON, encode_inner

__all__ = [
    "META_BYTES",
    "Mention",
    "Mistold",
    "PageWord",
    "Person",
    "Version",
    "merged",
    "portions",
    "weight",
]

META_BYTES: Final = 1024
"""Bytes, as JSON, that may be tracked of one person."""
LONGEST: Final = 1024
"""Characters of a user's id or name that another pod tells."""
FIELDS: Final = 6
AT_ONCE: Final = 48 * 1024
"""Bytes, about, of people that are told in one message: pods and clients take more, if not much."""
MOST_PARTS: Final = 4096
"""Messages of one page."""
BARE: Final = 160
"""Bytes, about, of a person without its names and what is tracked of it."""
CHARACTER: Final = 6
"""Bytes of a character in JSON, at most."""

T = TypeVar("T")

Version: TypeAlias = tuple[int, int]
"""Of a page: which of its pod's rooms of that name this is, counted, and how often it changed."""


class Mistold(Exception):
    """What came from another pod is nothing that pods tell of people."""


@frozen
class Person:
    """Somebody who is in a room, by whatever connections, on all pods together.

    `user` is the user's id, or the client's of who has not signed in, `name` something to show.
    `since` is when the first of its connections came, of those that are there (unix seconds).
    `away` is whether all its connections are lost and may come back, `meta` what the room tracks.
    """

    user: str
    name: str
    since: float
    connections: int = 1
    away: bool = False
    meta: Mapping[str, JSON] = field(factory=dict)

    def to_json(self) -> dict[str, JSON]:
        """Return it as clients are told."""
        told: dict[str, JSON] = {
            "user": self.user,
            "name": self.name,
            "since": round(self.since, 3),
            "connections": self.connections,
        }
        if self.away:
            told["away"] = True
        if self.meta:
            told["meta"] = dict(self.meta)
        return told


@frozen
class Mention:
    """What one pod says of a person. `at` is when its meta was set (unix seconds)."""

    name: str
    since: float
    at: float
    connections: int
    away: bool
    meta: Mapping[str, JSON]

    def to_json(self) -> JSON:
        """Return it as pods tell it."""
        return [self.name, self.since, self.at, self.connections, int(self.away), dict(self.meta)]


def merged(user: str, entries: Mapping[str, Mention]) -> Person | None:
    """Return a person of what pods say, each by its id; None where none says anything.

    Of what is tracked the newest counts; of two at one time all pods choose the same.
    """
    if not entries:
        return None
    pod, newest = max(entries.items(), key=lambda item: (item[1].at, item[0]))
    person = Person(user, newest.name, newest.since, newest.connections, newest.away, newest.meta)
    for other, entry in entries.items():
        if other != pod:
            person = evolve(
                person,
                since=min(person.since, entry.since),
                connections=person.connections + entry.connections,
                away=person.away and entry.away,
            )
    return person


@frozen
class PageWord:
    """What a pod says of its page, which is at `version` then.

    `people` are those that changed since the version before, None for who has gone; with `part`
    they are one of so many parts of the whole page; where it is None, nothing but the version is
    said. With `has` it asks everybody to say something, and the whole page where it is not at that
    version.
    """

    version: Version
    people: Mapping[str, Mention | None] | None = None
    part: tuple[int, int] | None = None
    has: Mapping[str, Version] | None = None

    def encode(self) -> bytes:
        """Return it as JSON."""
        told: dict[str, JSON] = {"v": list(self.version)}
        if self.has is not None:
            told["has"] = {pod: list(version) for pod, version in self.has.items()}
        elif self.people is not None:
            told["p"] = {
                user: None if entry is None else entry.to_json()
                for user, entry in self.people.items()
            }
        if self.part is not None:
            told["part"] = list(self.part)
        return encode_inner(told)

    @classmethod
    def read(cls, told: JSON) -> PageWord:
        """Read what another pod has said. Raises `Mistold`."""
        if not isinstance(told, dict):
            raise Mistold("it is no object")
        version = _version(told.get("v"))
        if "has" in told:
            has = _mapping(told["has"])
            return cls(version, has={_text(pod): _version(own) for pod, own in has.items()})
        if "p" not in told:
            return cls(version)
        people = _mapping(told["p"])
        part = None if "part" not in told else _version(told["part"])
        if part is not None and not part[0] < part[1] <= MOST_PARTS:
            raise Mistold("it is no part")
        return cls(version, {_text(user): _entry(one) for user, one in people.items()}, part)


def weight(user: str, name: str, meta: Mapping[str, JSON]) -> int:
    """Return about how many bytes a person takes when it is told, at most."""
    return BARE + CHARACTER * (len(user) + len(name)) + (META_BYTES if meta else 0)


def portions(items: Iterable[T], weight_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield them as they fit into messages; nothing for none."""
    portion: list[T] = []
    nbytes = 0
    for item in items:
        nbytes += weight_of(item)
        if portion and nbytes > AT_ONCE:
            yield portion
            portion, nbytes = [], weight_of(item)
        portion.append(item)
    if portion:
        yield portion


def _mapping(told: JSON) -> Mapping[str, JSON]:
    if not isinstance(told, dict):
        raise Mistold("it names nobody")
    return told


def _text(told: JSON) -> str:
    if type(told) is not str or len(told) > LONGEST:
        raise Mistold("a name in it is none")
    return told


def _version(told: JSON) -> Version:
    if not isinstance(told, list) or len(told) != 2:
        raise Mistold("it has no version")
    first, second = told
    if type(first) is not int or type(second) is not int or first < 0 or second < 0:
        raise Mistold("its version is none")
    return first, second


def _number(told: JSON) -> float:
    if type(told) is not float and type(told) is not int:
        raise Mistold("a time in it is none")
    return float(told)


def _entry(told: JSON) -> Mention | None:
    if told is None:
        return None
    if not isinstance(told, list) or len(told) < FIELDS:
        raise Mistold("a person of it is none")
    name, since, at, connections, away, meta = told[:FIELDS]
    if type(connections) is not int or connections < 1:
        raise Mistold("a person of it is not there")
    return Mention(
        _text(name), _number(since), _number(at), connections, bool(away), _mapping(meta)
    )

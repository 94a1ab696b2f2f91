"""Who is in a room on all pods, as far as this one knows: pure.

    what members do here ─► own page ──────────────► changes, for the other pods
    what other pods say ──► their pages ─► everybody ─► news, for the members here

A page is applied change by change. Where one is missing the whole page is asked for, again and
again until it has come; who asks says how far its own has come, so either side learns of what the
other has missed. A pod that is asked and says nothing has no such room any more, and its page goes;
so does that of one that the cluster does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

from attrs import define, field, frozen

from ...transport import JSON
from .person import Mention, PageWord, Person, Version, merged, portions, weight

__all__ = ["MOST_PEOPLE", "News", "People"]

SILENT: Final = 3.0
"""Seconds after which the page of a pod is forgotten that is asked and does not say a word."""
MOST_PEOPLE: Final = 65_536
"""People of other pods that one room knows; of more nothing is told, and it is said."""


@frozen
class News:
    """What members are told: who came, who went, and who is not as before."""

    came: Sequence[Person] = ()
    went: Sequence[Person] = ()
    changed: Sequence[Person] = ()

    def __bool__(self) -> bool:
        return bool(self.came or self.went or self.changed)


@define
class _Resident:
    """A person here: its connections by client id, each away or not."""

    name: str
    since: float
    at: float
    clients: dict[str, bool] = field(factory=dict)
    meta: dict[str, JSON] = field(factory=dict)

    def entry(self) -> Mention:
        away = all(self.clients.values())
        return Mention(self.name, self.since, self.at, len(self.clients), away, dict(self.meta))


@define
class _PodPage:
    """What another pod has said: who is on it, at which version; parts of a newer one."""

    version: Version = (0, 0)
    users: dict[str, None] = field(factory=dict)
    coming: Version = (0, 0)
    parts: dict[int, Mapping[str, Mention | None]] = field(factory=dict)


class People:
    """Who is in one room. `pod` is the id of this one.

    `number` tells this room from those of its name that were here before it.
    """

    def __init__(self, pod: str, number: int) -> None:
        self._pod = pod
        self._users: dict[str, str] = {}  # by client id
        self._own: dict[str, _Resident] = {}
        self._said: dict[str, Mention] = {}
        self._version: Version = (number, 0)
        self._unsaid: dict[str, None] = {}
        self._pages: dict[str, _PodPage] = {}
        self._entries: dict[str, dict[str, Mention]] = {}  # by user, and by who says it
        self._told: dict[str, Person] = {}
        self._untold: dict[str, None] = {}
        self._strangers = 0  # entries of other pods
        self._behind: dict[str, None] = {}
        self._unanswered: dict[str, float] = {}
        self._owes_page = self._owes_word = False
        self.overfull = 0
        """People of other pods that found no place."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Person]:
        for user in self._entries:
            person = self.of(user)
            if person is not None:
                yield person

    def of(self, user: str) -> Person | None:
        """Return somebody who is there, or None."""
        return merged(user, self._entries.get(user, {}))

    # Who is here -----------------------------------------------------------------------------

    def place(self, client_id: str, user: str, name: str, now: float) -> None:
        """Note a member, or that it is somebody else now; `now` is unix seconds."""
        if self._users.get(client_id, user) != user:
            self.remove(client_id)
        own = self._own.get(user)
        if own is None:
            own = self._own[user] = _Resident(name, now, now)
        own.name = name
        own.clients[client_id] = False
        self._users[client_id] = user
        self._changed(user)

    def away(self, client_id: str, *, away: bool) -> None:
        """Note that a member's connection is lost, or is back."""
        user = self._users.get(client_id)
        if user is not None:
            self._own[user].clients[client_id] = away
            self._changed(user)

    def track(self, client_id: str, meta: Mapping[str, JSON], now: float) -> None:
        """Add to what is tracked of the person that a member is; None takes a key away.

        Does nothing for a client that is not in.
        """
        user = self._users.get(client_id)
        if user is None:
            return
        own = self._own[user]
        added = {**own.meta, **meta}
        own.meta = {key: value for key, value in added.items() if value is not None}
        own.at = now
        self._changed(user)

    def meta_of(self, client_id: str) -> Mapping[str, JSON]:
        """Return what is tracked here of the person that a member is."""
        user = self._users.get(client_id)
        return {} if user is None else self._own[user].meta

    def remove(self, client_id: str) -> None:
        """Note that a member has gone."""
        user = self._users.pop(client_id, None)
        if user is None:
            return
        own = self._own[user]
        own.clients.pop(client_id, None)
        if not own.clients:
            del self._own[user]
        self._changed(user)

    def nobody_here(self) -> None:
        """Note that all members have gone."""
        for client_id in list(self._users):
            self.remove(client_id)

    def _changed(self, user: str) -> None:
        own = self._own.get(user)
        self._unsaid[user] = None
        self._note(user, self._pod, None if own is None else own.entry())

    # What other pods are told ------------------------------------------------------------------

    @property
    def version(self) -> Version:
        """At which version this pod's page is, as far as it was said."""
        return self._version

    def changes(self) -> list[PageWord]:
        """Return what is new of those that are here: it is said now."""
        unsaid, self._unsaid = self._unsaid, {}
        changed: dict[str, Mention | None] = {}
        for user in unsaid:
            own = self._own.get(user)
            entry = None if own is None else own.entry()
            if entry != self._said.get(user):
                changed[user] = entry
        for user, entry in changed.items():
            if entry is None:
                del self._said[user]
            else:
                self._said[user] = entry
        number, count = self._version
        said = [
            PageWord((number, count + nth), some) for nth, some in enumerate(_portions(changed), 1)
        ]
        self._version = (number, count + len(said))
        return said

    def question(self, now: float) -> PageWord:
        """Ask everybody to say something, and all of a page that is not as it is known here.

        Whoever has been asked for long in vain is forgotten; `now` is steady seconds.
        """
        for pod in list(self._pages):
            if now >= self._unanswered.setdefault(pod, now) + SILENT:
                self.forget(pod)
        return PageWord(self._version, has={pod: page.version for pod, page in self._pages.items()})

    def answers(self) -> list[PageWord]:
        """Return what is owed to those that have asked: the page, as far as it was said, or a word.

        Whatever is said beside it is an answer too, but it may be heard by nobody who has asked.
        """
        page, word = self._owes_page, self._owes_word
        self._owes_page = self._owes_word = False
        if page:
            return self._whole()
        return [PageWord(self._version)] if word else []

    def _whole(self) -> list[PageWord]:
        portions = _portions(self._said) or [{}]
        parts = len(portions)
        return [PageWord(self._version, some, (nth, parts)) for nth, some in enumerate(portions)]

    @property
    def behind(self) -> bool:
        """Whether a page of another pod may be newer than what is known of it."""
        return bool(self._behind or self._unanswered)

    # What other pods tell ----------------------------------------------------------------------

    def hear(self, pod: str, said: PageWord) -> bool:
        """Take what a pod that is counted says; return whether its page is to be asked for now."""
        was_behind = pod in self._behind
        self._hear(pod, said)
        return pod in self._behind and not was_behind

    def _hear(self, pod: str, said: PageWord) -> None:
        self._unanswered.pop(pod, None)
        if said.has is not None:
            self._asked(pod, said, said.has.get(self._pod, (0, 0)))
            return
        page = self._pages.setdefault(pod, _PodPage())
        if said.version <= page.version:
            return
        if said.people is not None and said.part is not None:
            self._turn(pod, page, said.version, said.people, said.part)
        elif said.people is not None and self._follows(page.version, said.version):
            if said.version[0] != page.version[0]:
                self._blank(pod, page)
            for user, entry in said.people.items():
                self._write(pod, page, user, entry)
            page.version = said.version
            self._caught_up(pod, page)
        else:
            self._behind[pod] = None

    def _asked(self, pod: str, said: PageWord, has: Version) -> None:
        if has == self._version:
            self._owes_word = True
        elif self._version[1] or has != (0, 0):
            self._owes_page = True
        known = self._pages.get(pod)
        if said.version[1] and (known is None or known.version < said.version):
            self._behind[pod] = None

    @staticmethod
    def _follows(known: Version, version: Version) -> bool:
        """Whether a change is the next one: of the same room there, or the first of a newer."""
        (room, count), (newer, after) = known, version
        return after == (count + 1 if newer == room else 1)

    def _blank(self, pod: str, page: _PodPage) -> None:
        for user in list(page.users):
            self._write(pod, page, user, None)

    def _turn(
        self,
        pod: str,
        page: _PodPage,
        version: Version,
        some: Mapping[str, Mention | None],
        part: tuple[int, int],
    ) -> None:
        """Take a part of a whole page; when all have come it takes the place of what was known."""
        if version != page.coming:
            page.coming, page.parts = version, {}
        place, parts = part
        page.parts[place] = some
        if len(page.parts) < parts:
            return
        people = {user: one for told in page.parts.values() for user, one in told.items()}
        page.version, page.parts = version, {}
        for user in [user for user in page.users if user not in people]:
            self._write(pod, page, user, None)
        for user, entry in people.items():
            self._write(pod, page, user, entry)
        self._caught_up(pod, page)

    def _caught_up(self, pod: str, page: _PodPage) -> None:
        page.parts = {}
        self._behind.pop(pod, None)

    def _write(self, pod: str, page: _PodPage, user: str, entry: Mention | None) -> None:
        if entry is None:
            if user in page.users:
                del page.users[user]
                self._strangers -= 1
        elif user not in page.users:
            if self._strangers >= MOST_PEOPLE:
                self.overfull += 1
                return
            page.users[user] = None
            self._strangers += 1
        self._note(user, pod, entry)

    def count_only(self, pods: Set[str]) -> bool:
        """Forget the pages of all other pods than those; say whether any of those is new here."""
        for pod in [pod for pod in self._pages if pod not in pods]:
            self.forget(pod)
        for pod in [pod for pod in self._behind if pod not in pods]:
            del self._behind[pod]
        return any(pod not in self._pages for pod in pods)

    def forget(self, pod: str) -> None:
        """Forget what a pod has said: who is there by it alone is not there any more."""
        self._unanswered.pop(pod, None)
        self._behind.pop(pod, None)
        self._blank(pod, self._pages.pop(pod))

    def forget_others(self) -> None:
        """Forget what all other pods have said."""
        self.count_only(frozenset())

    # What members are told -----------------------------------------------------------------------

    def told(self, client_id: str) -> Iterator[Person]:
        """Yield who is there as members know it, and first the person that this member is.

        What has changed since they will be told, this member too.
        """
        user = self._users.get(client_id)
        person = None if user is None else self.of(user)
        if person is not None:
            yield person
        yield from (one for other, one in self._told.items() if other != user)

    def nobody_listens(self) -> None:
        """Begin anew with what members are told: all that were told have gone."""
        self._told.clear()
        self._untold = dict.fromkeys(self._entries)

    def news(self) -> News:
        """Return what has changed since this was asked last."""
        untold, self._untold = self._untold, {}
        came: list[Person] = []
        went: list[Person] = []
        changed: list[Person] = []
        for user in untold:
            before, person = self._told.get(user), self.of(user)
            if person == before:
                continue
            if person is None:
                went.append(self._told.pop(user))
                continue
            (came if before is None else changed).append(person)
            self._told[user] = person
        return News(came, went, changed)

    def _note(self, user: str, pod: str, entry: Mention | None) -> None:
        entries = self._entries.setdefault(user, {})
        if entry is None:
            entries.pop(pod, None)
        else:
            entries[pod] = entry
        if not entries:
            del self._entries[user]
        self._untold[user] = None


def _portions(people: Mapping[str, Mention | None]) -> list[Mapping[str, Mention | None]]:
    return [dict(some) for some in portions(people.items(), _weight)]


def _weight(item: tuple[str, Mention | None]) -> int:
    user, entry = item
    return weight(user, "", {}) if entry is None else weight(user, entry.name, entry.meta)

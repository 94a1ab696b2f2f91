"""Who is in a room on all pods, as far as this one knows: pure.

    what members do here ─► own page ──────────────► changes, for the other pods
    what other pods say ──► their pages ─► everybody ─► news, for the members here

Who asks for pages says how far its own has come, so either side learns of what the other has
missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from attrs import define, field, frozen

from ...transport import JSON
from .pages import OtherPages
from .person import Mention, PageWord, Person, Version, merged, portions, weight

__all__ = ["News", "People"]


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
        self._pages = OtherPages(self._note)
        self._entries: dict[str, dict[str, Mention]] = {}  # by user, and by who says it
        self._told: dict[str, Person] = {}
        self._untold: dict[str, None] = {}
        self._owes_page = self._owes_word = False

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
        return PageWord(self._version, has=self._pages.asked(now))

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

    # What other pods tell ----------------------------------------------------------------------

    @property
    def behind(self) -> bool:
        """Whether a page of another pod may be newer than what is known of it."""
        return self._pages.behind

    @property
    def overfull(self) -> int:
        """People of other pods that found no place."""
        return self._pages.overfull

    def hear(self, pod: str, said: PageWord) -> bool:
        """Take what a pod that is counted says; return whether its page is to be asked for now."""
        if said.has is not None:
            self._owe(said.has.get(self._pod, (0, 0)))
        return self._pages.hear(pod, said)

    def _owe(self, has: Version) -> None:
        """Owe an answer to who has this version of the page."""
        if has == self._version:
            self._owes_word = True
        elif self._version[1] or has != (0, 0):
            self._owes_page = True

    def count_only(self, pods: Set[str]) -> bool:
        """Forget the pages of all other pods than those; say whether any of those is new here."""
        return self._pages.count_only(pods)

    def forget_others(self) -> None:
        """Forget what all other pods have said."""
        self._pages.count_only(frozenset())

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

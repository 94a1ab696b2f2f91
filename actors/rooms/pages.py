"""What other pods say of the people in a room: a page each, as far as it is known here. Pure.

A page is applied change by change. Where one is missing the whole page is asked for, again and
again until it has come. A pod that is asked and says nothing has no such room any more, and its
page goes; so does that of one that the cluster does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Final

from attrs import define, field

from .person import Mention, PageWord, Version

__all__ = ["MOST_PEOPLE", "SILENT", "OtherPages"]

SILENT: Final = 3.0
"""Seconds after which the page of a pod is forgotten that is asked and does not say a word."""
MOST_PEOPLE: Final = 65_536
"""People of other pods that one room knows; of more nothing is told, and that is written down."""

Some = Mapping[str, Mention | None]
"""People of a page by their users; None is who has gone."""


@define
class _PodPage:
    """What a pod has said: who is on it, at which version; parts of a newer one."""

    version: Version = (0, 0)
    users: dict[str, None] = field(factory=dict)
    coming: Version = (0, 0)
    parts: dict[int, Some] = field(factory=dict)


class OtherPages:
    """The pages of all other pods, of one room.

    `note` is called with a user, a pod, and what that pod says of the user from now on, or None.
    """

    def __init__(self, note: Callable[[str, str, Mention | None], object]) -> None:
        self._note = note
        self._pages: dict[str, _PodPage] = {}
        self._count = 0
        self._behind: dict[str, None] = {}
        self._unanswered: dict[str, float] = {}
        self.overfull = 0
        """People that found no place."""

    @property
    def behind(self) -> bool:
        """Whether a page may be newer than what is known of it."""
        return bool(self._behind or self._unanswered)

    def asked(self, now: float) -> Mapping[str, Version]:
        """Return which version of each is known: every pod is asked to say something.

        Whoever has been asked for long in vain is forgotten; `now` is steady seconds.
        """
        for pod in list(self._pages):
            if now >= self._unanswered.setdefault(pod, now) + SILENT:
                self._forget(pod)
        return {pod: page.version for pod, page in self._pages.items()}

    def hear(self, pod: str, said: PageWord) -> bool:
        """Take what a pod says; return whether its page is to be asked for now."""
        was_behind = pod in self._behind
        self._unanswered.pop(pod, None)
        page = self._pages.get(pod)
        known = (0, 0) if page is None else page.version
        if said.version > known:
            self._take(pod, said, known)
        return pod in self._behind and not was_behind

    def count_only(self, pods: Set[str]) -> bool:
        """Forget the pages of all other pods than those; say whether any of those is new here."""
        for pod in [pod for pod in self._pages if pod not in pods]:
            self._forget(pod)
        for pod in [pod for pod in self._behind if pod not in pods]:
            del self._behind[pod]
        return any(pod not in self._pages for pod in pods)

    # Inside ------------------------------------------------------------------------------------

    def _take(self, pod: str, said: PageWord, known: Version) -> None:
        """Take what is newer than what is known."""
        if said.people is not None and said.part is not None:
            self._turn(pod, said.version, said.people, said.part)
        elif said.people is not None and _follows(known, said.version):
            page = self._pages.setdefault(pod, _PodPage())
            if said.version[0] != known[0]:
                self._write(pod, page, dict.fromkeys(page.users))
            self._write(pod, page, said.people)
            self._caught_up(pod, page, said.version)
        elif said.people is not None or said.version[1]:
            self._behind[pod] = None

    def _turn(self, pod: str, version: Version, some: Some, part: tuple[int, int]) -> None:
        """Take a part of a whole page; when all have come it takes the place of what was known."""
        page = self._pages.setdefault(pod, _PodPage())
        if version != page.coming:
            page.coming, page.parts = version, {}
        place, parts = part
        page.parts[place] = some
        if len(page.parts) == parts:
            people = {user: one for told in page.parts.values() for user, one in told.items()}
            self._write(pod, page, dict.fromkeys(user for user in page.users if user not in people))
            self._write(pod, page, people)
            self._caught_up(pod, page, version)

    def _caught_up(self, pod: str, page: _PodPage, version: Version) -> None:
        page.version, page.parts = version, {}
        self._behind.pop(pod, None)

    def _write(self, pod: str, page: _PodPage, some: Some) -> None:
        for user, mention in some.items():
            if mention is None and user in page.users:
                del page.users[user]
                self._count -= 1
            elif mention is not None and user not in page.users:
                if self._count >= MOST_PEOPLE:
                    self.overfull += 1
                    continue
                page.users[user] = None
                self._count += 1
            self._note(user, pod, mention)

    def _forget(self, pod: str) -> None:
        """Forget what a pod has said: who is there by it alone is not there any more."""
        self._unanswered.pop(pod, None)
        self._behind.pop(pod, None)
        page = self._pages.pop(pod)
        self._write(pod, page, dict.fromkeys(page.users))


def _follows(known: Version, version: Version) -> bool:
    """Whether a change is the next one: of the same room there, or the first of a newer."""
    (room, count), (newer, after) = known, version
    return after == (count + 1 if newer == room else 1)

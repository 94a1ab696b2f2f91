"""The rooms that tell of changes: each member hears what it may read, as it would read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from attrs import evolve

from ...actors import Member, Room
from ...config import Right
from ...transport import JSON, Identity, Problem, WireError
from ..errors import RequestRefused
from ..store import Document
from ..users import Caller, may_listen, may_see
from . import documents
from .directory import Directory
from .environment import Collection
from .scripting import Call
from .view import DocumentView, Viewer

__all__ = [
    "ALL_COLLECTIONS",
    "PREFIX",
    "AllCollectionsRoom",
    "CollectionRoom",
    "UndefinedChangesRoom",
    "join_refusal",
]

PREFIX = "collection:"
ALL_COLLECTIONS = "collections"
MISSED = "missed"
"""Takes the place of a change that a room has no room for; see `Hub.send_collection_change`."""


class _ChangesRoom(Room):
    """What both kinds share: the members in groups that see a document alike."""

    attempts: ClassVar[int] = 1

    def __init__(self, directory: Directory, viewer: Viewer) -> None:
        self._directory = directory
        self._viewer = viewer

    async def _views(
        self, collection: Collection, document: Document
    ) -> Iterator[tuple[list[Member] | None, JSON]]:
        """Return who is to hear what; None stands for all members.

        Without a `get` script everyone who may read a document reads the same. With one it runs
        once for each user who listens, for it may show each of them something else.
        """
        definition = collection.definition
        members = self.members.values()
        if not collection.has("get"):
            shown = documents.shown(definition, document)  # the other pod may know none private
            if definition.access.get is Right.ANYONE:
                return iter([(None, shown)])
            hearing = [m for m in members if may_see(definition, Caller(m.identity), document)]
            return iter([(hearing, shown)])
        views: list[tuple[list[Member] | None, JSON]] = []
        for identity, group in _by_identity(members):
            if not may_see(definition, Caller(identity), document):
                continue
            call = Call(Caller(identity), parts=(str(document["id"]),))
            try:
                [view] = await self._viewer.views(collection, call, [document])
            except RequestRefused as refused:
                self._miss(collection.name, group, refused.sentence, None)
            else:
                if isinstance(view, DocumentView):
                    views.append((group, view.body))
        return iter(views)

    def _miss(
        self, collection: str, members: list[Member], reason: str, document: str | None
    ) -> None:
        """Count a change that could not be shown, and say so to those who miss it.

        `document` is its id, for those who may know it: then they read that one alone.
        """
        self.lose()
        self.log.warning("a change is not shown", members=len(members), reason=reason)
        what = "the collection" if document is None else f"the document '{document}'"
        sentence = (
            f"A change of '{collection}' cannot be shown to you ({reason}) Read {what} again."
        )
        for member in members:
            self.tell_problem(member, Problem("change_missed", sentence, document=document))

    def _miss_brief(self, collection: Collection, brief: Document) -> None:
        """Say that a change was too much for this room. What a script hides of it is not known."""
        definition = collection.definition
        members = [
            member
            for member in self.members.values()
            if may_see(definition, Caller(member.identity), brief)
        ]
        known = None if collection.has("get") else str(brief["id"])
        self._miss(collection.name, members, "It is too large.", known)

    def _say(
        self, collection: str, members: list[Member] | None, event: str, data: JSON, document: str
    ) -> None:
        """Tell of a change. What a script has made of it may be more than can be told."""
        try:
            if members is None:
                self.broadcast(event, data, local=True)  # the other pods have the whole document
            elif members:
                self.multicast(members, event, data)
        except WireError as error:
            missing = members or list(self.members.values())
            self._miss(collection, missing, error.sentence, document)


class CollectionRoom(_ChangesRoom):
    """The room `collection:<name>`: the changes of one collection."""

    async def authorize_join(self, member: Member) -> bool:
        """Let in who may read the collection. One that does not exist yet may be waited for."""
        collection = self._directory.find(self.name.removeprefix(PREFIX))
        return collection is None or (
            may_listen(collection.definition, Caller(member.identity)) is None
        )

    async def on_server_emit(self, event: str, data: JSON) -> None:
        """Tell each member what it may read of the document that changed, here and elsewhere."""
        self.relay(event, data)
        await self._announce(event, data)

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        """Tell each member here what it may read of what another pod changed."""
        await self._announce(event, data)

    async def _announce(self, event: str, data: JSON) -> None:
        collection = self._directory.find(self.name.removeprefix(PREFIX))
        if collection is None or not isinstance(data, dict):
            return
        if event == MISSED:
            self._miss_brief(collection, data)
            return
        for members, view in await self._views(collection, data):
            self._say(collection.name, members, event, view, str(data["id"]))


class AllCollectionsRoom(_ChangesRoom):
    """The room `collections`: the changes of all collections that a member may read."""

    async def on_server_emit(self, event: str, data: JSON) -> None:
        """Tell each member of the change of a document that it may read, here and elsewhere."""
        self.relay(event, data)
        await self._announce(event, data)

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        """Tell each member here of what another pod changed."""
        await self._announce(event, data)

    async def _announce(self, event: str, data: JSON) -> None:
        name, document = _opened(data)
        collection = self._directory.find(name)
        if collection is None:
            return
        if event == MISSED:
            self._miss_brief(collection, document)
            return
        for members, view in await self._views(collection, document):
            about: JSON = {"collection": name, "type": event, "data": view}
            self._say(name, members, event, about, str(document["id"]))


class UndefinedChangesRoom(Room):
    """A room of changes on a pod without definitions: it cannot know who may read what it hears.

    So nothing that other pods say of documents is told here.
    """

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        """Tell nobody."""


def _opened(data: JSON) -> tuple[str, Document]:
    match data:
        case {"collection": str(name), "data": dict(document)}:
            return name, document
    return "", {}


def _by_identity(members: Iterable[Member]) -> Iterable[tuple[Identity | None, list[Member]]]:
    """Put those together whom a script cannot tell apart: it sees all of a token but its end."""
    groups: dict[Identity | None, list[Member]] = {}
    for member in members:
        identity = member.identity and evolve(member.identity, expires_at=None)
        groups.setdefault(identity, []).append(member)
    return groups.items()


def join_refusal(
    directory: Directory, room: str, identity: Identity | None
) -> RequestRefused | None:
    """Say why somebody may not be in a collection's room, or None; other rooms are not asked."""
    if not room.startswith(PREFIX):
        return None
    collection = directory.find(room.removeprefix(PREFIX))
    return None if collection is None else may_listen(collection.definition, Caller(identity))

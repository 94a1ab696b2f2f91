"""The rooms that tell of changes: each member hears what it may read, as it would read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, TypeAlias

from attrs import evolve

from ...actors import Member, Room
from ...config import Definition, Right
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
REVISED = "revised"
"""An update with what was there before it: others may see the document now."""
MISSED = "missed"
"""Takes the place of a change that a room has no room for; see `Hub.send_collection_change`."""

Views: TypeAlias = Sequence[DocumentView | None]
"""Each state of a document as somebody sees it; None: not at all."""


class _ChangesRoom(Room):
    """What both kinds share: the members in groups that see a document alike."""

    attempts: ClassVar[int] = 1

    def __init__(self, directory: Directory, viewer: Viewer) -> None:
        self._directory = directory
        self._viewer = viewer

    async def _announce(self, name: str, event: str, data: JSON) -> None:
        """Tell the members here what they are to hear of a change of a collection's."""
        collection = self._directory.find(name)
        if collection is None or not isinstance(data, dict):
            return
        id_, states = str(data.get("id", "")), _states(event, data)
        if event == MISSED:
            self._miss_brief(collection, id_, states)
            return
        for members, views in await self._views(collection, id_, states):
            told = _told(event, views)
            if told is not None:
                self._say(collection.name, members, *told, id_)

    async def _views(
        self, collection: Collection, id_: str, states: Sequence[Document]
    ) -> Iterator[tuple[list[Member] | None, Views]]:
        """Return who sees what of the states of a document; None stands for all members.

        Without a `get` script everyone who may read a document reads the same. With one it runs
        once for each user who listens, for it may show each of them something else.
        """
        definition = collection.definition
        members = self.members.values()
        if not collection.has("get"):
            # The other pod may know none that is private.
            shown = [documents.shown(definition, state) for state in states]
            views = [DocumentView(one, one) for one in shown]
            if definition.access.get is Right.ANYONE:
                return iter([(None, views)])
            return _by_sight(definition, members, states, views)
        seen: list[tuple[list[Member] | None, Views]] = []
        for identity, group in _by_identity(members):
            caller = Caller(identity)
            if not any(may_see(definition, caller, state) for state in states):
                continue
            call = Call(caller, parts=(id_,))
            try:
                answers = await self._viewer.views(collection, call, states)
            except RequestRefused as refused:
                self._miss(collection.name, group, refused.sentence, None)
            else:
                seen.append((group, [v if isinstance(v, DocumentView) else None for v in answers]))
        return iter(seen)

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

    def _miss_brief(self, collection: Collection, id_: str, states: Sequence[Document]) -> None:
        """Say that a change was too much for this room. What a script hides of it is not known."""
        definition = collection.definition
        members = [
            member
            for member in self.members.values()
            if any(may_see(definition, Caller(member.identity), state) for state in states)
        ]
        known = None if collection.has("get") else id_
        self._miss(collection.name, members, "It is too large.", known)

    def _said(self, collection: str, event: str, view: JSON) -> JSON:
        """Return what is said in this room of a document as somebody sees it."""
        return view

    def _say(
        self, collection: str, members: list[Member] | None, event: str, view: JSON, document: str
    ) -> None:
        """Tell of a change. What a script has made of it may be more than can be told."""
        data = self._said(collection, event, view)
        try:
            if members is None:
                self.broadcast(event, data, local=True)  # the other pods have the whole document
            elif members:
                self.broadcast(event, data, to=members)
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
        await self._announce(self.name.removeprefix(PREFIX), event, data)

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        """Tell each member here what it may read of what another pod changed."""
        await self._announce(self.name.removeprefix(PREFIX), event, data)


class AllCollectionsRoom(_ChangesRoom):
    """The room `collections`: the changes of all collections that a member may read."""

    async def on_server_emit(self, event: str, data: JSON) -> None:
        """Tell each member of the change of a document that it may read, here and elsewhere."""
        self.relay(event, data)
        await self._announce(*_opened(event, data))

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        """Tell each member here of what another pod changed."""
        await self._announce(*_opened(event, data))

    def _said(self, collection: str, event: str, view: JSON) -> JSON:
        return {"collection": collection, "type": event, "data": view}


class UndefinedChangesRoom(Room):
    """A room of changes on a pod without definitions: it cannot know who may read what it hears.

    So nothing that other pods say of documents is told here.
    """

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        """Tell nobody."""


def _opened(event: str, data: JSON) -> tuple[str, str, JSON]:
    """Return whose change is in an envelope, and what it is."""
    match data:
        case {"collection": str(name), "data": inside}:
            return name, event, inside
    return "", event, None


def _states(event: str, data: Document) -> list[Document]:
    """Return the states of a document that a change speaks of: what it was comes first."""
    match data:
        case {"states": [*states]} if event == MISSED:
            return [state for state in states if isinstance(state, dict)]
        case {"before": dict(before), "after": dict(after)} if event == REVISED:
            return [before, after]
    return [data]


def _told(event: str, views: Views) -> tuple[str, JSON] | None:
    """Return what somebody hears of a change who sees the states of a document so.

    Who sees it no more hears that it is `deleted`, and who has not seen it before, `created`.
    """
    before, after = views[0], views[-1]
    if after is not None:
        revised = "created" if before is None else "updated"
        return (revised if event == REVISED else event), after.body
    return None if before is None else ("deleted", before.body)


def _by_sight(
    definition: Definition, members: Iterable[Member], states: Sequence[Document], views: Views
) -> Iterator[tuple[list[Member], Views]]:
    """Put those together who may see the same of the states of a document."""
    groups: dict[tuple[bool, ...], list[Member]] = {}
    for member in members:
        caller = Caller(member.identity)
        sight = tuple(may_see(definition, caller, state) for state in states)
        groups.setdefault(sight, []).append(member)
    for sight, group in groups.items():
        yield group, [view if sees else None for view, sees in zip(views, sight, strict=True)]


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

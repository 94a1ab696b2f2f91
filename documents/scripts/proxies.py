"""How scripts use other collections: `ctx.collections.users.get(id)`."""

# ruff: noqa: A002 - `id` is the wire protocol's own word

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeAlias, cast, overload

from ...transport import JSON
from ..store import Document

__all__ = [
    "AsyncCollectionProxy",
    "AsyncCollectionsProxy",
    "CollectionProxy",
    "CollectionsProxy",
    "InternalCalls",
    "InternalMethod",
]

InternalMethod: TypeAlias = Literal["GET", "PAGE", "COUNT", "POST", "PUT", "DELETE"]


class InternalCalls(Protocol):
    """Calls of collections from inside the pod: what a script asks another collection for.

    Awaited in trio's thread with the context variables of the script that calls, also when that
    is a sync script in another thread: what the pod set for it (the chain of calls) is seen here.
    """

    async def call(
        self, collection: str, method: InternalMethod, id: str | None, data: JSON
    ) -> JSON:
        """Carry a call out and return its answer, which the script may keep and change.

        `data` is a query for GET without id, PAGE and COUNT, and a document for POST and PUT. GET
        of a query brings all or is refused; PAGE brings `documents`, and says whether there are
        `more` that a bound has left out.
        Whatever it raises is raised in the script. It is cancelled when the script's time is over.
        """


_Call: TypeAlias = Callable[[str, InternalMethod, str | None, JSON], JSON]
_AsyncCall: TypeAlias = Callable[[str, InternalMethod, str | None, JSON], Awaitable[JSON]]
_Query: TypeAlias = Mapping[str, JSON]
_ALL: Final[_Query] = MappingProxyType({})


class CollectionsProxy:
    """The pod's collections by name: `ctx.collections.todos`, `ctx.collections["my-todos"]`."""

    __slots__ = ("_call",)

    def __init__(self, call: _Call) -> None:
        self._call = call

    def __getattr__(self, name: str) -> CollectionProxy:
        _refuse_private(name)
        return CollectionProxy(name, self._call)

    def __getitem__(self, name: str) -> CollectionProxy:
        return CollectionProxy(name, self._call)


class CollectionProxy:
    """A collection as a sync script sees it: each call blocks and returns the answer."""

    __slots__ = ("_call", "_name")

    def __init__(self, name: str, call: _Call) -> None:
        self._name = name
        self._call = call

    @overload
    def get(self, id_or_query: str) -> Document: ...
    @overload
    def get(self, id_or_query: _Query = _ALL) -> list[Document]: ...
    def get(self, id_or_query: str | _Query = _ALL) -> Document | list[Document]:
        """Return the document with this id, or those that a query finds."""
        answer = self._call(self._name, "GET", *_id_and_query(id_or_query))
        return cast("Document | list[Document]", answer)

    def all(self, query: _Query = _ALL) -> Iterator[Document]:
        """Yield all documents of a query, however many there are, in the order of their ids."""
        pages = _KeysetPages(query)
        while pages.next_query is not None:
            yield from pages.taken(self._call(self._name, "PAGE", None, pages.next_query))

    def count(self, query: _Query = _ALL) -> int:
        """Return how many documents a query finds."""
        return cast("int", self._call(self._name, "COUNT", None, _plain(query)))

    def post(self, data: _Query) -> Document:
        """Create a document and return it."""
        return cast("Document", self._call(self._name, "POST", None, _plain(data)))

    def put(self, id: str, data: _Query) -> Document:
        """Change a document and return it."""
        return cast("Document", self._call(self._name, "PUT", id, _plain(data)))

    def delete(self, id: str) -> JSON:
        """Remove a document."""
        return self._call(self._name, "DELETE", id, None)

    del_ = delete


class AsyncCollectionsProxy:
    """As `CollectionsProxy`, for async scripts."""

    __slots__ = ("_call",)

    def __init__(self, call: _AsyncCall) -> None:
        self._call = call

    def __getattr__(self, name: str) -> AsyncCollectionProxy:
        _refuse_private(name)
        return AsyncCollectionProxy(name, self._call)

    def __getitem__(self, name: str) -> AsyncCollectionProxy:
        return AsyncCollectionProxy(name, self._call)


class AsyncCollectionProxy:
    """A collection as an async script sees it: each call is awaited."""

    __slots__ = ("_call", "_name")

    def __init__(self, name: str, call: _AsyncCall) -> None:
        self._name = name
        self._call = call

    @overload
    async def get(self, id_or_query: str) -> Document: ...
    @overload
    async def get(self, id_or_query: _Query = _ALL) -> list[Document]: ...
    async def get(self, id_or_query: str | _Query = _ALL) -> Document | list[Document]:
        """Return the document with this id, or those that a query finds."""
        answer = await self._call(self._name, "GET", *_id_and_query(id_or_query))
        return cast("Document | list[Document]", answer)

    async def all(self, query: _Query = _ALL) -> AsyncIterator[Document]:
        """Yield all documents of a query, however many there are, in the order of their ids."""
        pages = _KeysetPages(query)
        while pages.next_query is not None:
            for one in pages.taken(await self._call(self._name, "PAGE", None, pages.next_query)):
                yield one

    async def count(self, query: _Query = _ALL) -> int:
        """Return how many documents a query finds."""
        return cast("int", await self._call(self._name, "COUNT", None, _plain(query)))

    async def post(self, data: _Query) -> Document:
        """Create a document and return it."""
        return cast("Document", await self._call(self._name, "POST", None, _plain(data)))

    async def put(self, id: str, data: _Query) -> Document:
        """Change a document and return it."""
        return cast("Document", await self._call(self._name, "PUT", id, _plain(data)))

    async def delete(self, id: str) -> JSON:
        """Remove a document."""
        return await self._call(self._name, "DELETE", id, None)

    del_ = delete


class _KeysetPages:
    """Page after page of a query, by key: what others write meanwhile moves nothing.

    `next_query` is what to ask next, None when all is there.
    """

    def __init__(self, query: _Query) -> None:
        asked = _plain(query)
        for name in ("$sort", "$skip", "$limit"):
            if name in asked:
                raise ValueError(f"all() goes by id, to the end; leave {name} out, or use get()")
        fields = {"$fields": asked.pop("$fields")} if "$fields" in asked else {}
        self._options: dict[str, JSON] = {**fields, "$sort": {"id": 1}}
        self._wanted = asked
        self.next_query: dict[str, JSON] | None = {**asked, **self._options}

    def taken(self, page: JSON) -> list[Document]:
        """Return the documents of a page, and know what comes after them."""
        found = cast("dict[str, JSON]", page)
        those = cast("list[Document]", found["documents"])
        self.next_query = None
        if found["more"] and those:
            after: JSON = [self._wanted, {"id": {"$gt": those[-1]["id"]}}]
            self.next_query = {"$and": after, **self._options}
        return those


def _id_and_query(given: str | _Query) -> tuple[str | None, JSON]:
    return (given, None) if isinstance(given, str) else (None, _plain(given))


def _plain(given: _Query) -> dict[str, JSON]:
    """Return a copy of a query or a document: None in its place is a mistake, and asks for all."""
    if not isinstance(given, Mapping):
        raise TypeError(
            f"a collection takes dicts, as queries and as documents, and no {type(given).__name__}"
        )
    return dict(given)


def _refuse_private(name: str) -> None:
    # Names with underscores are asked for by Python itself (copy, pickle, help).
    if name.startswith("_"):
        raise AttributeError(f"No collection is called '{name}': names begin with a letter.")

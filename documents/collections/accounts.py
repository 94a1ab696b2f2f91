"""The users as signing in needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

import orjson

from ...transport import JSON, Asker, Identity, TooManyWaiting
from ..errors import RequestRefused, StoreUnavailable, refused_for
from ..http import ApiAnswer, SignedIn, User
from ..store import Document, Query
from ..users import POD, USERS, Caller, can_be_name, in_order, is_root_user, named
from . import documents
from .api import answer_of
from .directory import Directory
from .environment import Collection, CollectionEnvironment
from .scripting import Call
from .service import CollectionService
from .view import Viewer
from .writing import WriteRequest, refusal_of

__all__ = ["UserAccounts"]

MOST_OF_ONE_NAME: Final = 4
"""Users whom one name may mean: as a name and as an address, folded and as it is written."""


class UserAccounts:
    """Finds and makes users in the collection `users`; refusals are answers."""

    def __init__(
        self,
        directory: Directory,
        environment: CollectionEnvironment,
        service: CollectionService,
        viewer: Viewer,
    ) -> None:
        self._directory = directory
        self._env = environment
        self._service = service
        self._viewer = viewer

    async def sign_in(self, name: str, password: str, asker: Asker) -> ApiAnswer | SignedIn:
        """Return the user with this name or e-mail address and this password, or the refusal."""
        try:
            users = await self._users()
            # Few: one's name may be another's address. Without any, a hash is made too.
            matching = await self._find(users, name) if can_be_name(name) else []
            tried: Sequence[Document | None] = matching or [None]
            for found in tried:
                hashed = cast("str | None", found["password"]) if found else None
                if await self._env.passwords.verify(hashed, password, asker) and found is not None:
                    return await self._signed_in(users, found)
        except RequestRefused as refused:
            return answer_of(refused)
        except TooManyWaiting as error:
            return answer_of(refused_for(error))
        return answer_of(_wrong())

    async def user(self, identity: Identity) -> ApiAnswer | User:
        """Return a user as it sees itself, or the refusal."""
        try:
            users = await self._users()
            found = await self._get(users, identity.user_id)
            if found is None:
                return answer_of(RequestRefused(404, "You are not among this pod's users."))
            return await self._viewer.view(users, _call_of(identity), found)
        except RequestRefused as refused:
            return answer_of(refused)

    async def create_user(self, data: Mapping[str, JSON]) -> ApiAnswer | User:
        """Make a user, as root, and return it, or the refusal."""
        given = dict(data)
        given.setdefault("username", given.get("email"))
        try:
            request = WriteRequest("post", None, given, Call(POD, method="POST"))
            return (await self._service.submit(await self._users(), request)).body
        except RequestRefused as refused:
            return answer_of(refused, root=True)

    async def _signed_in(self, users: Collection, found: Document) -> SignedIn:
        """Return a user as it sees itself: a script decides what it is shown, not who it is."""
        id_, name = str(found["id"]), str(found.get("username", ""))
        identity = Identity(id_, name, is_root=is_root_user(found), expires_at=None)
        return SignedIn(identity, await self._viewer.written(users, _call_of(identity), found))

    async def _users(self) -> Collection:
        users = self._directory.find(USERS)
        if users is None:
            raise RequestRefused(503, "The users are not up yet.", headers={"Retry-After": "1"})
        await users.usable()
        return users

    async def _find(self, users: Collection, name: str) -> list[Document]:
        try:
            query = Query(named(name), limit=MOST_OF_ONE_NAME)
            page = await self._env.store.find(users.definition, query)
        except StoreUnavailable as error:
            raise refusal_of(error) from error
        return in_order([orjson.loads(document) for document in page.documents], name)

    async def _get(self, users: Collection, user_id: str) -> Document | None:
        if not documents.can_be_id(user_id):  # a token of somebody else's may hold any text
            return None
        try:
            return await self._env.store.get(users.definition, user_id)
        except StoreUnavailable as error:
            raise refusal_of(error) from error


def _call_of(identity: Identity) -> Call:
    return Call(Caller(identity), parts=(identity.user_id,))


def _wrong() -> RequestRefused:
    sentence = "The name or the password is wrong."
    return RequestRefused(401, sentence, headers={"WWW-Authenticate": "Bearer"})

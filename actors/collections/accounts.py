"""The users as signing in needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import orjson

from ...transport import JSON, StoreUnavailable
from ...transport.http import ApiAnswer, User
from ...transport.store import Document, Filter, Query
from . import documents
from .api import answer_of
from .calls import CollectionCalls
from .directory import Directory
from .environment import Collection, CollectionEnvironment
from .refused import RequestRefused
from .rights import POD
from .scripting import Asked
from .users import USERS, can_be_name, is_root_user, named
from .writing import Writing, refusal_of

__all__ = ["UserAccounts"]


class UserAccounts:
    """Finds and makes users in the collection `users`; refusals are answers."""

    def __init__(
        self, directory: Directory, environment: CollectionEnvironment, calls: CollectionCalls
    ) -> None:
        self._directory = directory
        self._env = environment
        self._calls = calls

    async def sign_in(self, name: str, password: str) -> ApiAnswer | User:
        """Return the user with this name or e-mail address and this password, or the refusal."""
        try:
            users = await self._users()
            # Two at most: one's name may be another's address. Without any, a hash is made too.
            matching = await self._find(users, named(name)) if can_be_name(name) else []
            for found in matching or [None]:
                hashed = cast("str | None", found["password"]) if found else None
                if await self._env.passwords.verify(hashed, password) and found is not None:
                    return documents.shown(users.definition, found)
        except RequestRefused as refused:
            return answer_of(refused)
        return answer_of(_wrong())

    async def user(self, user_id: str) -> ApiAnswer | User:
        """Return the user with this id, or the refusal."""
        try:
            users = await self._users()
            found = await self._get(users, user_id)
        except RequestRefused as refused:
            return answer_of(refused)
        if found is None:
            return answer_of(RequestRefused(404, "You are not among this pod's users."))
        return documents.shown(users.definition, found)

    async def create_user(self, data: Mapping[str, JSON]) -> ApiAnswer | User:
        """Make a user, as root, and return it, or the refusal."""
        given = dict(data)
        given.setdefault("username", given.get("email"))
        try:
            writing = Writing("post", None, given, Asked(POD, method="POST"))
            return (await self._calls.write(await self._users(), writing)).document
        except RequestRefused as refused:
            return answer_of(refused, root=True)

    def is_root_user(self, user: User) -> bool:
        """Say whether this user's tokens are to say root."""
        return is_root_user(dict(user))

    async def _users(self) -> Collection:
        users = self._directory.find(USERS)
        if users is None:
            raise RequestRefused(503, "The users are not up yet.", headers={"Retry-After": "1"})
        await users.usable()
        return users

    async def _find(self, users: Collection, wanted: Filter) -> list[Document | None]:
        try:
            page = await self._env.store.find(users.definition, Query(wanted, limit=2))
        except StoreUnavailable as error:
            raise refusal_of(error) from error
        return [cast("Document", orjson.loads(document)) for document in page.documents]

    async def _get(self, users: Collection, user_id: str) -> Document | None:
        if not documents.can_be_id(user_id):  # a token of somebody else's may hold any text
            return None
        try:
            return await self._env.store.get(users.definition, user_id)
        except StoreUnavailable as error:
            raise refusal_of(error) from error


def _wrong() -> RequestRefused:
    sentence = "The name or the password is wrong."
    return RequestRefused(401, sentence, headers={"WWW-Authenticate": "Bearer"})

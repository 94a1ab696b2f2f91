"""Signing in over HTTP, and who one is: `/auth/…`, and making users as root."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...config import Audited
from ...transport import JSON, Asker, Attempts, BadToken, Identity, TooManyGuesses
from ...transport.http import (
    ROOT,
    Authenticator,
    Keyring,
    OwnRoute,
    address_of,
    error_response,
    json_response,
    refusal,
)
from .collections import ApiAnswer, json_body

__all__ = ["Accounts", "AuthView", "SignedIn", "User", "auth_routes"]

Endpoint = Callable[[Request], Awaitable[Response]]

User = JSON
"""A user's document as the user may see it."""


@frozen
class SignedIn:
    """Somebody whose password was right: who that is, and the user as it sees itself."""

    identity: Identity
    user: User


class Accounts(Protocol):
    """Whoever keeps the users."""

    async def sign_in(self, name: str, password: str, asker: Asker) -> ApiAnswer | SignedIn:
        """Return the user with this name or e-mail address and this password, or the refusal."""

    async def user(self, identity: Identity) -> ApiAnswer | User:
        """Return a user as it sees itself, or the refusal."""

    async def create_user(self, data: Mapping[str, JSON]) -> ApiAnswer | User:
        """Make a user, as root, and return it, or the refusal."""


@frozen
class AuthView:
    """What signing in needs of the pod.

    `accounts` is None where there are no users here; `clock` returns seconds; `rate_limited`
    counts those who tried to sign in too often, as `sign_ins`.
    """

    accounts: Accounts | None
    keyring: Keyring
    authenticator: Authenticator
    attempts: Attempts
    clock: Callable[[], float]
    rate_limited: Counter[str]


def auth_routes(view: AuthView) -> list[Route]:
    """Return the routes under `/auth`, and the one that makes users."""

    def bound(answer: Callable[[AuthView, Request], Awaitable[Response]]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await answer(view, request)

        return endpoint

    return [
        OwnRoute("/auth/login", bound(_login), methods=["POST"]),
        OwnRoute("/auth/validate", bound(_validate)),
        OwnRoute("/auth/me", bound(_me)),
        OwnRoute("/_admin/auth/create-user", bound(_create_user), methods=["POST"]),
    ]


async def _login(view: AuthView, request: Request) -> Response:
    body = await json_body(request)
    if isinstance(body, Response):
        return body
    address = address_of(request)
    seconds = math.ceil(view.attempts.attempt(address, view.clock()))
    if seconds:
        view.rate_limited["sign_ins"] += 1
        view.authenticator.record(Audited.TOO_MANY_GUESSES, request)
        sentence = f"Too many sign-ins from this address; try again in {seconds} s."
        return error_response(429, sentence, {"Retry-After": str(seconds)})
    match body:
        case {"masterKey": str(key)} if key:
            if not view.keyring.is_master_key(key):
                view.authenticator.record(Audited.WRONG_MASTER_KEY, request)
                headers = {"WWW-Authenticate": "Bearer"}
                return error_response(401, "This is not the master key.", headers)
            view.attempts.forgive(address)
            view.authenticator.record(Audited.ROOT_SIGNED_IN, request, ROOT.user_id)
            return _token(view, ROOT, None)
        case {"username": str(name), "password": str(password)} if name and password:
            return await _sign_in(view, request, name, password)
    return error_response(400, 'Send {"username": …, "password": …} or {"masterKey": …}.')


async def _sign_in(view: AuthView, request: Request, name: str, password: str) -> Response:
    if view.accounts is None:
        return _no_users()
    address = address_of(request)
    signed_in = await view.accounts.sign_in(name, password, Asker(address))
    if isinstance(signed_in, ApiAnswer):
        if signed_in.status == 401:  # else nothing was looked at
            view.authenticator.record(Audited.SIGN_IN_FAILED, request, name)
        return _respond(signed_in)
    view.attempts.forgive(address)  # or an office behind one address would be kept out
    if signed_in.identity.is_root:
        view.authenticator.record(Audited.ROOT_SIGNED_IN, request, signed_in.identity.user_id)
    return _token(view, signed_in.identity, signed_in.user)


async def _validate(view: AuthView, request: Request) -> Response:
    identity = _signed_in(view, request)
    if isinstance(identity, Response):
        return identity
    return json_response(
        {
            "valid": True,
            "userID": identity.user_id,
            "username": identity.username,
            "isRoot": identity.is_root,
            "exp": None if identity.expires_at is None else int(identity.expires_at),
        }
    )


async def _me(view: AuthView, request: Request) -> Response:
    identity = _signed_in(view, request)
    if isinstance(identity, Response):
        return identity
    if identity.user_id == ROOT.user_id or view.accounts is None:
        names = {"id": identity.user_id, "username": identity.username}
        return json_response({**names, "isRoot": identity.is_root})
    return _respond(await view.accounts.user(identity))


async def _create_user(view: AuthView, request: Request) -> Response:
    identity = _signed_in(view, request)
    if isinstance(identity, Response):
        return identity
    if not identity.is_root:
        return error_response(403, "Only root makes users here.")
    body = await json_body(request)
    if isinstance(body, Response):
        return body
    data = body.get("userData")
    if not isinstance(data, Mapping):
        return error_response(400, 'Send {"userData": {"username": …, "password": …}}.')
    if view.accounts is None:
        return _no_users()
    made = await view.accounts.create_user(data)
    if isinstance(made, ApiAnswer):
        return _respond(made)
    return json_response({"success": True, "user": made}, 201)


def _token(view: AuthView, identity: Identity, user: User) -> Response:
    root = identity.is_root
    token, expires_at = view.keyring.sign(identity.user_id, identity.username, root)
    answer: dict[str, object] = {"token": token, "expiresAt": expires_at, "isRoot": root}
    if user is not None:
        answer["user"] = user
    return json_response(answer)


def _signed_in(view: AuthView, request: Request) -> Identity | Response:
    try:
        identity = view.authenticator.identify(request)
    except TooManyGuesses as error:
        return refusal(error)
    except BadToken as error:
        headers = {"WWW-Authenticate": "Bearer"}
        return json_response({"valid": False, "error": error.sentence}, 401, headers)
    if identity is None:
        sentence = "Sign in first: send 'Authorization: Bearer <token>' from POST /auth/login."
        return error_response(401, sentence, {"WWW-Authenticate": "Bearer"})
    return identity


def _no_users() -> Response:
    return error_response(404, "This pod keeps no users (API_ENABLED is false).")


def _respond(answer: ApiAnswer | User) -> Response:
    if isinstance(answer, ApiAnswer):
        return json_response(answer.body, answer.status, answer.headers)
    return json_response(answer)

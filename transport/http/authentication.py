"""Who sends a request, asked at the door: whoever guesses there is slowed down and written down."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Final

from attrs import define, field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ...config import Audit, Audited
from ..errors import BadToken, TooManyGuesses
from ..limits import Asker, Attempts, network_of
from ..sockets import Premises
from ..tokens import Identity, constant_time_equal
from .answers import NOT_JSON, error_response, says_json
from .keyring import Keyring, bearer
from .middleware import end_of, peer_of

__all__ = ["Authenticator", "address_of", "asker_of", "refusal"]

_SCRAPER: Final = Identity("metrics", "metrics", is_root=False, expires_at=None)
"""Who shows the token of the metrics; known to nobody but the authenticator."""


def address_of(request: Request) -> str:
    """Return what a client is counted under: the address it is believed to have, or its network."""
    return network_of(peer_of(request))


def asker_of(request: Request, identity: Identity | None) -> Asker:
    """Return on whose account a request is."""
    if identity is None:
        return Asker(address_of(request))
    return Asker(address_of(request), identity.user_id, privileged=identity.is_root)


@define(eq=False)
class Authenticator:
    """Asks a keyring who sends a request. Wrong keys and tokens are counted for each address.

    An address that has shown too many gets no answer to another master key or token of the
    metrics, right or wrong, until it may guess again; those of other addresses are answered as
    ever. Good tokens always pass, for a signature cannot be guessed, and a token that has only
    expired is no guess. `clock` returns seconds; `rate_limited` counts the guesses that were not
    looked at, as `master_key` or `metrics_token`.

    Who is refused here, and what root asks for beyond a look, is told to `audit`. `scrape_token`
    may be exchanged while the pod runs.
    """

    keyring: Keyring
    guesses: Attempts
    clock: Callable[[], float]
    rate_limited: Counter[str]
    premises: Premises
    scrape_token: str = ""
    audit: Audit = field(factory=Audit)

    def identify(self, request: Request, *, for_rooms: bool = False) -> Identity | None:
        """Return who sends a request, or None for somebody who shows nothing.

        A token that is good for rooms alone is taken only where that is asked for. Raises
        `BadToken`, and of these `TooManyGuesses` where nothing was looked at; and, whatever the
        path, `HTTPException` (415) for what root wants done and does not say in JSON.
        """
        return self._identify(request, scrape_token="", for_rooms=for_rooms)

    def own(self, request: Request) -> bool:
        """Say whether a request is a developer's own; see `Premises.own`."""
        if not self.premises.dev:
            return False
        version = request.scope.get("http_version", "1.1")
        return self.premises.own(end_of(request), request.headers.items(), version)

    def acts_as_root(self, request: Request) -> bool:
        """Say whether a developer's own asks, who may do what root may; the audit is told of it.

        Raises `HTTPException` as `identify` does.
        """
        if not self.own(request):
            return False
        self._let_act(request, "a developer of this machine")
        return True

    def record(self, what: Audited, request: Request, user: str | None = None) -> None:
        """Tell the audit what became of a request; `user` is who it is from, or says to be."""
        path = str(request.scope["path"])
        self.audit(what, address=peer_of(request), user=user, method=request.method, path=path)

    def refuse_all_but_root(self, request: Request) -> Response | None:
        """Return the answer for who is not root, or None for root and for a developer's own."""
        return self._refuse(request, scrape_token="")

    def refuse_all_but_scrapers(self, request: Request) -> Response | None:
        """Likewise, but let those pass too who show the token of the metrics, if there is one."""
        return self._refuse(request, self.scrape_token)

    def _refuse(self, request: Request, scrape_token: str) -> Response | None:
        if self.acts_as_root(request):
            return None
        try:
            identity = self._identify(request, scrape_token)
        except BadToken as error:
            return refusal(error)
        if identity is None:
            sentence = (
                "This is for root: send 'Authorization: Bearer <token>' or 'X-Master-Key: <key>'."
            )
            return error_response(401, sentence, {"WWW-Authenticate": "Bearer"})
        if not identity.is_root and identity is not _SCRAPER:
            return error_response(403, "This is for root: the token you sent is not root's.")
        return None

    def knows(self, request: Request) -> bool:
        """Say whether a request is root's or a developer's own, whatever it asks for.

        It is told when not; who is known is asked again by what answers.
        """
        if self.own(request):
            return True
        try:
            identity = self._recognise(request, scrape_token="", for_rooms=True)
        except BadToken:
            return False
        return identity is not None and identity.is_root

    def _identify(
        self, request: Request, scrape_token: str, *, for_rooms: bool = False
    ) -> Identity | None:
        identity = self._recognise(request, scrape_token, for_rooms=for_rooms)
        if identity is not None and identity.is_root:
            self._let_act(request, identity.user_id)
        return identity

    def _recognise(
        self, request: Request, scrape_token: str, *, for_rooms: bool
    ) -> Identity | None:
        try:
            return self._look(request, scrape_token, for_rooms=for_rooms)
        except BadToken as error:
            kind = _KINDS.get(error.code, Audited.TOKEN_REFUSED)
            if kind is Audited.TOKEN_REFUSED and scrape_token:
                kind = Audited.WRONG_METRICS_TOKEN
            self.record(kind, request)
            raise

    def _look(self, request: Request, scrape_token: str, *, for_rooms: bool) -> Identity | None:
        has_key, address = "x-master-key" in request.headers, address_of(request)
        if has_key:
            self._check_guesses(address, "master_key")
        try:
            return self.keyring.identify(request.headers, for_rooms=for_rooms)
        except BadToken as error:
            if error.code == "expired_token":
                raise
            if not has_key:
                self._check_guesses(address, "metrics_token" if scrape_token else "master_key")
                if scrape_token and constant_time_equal(
                    bearer(request.headers) or "", scrape_token
                ):
                    return _SCRAPER
            self.guesses.attempt(address, self.clock())
            raise

    def _check_guesses(self, address: str, what: str) -> None:
        seconds = math.ceil(self.guesses.retry_after(address, self.clock()))
        if seconds:
            self.rate_limited[what] += 1
            raise TooManyGuesses(seconds)

    def _let_act(self, request: Request, user: str) -> None:
        """Tell what root, or who stands in its place, wants done; it is to say so in JSON."""
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return
        if request.method != "DELETE" and not says_json(request):  # a page has to ask to DELETE
            raise HTTPException(415, NOT_JSON)
        self.record(Audited.ROOT_ACTED, request, user)


_KINDS: Final = {
    "bad_key": Audited.WRONG_MASTER_KEY,
    "expired_token": Audited.TOKEN_EXPIRED,
    "too_many_guesses": Audited.TOO_MANY_GUESSES,
}
"""What is told of an error, by its code; every other is a token that was refused."""


def refusal(error: BadToken) -> Response:
    """Return the answer to a key or a token that is not good: 401, or 429 for one too many."""
    if isinstance(error, TooManyGuesses):
        return error_response(429, error.sentence, {"Retry-After": str(error.seconds)})
    return error_response(401, error.sentence, {"WWW-Authenticate": "Bearer"})

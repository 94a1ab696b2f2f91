"""Who sends a request, asked at the door: whoever guesses keys there is slowed down."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from ..attempts import Attempts, network_of
from ..errors import BadToken, TooManyGuesses
from ..shares import Asker
from ..tokens import Identity
from .answers import error_response
from .identity import Keyring

__all__ = ["Doorman", "address_of", "asker_of", "refusal"]


def address_of(request: Request) -> str:
    """Return what a client is counted under: the address it is believed to have, or its network."""
    return network_of(request.client.host if request.client else "")


def asker_of(request: Request, identity: Identity | None) -> Asker:
    """Return on whose account a request is."""
    if identity is None:
        return Asker(address_of(request))
    return Asker(address_of(request), identity.user_id, privileged=identity.is_root)


class Doorman:
    """Asks a keyring who sends a request. Wrong keys and tokens are counted for each address.

    An address that has shown too many gets no answer to another master key, right or wrong, until
    it may guess again; those of other addresses are answered as ever. Good tokens always pass,
    for a signature cannot be guessed, and a token that has only expired is no guess. `clock`
    returns seconds; `rate_limited` counts the guesses that were not looked at, as `master_key`.
    """

    def __init__(
        self,
        keyring: Keyring,
        guesses: Attempts,
        clock: Callable[[], float],
        rate_limited: Counter[str],
    ) -> None:
        self._keyring = keyring
        self._guesses = guesses
        self._clock = clock
        self._rate_limited = rate_limited

    def identify(self, request: Request) -> Identity | None:
        """Return who sends a request, or None for somebody who shows nothing.

        Raises `BadToken`, and of these `TooManyGuesses` where nothing was looked at.
        """
        key, address = request.headers.get("x-master-key"), address_of(request)
        if key is not None:
            self._check_patience(address)
        try:
            return self._keyring.identify(request.headers)
        except BadToken as error:
            if error.code != "expired_token":
                if key is None:
                    self._check_patience(address)
                self._guesses.wait(address, self._clock())
            raise

    def _check_patience(self, address: str) -> None:
        seconds = math.ceil(self._guesses.patience(address, self._clock()))
        if seconds:
            self._rate_limited["master_key"] += 1
            raise TooManyGuesses(seconds)

    def refuse_all_but_root(self, request: Request) -> Response | None:
        """Return the answer for somebody who is not root, or None for root."""
        try:
            identity = self.identify(request)
        except BadToken as error:
            return refusal(error)
        if identity is None:
            sentence = (
                "This is for root: send 'Authorization: Bearer <token>' or 'X-Master-Key: <key>'."
            )
            return error_response(401, sentence, {"WWW-Authenticate": "Bearer"})
        if not identity.is_root:
            return error_response(403, "This is for root: the token you sent is not root's.")
        return None


def refusal(error: BadToken) -> Response:
    """Return the answer to a key or a token that is not good: 401, or 429 for one too many."""
    if isinstance(error, TooManyGuesses):
        return error_response(429, error.sentence, {"Retry-After": str(error.seconds)})
    return error_response(401, error.sentence, {"WWW-Authenticate": "Bearer"})

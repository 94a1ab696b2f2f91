"""JSON Web Tokens (RFC 7519): who a client is, and until when.

The algorithms come from the configuration, never from the token (RFC 8725 section 3.1). The clock
is passed in, so the claims about time are checked here and not by PyJWT.
"""

import hmac
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn, TypeVar, cast

import jwt
from attrs import asdict, fields, frozen

from .errors import BadToken

__all__ = ["MAX_TOKEN_BYTES", "Identity", "RoomRights", "Tokens", "constant_time_equal"]

MAX_TOKEN_BYTES = 8192
"""Bytes of a token; longer ones are refused before anything parses them."""

_LAST_MOMENT = 2.0**53
"""Unix seconds. Beyond it whole seconds are no longer told apart, and JSON's readers differ."""

T = TypeVar("T")


@frozen
class RoomRights:
    """What a token that is for rooms alone lets its bearer do, by patterns of rooms' names.

    `publish`: say something there over HTTP. `list`: see them in the directory.
    """

    publish: tuple[str, ...] = ()
    list: tuple[str, ...] = ()


_RIGHTS: Final = frozenset(each.name for each in fields(RoomRights))


@frozen
class Identity:
    """Who a client has shown to be. `expires_at` is in unix seconds, None for never.

    `rooms` is there for who has shown a token that is good for nothing else.
    """

    user_id: str
    username: str
    is_root: bool
    expires_at: float | None
    rooms: RoomRights | None = None


class Tokens:
    """Signs and verifies the tokens of one secret.

    `leeway` is in seconds and allows for clocks that differ. `wall` returns unix seconds. Tokens
    are signed with the first of `algorithms`; any of them is accepted.
    """

    def __init__(
        self,
        secret: str,
        *,
        algorithms: Sequence[str],
        issuer: str,
        require_issuer: bool,
        leeway: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if not algorithms or any(name.lower() == "none" for name in algorithms):
            raise ValueError("name at least one signing algorithm, such as HS256; 'none' is none")
        self._secret = secret
        self._algorithms = tuple(algorithms)
        self._issuer = issuer
        self._require_issuer = require_issuer
        self._leeway = leeway
        self._wall = wall

    def change_secret(self, secret: str) -> None:
        """Sign with this secret from now on, and accept no token that another one has signed."""
        self._secret = secret

    def sign(
        self,
        user_id: str,
        *,
        username: str = "",
        is_root: bool = False,
        ttl: float,
        rooms: RoomRights | None = None,
    ) -> str:
        """Return a token that is good from now on for `ttl` seconds, rounded up to a whole one.

        With `rooms` it is good for these rights and nothing else.
        """
        now = self._wall()
        claims: dict[str, object] = {
            "user_id": user_id,
            "username": username,
            "is_root": is_root,
            "iss": self._issuer,
            "sub": user_id,
            "iat": int(now),
            "nbf": int(now),
            "exp": math.ceil(now + ttl),
            "jti": secrets.token_hex(16),
        }
        if rooms is not None:
            claims["rooms"] = asdict(rooms, filter=lambda _, patterns: bool(patterns))
        return jwt.encode(claims, self._secret, algorithm=self._algorithms[0])

    def verify(self, token: str, *, for_rooms: bool = False) -> Identity:
        """Return who signed in with this token, or raise `BadToken`.

        One that is good for rooms alone is taken only where that is asked for.
        """
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            _refuse(f"Send a token of at most {MAX_TOKEN_BYTES} ASCII characters.")
        claims = self._decode(token)
        expires_at = self._check_times(claims)
        is_root, rooms = _claim(claims, "is_root", bool, False), _room_rights(claims)
        if rooms is not None and (is_root or not for_rooms):
            _refuse(
                "The token is good for publishing into rooms and listing them over HTTP, and for "
                "nothing else; send one without a 'rooms' claim."
            )
        return Identity(
            user_id=_user_id(claims),
            username=_text("username", _claim(claims, "username", str, "")),
            is_root=is_root,
            expires_at=expires_at,
            rooms=rooms,
        )

    def _decode(self, token: str) -> Mapping[str, object]:
        try:
            return cast(
                "Mapping[str, object]",
                jwt.decode(
                    token,
                    self._secret,
                    algorithms=self._algorithms,
                    issuer=self._issuer if self._require_issuer else None,
                    options={
                        "verify_exp": False,
                        "verify_nbf": False,
                        "verify_iat": False,
                        "verify_iss": self._require_issuer,
                    },
                ),
            )
        # What hostile JSON raises inside PyJWT differs between its versions. Without the cause's
        # own message, which may quote what the token holds.
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            problem = type(error).__name__
        raise BadToken(
            "bad_token", f"The token is not valid here ({problem}); sign in again to get a new one."
        )

    def _check_times(self, claims: Mapping[str, object]) -> float:
        now = self._wall()
        expires_at = _moment(claims, "exp")
        if expires_at is None:
            _refuse("The token never expires; use one with an 'exp' claim.")
        if expires_at + self._leeway <= now:
            raise BadToken(
                "expired_token", "The token has expired; sign in again to get a new one."
            )
        for name in ("nbf", "iat"):
            moment = _moment(claims, name)
            if moment is not None and moment - self._leeway > now:
                _refuse(f"The token is not valid yet ('{name}'); check the clocks of both sides.")
        return expires_at


def constant_time_equal(a: str, b: str) -> bool:
    """Compare two secrets in a time that does not tell where they differ."""
    return hmac.compare_digest(_bytes_of(a), _bytes_of(b))


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _refuse(sentence: str) -> NoReturn:
    raise BadToken("bad_token", sentence)


def _user_id(claims: Mapping[str, object]) -> str:
    value = claims.get("user_id")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int:
        return str(value)
    if isinstance(value, str) and value:
        return _text("user_id", value)
    _refuse("The token names no user; use one whose 'user_id' claim is a string or a number.")


def _text(name: str, value: str) -> str:
    """Return a text that can be sent on, looked for and written down.

    Half a surrogate pair is what JavaScript's `slice` makes of an emoji; JSON can hold it, UTF-8
    cannot.
    """
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        _refuse(f"The token's '{name}' claim holds what is no text; sign in again.")
    return value


def _claim(claims: Mapping[str, object], name: str, kind: type[T], default: T) -> T:
    value = claims.get(name, default)
    if type(value) is not kind:
        _refuse(f"The token's '{name}' claim has the wrong type; it must be a {kind.__name__}.")
    return value


def _room_rights(claims: Mapping[str, object]) -> RoomRights | None:
    """Return what a token may do in rooms, where it is for that alone.

    A right that is not known here is refused: whoever signed it meant something by it.
    """
    claim = claims.get("rooms")
    if claim is None:
        return None
    if not isinstance(claim, dict) or not all(
        name in _RIGHTS and isinstance(patterns, list) and all(map(_is_pattern, patterns))
        for name, patterns in claim.items()
    ):
        _refuse(
            "The token's 'rooms' claim is not understood; it holds patterns of rooms' names in "
            "'publish' and 'list'."
        )
    return RoomRights(**{name: tuple(patterns) for name, patterns in claim.items()})


def _is_pattern(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _moment(claims: Mapping[str, object], name: str) -> float | None:
    """Return a NumericDate (RFC 7519 section 2) in unix seconds, or None when there is none."""
    value = claims.get(name)
    if value is None:
        return None
    if type(value) in (int, float):
        try:
            moment = float(value)  # type: ignore[arg-type] # narrowed by the line above
        except OverflowError:
            moment = math.inf
        if abs(moment) <= _LAST_MOMENT:
            return moment
    _refuse(f"The token's '{name}' claim is not a date; it must be a number of seconds.")

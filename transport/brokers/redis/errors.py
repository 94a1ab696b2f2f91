"""What Redis and its client library complain about, in the broker's terms."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
)

from ...errors import BrokerError, BrokerRefused, BrokerUnavailable

__all__ = ["translate"]

_REFUSALS: Final[tuple[tuple[str, str], ...]] = (
    (
        "without any password configured",
        "{where} has no password for this user; clear broker.redis.password.",
    ),
    (
        "no password is set",
        "{where} has no password for this user; clear broker.redis.password.",
    ),
    (
        "Authentication required",
        "{where} wants a password; set broker.redis.password.",
    ),
    (
        "invalid username-password",
        (
            "{where} refuses the user or the password; correct broker.redis.username or "
            "broker.redis.password."
        ),
    ),
    (
        "DB index is out of range",
        "{where} has no such database; lower broker.redis.database.",
    ),
    (
        "SELECT is not allowed in cluster mode",
        "{where} is a node of a cluster, which has no databases; set broker.redis.database to 0.",
    ),
    (
        "cluster support disabled",
        (
            "{where} is no node of a cluster; set broker.redis.cluster to false and "
            "broker.redis.nodes to []."
        ),
    ),
    (
        "running in protected mode",
        (
            "{where} is in protected mode and lets no other machine in; give it a password and set "
            "broker.redis.password."
        ),
    ),
)
"""What a reply says, and what the operator has to do about it."""

_OLD: Final = (
    "{where} has no sharded publish and subscribe; upgrade the cluster to Redis 7, or set "
    "broker.redis.cluster to false."
)
_DENIED: Final = (
    "{where} denies the user a command or a channel; let the ACL of broker.redis.username have the "
    "commands publish, subscribe and unsubscribe (in a cluster spublish, ssubscribe, sunsubscribe "
    "and cluster; with Sentinel role too) and the channels of broker.redis.prefix."
)
_UNTRUSTED: Final = (
    "{where} shows a certificate that is not trusted or not its own; set broker.redis.caFile to "
    "the certificates to trust, and name the server as its certificate does."
)
_STATES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ReadOnlyError, "{where} is a replica and takes nothing; the master is elsewhere."),
    (OutOfMemoryError, "{where} is out of memory; raise its maxmemory."),
    (BusyLoadingError, "{where} is still loading its data."),
    (MasterDownError, "{where} has lost its master."),
    (ClusterDownError, "{where} says that its cluster is down."),
    (MovedError, "{where} has given slots of the cluster away."),
)


def translate(error: BaseException, where: object) -> BrokerError:
    """Return the error that says what became of `where` (a server) and what to do about it.

    Texts of the server are quoted only up to its first comma: a payload may follow.
    """
    if isinstance(error, BrokerError):
        return error
    refusal = _refusal(error)
    if refusal:
        return BrokerRefused(refusal.format(where=where))
    for kind, sentence in _STATES:
        if isinstance(error, kind):
            return BrokerUnavailable(sentence.format(where=where))
    if any(isinstance(cause, socket.gaierror) for cause in _causes(error)):
        return BrokerUnavailable(f"{where} cannot be resolved; check the host's name and the DNS.")
    return BrokerUnavailable(f"{where} is out of reach: {_quoted(error)}.")


def _refusal(error: BaseException) -> str | None:
    text = str(error)
    for sign, sentence in _REFUSALS:
        if sign in text:
            return sentence
    if "unknown command" in text and any(verb in text.lower() for verb in ("spub", "ssub")):
        return _OLD
    if isinstance(error, NoPermissionError):
        return _DENIED
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError):
        return _REFUSALS[3][1]
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        return _UNTRUSTED
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised for; redis-py wraps without naming a cause."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def _quoted(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    text = str(error).partition(",")[0].strip(" .")
    return text[:120] or type(error).__name__

"""What Redis and its client library complain about, in the broker's terms."""

from __future__ import annotations

import socket
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
from ..network import causes, tls_sentence

__all__ = ["is_of_channel", "translate"]

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
    "commands publish, subscribe, unsubscribe, role and info (in a cluster spublish, ssubscribe, "
    "sunsubscribe and cluster) and the channels of broker.redis.prefix."
)
_STATES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ReadOnlyError, "{where} is a replica and takes nothing; the master is elsewhere."),
    (OutOfMemoryError, "{where} is out of memory; raise its maxmemory."),
    (BusyLoadingError, "{where} is still loading its data; it lets the pod in when it has."),
    (MasterDownError, "{where} is a replica that has lost its master; the master is elsewhere."),
    (
        ClusterDownError,
        "{where} says that its cluster is down; look for the masters that are missing.",
    ),
    (MovedError, "{where} has given slots of the cluster away."),
)
_CAUSES: Final[tuple[tuple[str, str], ...]] = (
    (
        "max number of clients",
        "{where} has no connection left; raise its maxclients, or find who has so many.",
    ),
    ("BUSY ", "{where} is busy with a script; end it with SCRIPT KILL."),
    (
        "MISCONF ",
        "{where} cannot save to its disk and takes nothing; give it room, or see its log.",
    ),
)
"""What a reply says of the server's own trouble, where redis-py has no class for it."""


def is_of_channel(reply: object) -> bool:
    """Whether a reply denies the user one channel, not the command for all of them."""
    return isinstance(reply, NoPermissionError) and "channel" in str(reply)


def translate(error: BaseException, where: object) -> BrokerError:
    """Return the error that says what became of `where` (a server) and what to do about it.

    Texts of the server are quoted only up to its first comma: a payload may follow.
    """
    if isinstance(error, BrokerError):
        return error
    wrong = tls_sentence(error, "redis")
    if wrong is not None:
        return BrokerRefused(f"{where} {wrong}.")
    refusal = _refusal(error)
    if refusal:
        return BrokerRefused(refusal.format(where=where))
    for sign, sentence in _CAUSES:
        if sign in str(error):
            return BrokerUnavailable(sentence.format(where=where))
    for kind, sentence in _STATES:
        if isinstance(error, kind):
            return BrokerUnavailable(sentence.format(where=where))
    if any(isinstance(cause, socket.gaierror) for cause in causes(error)):
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
    return None


def _quoted(error: BaseException) -> str:
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    text = str(error).partition(",")[0].strip(" .")
    return text[:120] or type(error).__name__

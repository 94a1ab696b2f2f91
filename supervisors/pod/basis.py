"""What most parts of a pod need, and what needs none of them: it is made first."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from attrs import frozen

from ...actors import DeadLetters, EventIds, Member
from ...config import Audit, Config, Secrets, ascii_host
from ...transport import Meters, Premises, Tokens, is_loopback
from ..watchdog import Watchdog

__all__ = ["Basis", "make_basis"]


@frozen(kw_only=True, eq=False)
class Basis:
    """What the parts of a pod share. `members` are the connections by client id.

    `wall` returns unix seconds.
    """

    config: Config
    wall: Callable[[], float]
    pod_id: str
    event_ids: EventIds
    members: dict[str, Member]
    meters: Meters
    audit: Audit
    dead_letters: DeadLetters
    premises: Premises
    tokens: Tokens
    watchdog: Watchdog


def make_basis(
    config: Config,
    keys: Secrets,
    wall: Callable[[], float],
    *,
    dev: bool,
    port: Callable[[], int],
) -> Basis:
    """Make it, with a new random id. `port` returns where the pod listens, once it does."""
    pod_id, meters = secrets.token_hex(4), Meters()
    return Basis(
        config=config,
        wall=wall,
        pod_id=pod_id,
        event_ids=EventIds(pod_id),
        members={},
        meters=meters,
        audit=Audit(meters.audited),
        dead_letters=DeadLetters(),
        premises=_premises(config, dev=dev, port=port),
        tokens=_tokens(config, keys, wall),
        watchdog=Watchdog(lag=meters.loop_lag),
    )


def _premises(config: Config, *, dev: bool, port: Callable[[], int]) -> Premises:
    server = config.server
    return Premises(
        port=port,
        dev=dev,
        loopback=is_loopback(server.host),
        proxied=bool(server.trusted_proxies),
        tls=bool(config.tls.cert_file),
        hosts=frozenset(ascii_host(host) or host for host in server.hosts),
    )


def _tokens(config: Config, keys: Secrets, wall: Callable[[], float]) -> Tokens:
    auth = config.auth
    return Tokens(
        keys.jwt_secret,
        algorithms=auth.algorithms,
        issuer=auth.issuer,
        require_issuer=auth.require_issuer,
        leeway=auth.leeway,
        wall=wall,
    )

"""What most parts of a pod need, and what needs none of them: it is made first."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from ...actors import DeadLetters, EventIds, Member
from ...config import Audit, Config, InForce, Secrets, ascii_host
from ...transport import Meters, Premises, Tokens, is_loopback
from ..watchdog import Watchdog
from .own_name import OwnName

__all__ = ["Basis", "make_basis"]


@frozen(kw_only=True, eq=False)
class Basis:
    """What the parts of a pod share. `members` are the connections by client id.

    `config` is what the pod was started with, `in_force` what has become of it since. `wall`
    returns unix seconds. `own_name` is what the pod is to be called.
    """

    config: Config
    in_force: InForce
    wall: Callable[[], float]
    pod_id: str
    own_name: OwnName
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
        in_force=InForce(config),
        wall=wall,
        pod_id=pod_id,
        own_name=OwnName(config.server.name, Path(config.server.data)),
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

"""What each of several pods on one port is told; or why there cannot be several. Pure."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

from attrs import frozen

from ...config import Config, Secrets
from ..common import ToolError

__all__ = ["CannotShare", "PodPlan", "planned", "refuse_sharing"]


class CannotShare(ToolError):
    """Pods with these settings cannot serve one port together; the message says what to set."""


@frozen
class PodPlan:
    """One pod: its name, what its environment has beside the parent's, where it is looked at.

    `look` is an address of this machine that answers its metrics and health.
    """

    name: str
    environ: Mapping[str, str]
    look: str


def refuse_sharing(config: Config, *, joined: bool, documents: bool) -> None:
    """Raise `CannotShare` where pods of one port would be apart.

    `joined` is whether they have a broker that the settings do not name, `documents` whether there
    are collections.
    """
    if not joined and (not config.broker.enabled or config.broker.type == "memory"):
        raise CannotShare(
            "Pods that share a port have to be joined, or those of one room would not hear each "
            "other: set broker.type and broker.enabled (Redis, RabbitMQ or NATS), or give "
            "--with-nats."
        )
    if documents and not config.store.url:
        raise CannotShare(
            "Documents in SQLite are one pod's: set store.url to a PostgreSQL, or serve without "
            "--pods."
        )


def planned(
    config: Config,
    keys: Secrets,
    port: int,
    looks: Sequence[str],
    broker: Mapping[str, str],
) -> list[PodPlan]:
    """Plan a pod for each address in `looks`; `broker` are settings of one of their own.

    They have names and folders of their own, and the secrets of the parent.
    """
    base = config.server.name or platform.node().partition(".")[0] or "pod"
    common = {
        **broker,
        "DEPLOYD_SERVER__PORT": str(port),
        "DEPLOYD_SERVER__SHARE_PORT": "true",
        "DEPLOYD_MASTER_KEY": keys.master_key,
        "DEPLOYD_JWT_SECRET": keys.jwt_secret,
    }
    return [
        PodPlan(
            f"{base}-{number}",
            {
                **common,
                "DEPLOYD_SERVER__NAME": f"{base}-{number}",
                "DEPLOYD_SERVER__DATA": f"{config.server.data}/pods/{number}",
                "DEPLOYD_METRICS__BIND": look,
            },
            look,
        )
        for number, look in enumerate(looks, start=1)
    ]

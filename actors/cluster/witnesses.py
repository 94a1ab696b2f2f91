"""Who shows that this pod is heard from each other server of the broker: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from .peer import Peer

__all__ = ["witnesses"]

MOST_WITNESSES: Final = 16
"""Other servers of the broker from which a channel is proven: more than a cluster has."""


def witnesses(pod_id: str, node: str, known: Mapping[str, Peer]) -> list[str]:
    """Return a pod on each server that is not this one's, for each pod another where it can.

    Where there are too many servers somebody makes some up, and those known longest are asked.
    """
    by_node: dict[str, str] = {}
    for pod, peer in known.items():
        other = peer.beat.node
        if peer.missing or not other or other == node:
            continue
        if other not in by_node or _rank(pod_id, pod) < _rank(pod_id, by_node[other]):
            by_node[other] = pod
    chosen = list(by_node.values())
    if len(chosen) > MOST_WITNESSES:
        chosen.sort(key=lambda pod: -known[pod].beats)
    return chosen[:MOST_WITNESSES]


def _rank(pod_id: str, other: str) -> bytes:
    return hashlib.blake2b(f"{pod_id} {other}".encode(), digest_size=8).digest()

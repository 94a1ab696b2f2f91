"""The cluster as this pod sees it: who is there, who is missing, and who hears whom."""

from __future__ import annotations

from collections.abc import Mapping

from ...actors import Link
from ...transport import JSON
from .watched import Watched

__all__ = ["pods_of"]


def pods_of(pod: Watched) -> Mapping[str, JSON]:
    """Return every pod that this one knows, itself first, and what each says of itself.

    `state` is `self`, `heard` or `missing`: dead, or cut off, which cannot be told from here.
    `since` (unix seconds) is when a missing pod was last known to be there, `heard_seconds` how
    long ago it was last heard, `hears` whom it said that it hears. A pod that is alone shows
    itself. Where another pod has the name that this one was to have (`wanted_name`), that is
    `name_taken_by`.
    """
    link = pod.link
    holder = None if link is None else link.name.holder
    own: dict[str, JSON] = {
        "id": pod.pod_id,
        "name": pod.name,
        **({} if holder is None else {"wanted_name": pod.own_name, "name_taken_by": holder.origin}),
        "version": pod.version,
        "state": "self",
        "connections": len(pod.members),
        "rooms": len(pod.rooms),
        "hears": [] if link is None else list(link.state.peers.heard),
    }
    if link is None:
        return {"pod": pod.pod_id, "breaker": None, "pods": [own]}
    breaker = link.state.breaker.state.value
    return {"pod": pod.pod_id, "breaker": breaker, "pods": [own, *_others(link)]}


def _others(link: Link) -> list[JSON]:
    now = link.clock()
    return [
        {
            "id": pod,
            "name": peer.beat.name,
            "version": peer.beat.version,
            "state": "missing" if peer.missing else "heard",
            **({"since": round(peer.missing_since, 3)} if peer.missing else {}),
            "heard_seconds": round(max(0.0, now - peer.heard_at), 3),
            "node": peer.beat.node,
            "connections": peer.beat.connections,
            "rooms": peer.beat.rooms,
            "load": peer.beat.load,
            "interval": peer.beat.interval,
            "hears": list(peer.hears),
        }
        for pod, peer in link.state.peers.known.items()
    ]

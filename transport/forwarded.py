"""Whom a request is from when it came through proxies: `X-Forwarded-For`, believed from some."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

__all__ = ["Networks", "client_address", "networks"]

Networks: TypeAlias = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_HOPS = 32
"""Entries that are looked at, from the nearest; nobody stands behind so many proxies of ours."""


def networks(texts: Sequence[str]) -> Networks:
    """Read addresses and networks (CIDR). Raises ValueError for what is none."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def client_address(peer: str, forwarded: Sequence[str], trusted: Networks) -> str:
    """Return the address of who sent a request, as far as somebody trusted vouches for it.

    `peer` is who holds the connection, `forwarded` the values of all `X-Forwarded-For` fields in
    their order. Each proxy appends whom it heard from, so they are read from the right: the first
    that is not a trusted proxy itself is the client. What stands left of it anybody may have
    written. Where an entry is no address, the last proxy that was good is all that is known.
    """
    known = peer
    entries = [entry.strip() for value in forwarded for entry in value.split(",")]
    for entry in reversed(["", *entries[-MOST_HOPS:]]):
        address = _address(known)
        if address is None or not any(address in network for network in trusted):
            break
        claimed = _address(entry)
        if claimed is None:
            break
        known = str(claimed)
    return known


def _address(text: str) -> Address | None:
    """Read an address, also with a port or in brackets, and IPv4 that IPv6 carries as itself."""
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped

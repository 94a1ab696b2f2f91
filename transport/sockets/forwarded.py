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
    written. Where a trusted proxy names nobody this is "": behind it may be anybody, and the
    proxy itself is nobody's address, neither to be given a share nor to be believed local. Where
    all are trusted, the first that one of them has named is somebody in their network.
    """
    known = peer
    entries = [entry.strip() for value in forwarded for entry in value.split(",") if value.strip()]
    for entry in reversed(entries[-MOST_HOPS:]):
        if not _is_trusted(known, trusted):
            return known
        claimed = _address(entry)
        if claimed is None:
            return ""
        known = str(claimed)
    return "" if known == peer and _is_trusted(peer, trusted) else known


def _is_trusted(known: str, trusted: Networks) -> bool:
    if not trusted:  # as in most pods: to read an address takes 6 us
        return False
    address = _address(known)
    return address is not None and any(address in network for network in trusted)


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

"""Whether somebody on this machine asks, and not a page or a proxy on another's behalf."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

__all__ = ["is_local"]


def is_local(peer: str, headers: Iterable[tuple[str, str]]) -> bool:
    """Say whether a request that came from the address `peer` is of this machine.

    Header names are in lower case. A page of elsewhere can have its host name point here (DNS
    rebinding), but then says that name; or can call across, but then says its origin. A proxy
    says for whom it asks.
    """
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value)
    if "x-forwarded-for" in fields or "forwarded" in fields or not _is_loopback(peer):
        return False
    hosts = [f"//{host}" for host in fields.get("host", [""])]
    return all(_names_this_machine(url) for url in [*hosts, *fields.get("origin", [])])


def _names_this_machine(url: str) -> bool:
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False

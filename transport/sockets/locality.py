"""Whether somebody on this machine asks, and not a page or a proxy on another's behalf.

The one place that says it, for HTTP and WebSocket alike; pure. Two questions are answered: whether
a request is a developer's own, which `--dev` gives rights to, and whether it asks for a name that
is nobody's here, as a page does whose name was pointed at this machine (DNS rebinding): to the
browser such a page and the pod are one origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Final

from attrs import frozen

from ...config import read_origin
from .local_proxies import is_local_proxy
from .origins import read_host

__all__ = ["Fields", "Premises", "is_loopback"]

REMEMBERED: Final = 256
"""Addresses and names whose reading is kept: the same few come with every request."""

Fields = Iterable[tuple[str, str]]
"""Header fields, names in lower case."""

_DIRECT: Final = frozenset(  # as words, which are looked over more easily than a list
    """
    accept accept-charset accept-encoding accept-language access-control-request-headers
    access-control-request-local-network access-control-request-method
    access-control-request-private-network authorization cache-control connection content-encoding
    content-language content-length content-type cookie date device-memory dnt downlink dpr ect
    expect host http2-settings if-match if-modified-since if-none-match if-range
    if-unmodified-since keep-alive last-event-id origin pragma priority purpose range referer rtt
    save-data te trailer transfer-encoding upgrade upgrade-insecure-requests user-agent
    viewport-width width x-master-key x-requested-with
    """.split()  # noqa: SIM905
)
"""What browsers and clients of this pod send by themselves. Whatever else a request carries,
somebody in between may have added: there is no list of all that proxies, tunnels and CDNs write."""


@frozen
class Premises:
    """Where a pod stands, as far as it decides who asks.

    `port` returns the one it listens on; `loopback` is whether only this machine reaches it.
    `hosts` are names that it goes by beside those of this machine, in ASCII and lower case. It is
    `proxied` when proxies are trusted: they say for whom they ask, and answer for the names that
    they pass on. `relayed` says whether the client at an address and a port, connected to ours,
    is a server itself. `tls` is whether the pod itself encrypts: then a page under a borrowed name
    fails at the certificate.
    """

    port: Callable[[], int]
    dev: bool = False
    loopback: bool = False
    proxied: bool = False
    tls: bool = False
    hosts: Collection[str] = ()
    relayed: Callable[[tuple[str, int], int], bool] = is_local_proxy

    def own(self, peer: tuple[str, int], headers: Fields, version: str = "1.1") -> bool:
        """Say whether a request is a developer's own, from this machine to a pod under development.

        `peer` is the address and the port of who holds the connection, `version` HTTP's.
        """
        if not self.dev or self.proxied or version == "1.0" or not is_loopback(peer[0]):
            return False  # HTTP/1.0 is what nginx speaks to those behind it
        fields = list(headers)
        return (
            all(name in _DIRECT or name.startswith("sec-") for name, _ in fields)
            and ("sec-fetch-site", "cross-site") not in fields
            and self._is_asked_for_here(fields)
            and all(_is_page_of_here(value) for name, value in fields if name == "origin")
            and not self.relayed(peer, self.port())
        )

    def misdirected(self, peer: str, headers: Fields, *, websocket: bool = False) -> str | None:
        """Say that a request asks for somebody else, or None. Whoever names nobody is let be.

        It is asked of this machine's own clients where only they reach the pod, or a developer is
        at work, and of everybody where `hosts` are given. Browsers send an Origin with each
        WebSocket (RFC 6455 section 4.1); one without is no page's.
        """
        fields = list(headers)
        if not self._minds_names(peer):
            return None
        if websocket and all(name != "origin" for name, _ in fields):
            return None
        asked = [value for name, value in fields if name == "host" and value]
        host = read_host(fields)
        if not asked or (host is not None and self._goes_by(host[0])):
            return None
        return (
            f"This pod does not go by the name '{asked[0][:100]}'; add it to 'server.hosts', or a "
            "proxy that asks for it to 'server.trustedProxies'."
        )

    def _minds_names(self, peer: str) -> bool:
        if self.hosts:
            return True
        local = (self.loopback or self.dev) and is_loopback(peer)
        return local and not self.proxied and not self.tls

    def _goes_by(self, name: str) -> bool:
        # A name without a dot nobody outside can own, nor an address: only names are borrowed.
        alone = "." not in name.removesuffix(".")
        return alone or _is_own_name(name) or _is_address(name) or name in self.hosts

    def _is_asked_for_here(self, fields: Fields) -> bool:
        host = read_host(fields)
        if host is None or not _is_own_name(host[0]):
            return False
        return (host[1] or (443 if self.tls else 80)) == self.port()


@lru_cache(maxsize=REMEMBERED)
def is_loopback(address: str) -> bool:
    """Say whether an address, or a host to listen on, is this machine's alone.

    So is 127.0.0.1 that IPv6 carries as itself: what a socket for both shows (RFC 4291 2.5.5.2).
    """
    if address.lower() == "localhost":
        return True
    try:
        ip = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def _is_page_of_here(text: str) -> bool:
    origin = read_origin(text)
    return origin is not None and _is_own_name(origin.host)


def _is_own_name(name: str) -> bool:
    """Names below `localhost` are this machine's (RFC 6761 section 6.3)."""
    return name.endswith(".localhost") or is_loopback(name)


@lru_cache(maxsize=REMEMBERED)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True

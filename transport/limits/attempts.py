"""How often each address may try something, with as many addresses remembered as bounds allow."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from functools import lru_cache
from typing import Final

from .token_bucket import TokenBucket

__all__ = ["Attempts", "network_of"]

_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""The prefix under which translators show IPv4 addresses (RFC 6052 section 2.1)."""

NETWORKS_KEPT: Final = 4096
"""Addresses whose network is remembered: each connection asks twice, and reading one takes 6 us."""


class Attempts:
    """At most `limit` attempts in `period` seconds for each address. Pure: times are passed in.

    Of more than `max_addresses` the one that tried longest ago is forgotten: by then it has
    attempts again, unless so many addresses try that remembering each would be the greater harm.
    """

    __slots__ = ("_buckets", "_limit", "_max", "_period")

    def __init__(self, limit: int, period: float, max_addresses: int = 10_000) -> None:
        self._limit = limit
        self._period = period
        self._max = max_addresses
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def attempt(self, address: str, now: float) -> float:
        """Count an attempt and return 0, or return the seconds until there is one again."""
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = TokenBucket(self._limit / self._period, self._limit, now)
            self._buckets[address] = bucket
            if len(self._buckets) > self._max:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(address)
        return 0.0 if bucket.take(now) else bucket.retry_after(now)

    def forgive(self, address: str) -> None:
        """Take back an attempt that was counted: it was a good one."""
        bucket = self._buckets.get(address)
        if bucket is not None:
            bucket.give_back()

    def retry_after(self, address: str, now: float) -> float:
        """Return the seconds until this address has an attempt again, 0 now; it counts nothing."""
        bucket = self._buckets.get(address)
        return 0.0 if bucket is None else bucket.retry_after(now)


@lru_cache(maxsize=NETWORKS_KEPT)
def network_of(address: str) -> str:
    """Return what somebody with this address cannot leave at will, to be counted under.

    An IPv4 address itself, also where IPv6 carries it: mapped, through a translator (RFC 6052), of
    whose clients all would be one otherwise, or as 6to4 (RFC 3056), which gives each address 65536
    networks. Of any other IPv6 address the first 64 bits: a subscriber has all of the rest
    (RFC 6177). Any other text stands for itself.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    carried = ip.ipv4_mapped or ip.sixtofour
    if ip in _TRANSLATED:
        carried = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    if carried is not None:
        return str(carried)
    return str(ipaddress.ip_network((ip, 64), strict=False))

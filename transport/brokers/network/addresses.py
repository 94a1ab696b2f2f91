"""Addresses as people write them: `host:port`, and `[::1]:6379` for IPv6 (RFC 3986, section 3.2.2).

A setting that is only a host may have the brackets, or not.
"""

from __future__ import annotations

__all__ = ["bare_host", "read", "written"]


def bare_host(host: str) -> str:
    """Return the host without the brackets of IPv6, as sockets want it."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def written(host: str, port: int) -> str:
    """Return the address as one word."""
    bare = bare_host(host)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def read(address: str) -> tuple[str, int]:
    """Return the host, without brackets, and the port of an address that was checked."""
    host, _, port = address.rpartition(":")
    return bare_host(host), int(port)

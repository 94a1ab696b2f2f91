"""Which pages may speak to a pod: by their origin, and by the host that they were loaded from.

Pure. The rules are those of RFC 6454 and RFC 6455 section 10.2; they protect the users of
browsers, other clients can claim any origin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...config import Origin, ascii_host, default_port, read_origin

__all__ = ["read_host", "refuse_origin"]

_HOST = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^][/?#@:\\\s]+)(:(?P<port>\d{1,5}))?", re.IGNORECASE)


def refuse_origin(
    headers: Iterable[tuple[str, str]], allowed: Sequence[str], *, allow_missing: bool
) -> str | None:
    """Say why a client may not connect by its `Origin`, or None. Header names are in lower case.

    `allowed` are exact origins (`https://example.com`); when empty, an origin must be the host
    that the request went to.
    """
    fields = list(headers)
    origins = [value for name, value in fields if name == "origin"]
    if not origins:
        if allow_missing:
            return None
        return "Send an Origin header; this pod takes no clients without one."
    if len(origins) > 1:
        return "Send one Origin header, not several."
    origin = read_origin(origins[0])
    if origin is not None and _is_good(origin, fields, allowed):
        return None
    return "Pages from this origin may not connect; add it to 'origins.allowed' to let them."


def read_host(headers: Iterable[tuple[str, str]]) -> tuple[str, int | None] | None:
    """Return the name and the port of the `Host` header; None where there is not one good one."""
    hosts = [value for name, value in headers if name == "host"]
    match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    host = ascii_host(match["host"]) if match else None
    if match is None or host is None:
        return None
    return host, int(match["port"]) if match["port"] else None


def _is_good(origin: Origin, headers: Sequence[tuple[str, str]], allowed: Sequence[str]) -> bool:
    if allowed:
        return any(origin == read_origin(other) for other in allowed)
    host = read_host(headers)
    if origin.scheme not in ("http", "https") or host is None:
        return False
    # Behind a proxy that ends TLS the pod cannot know the scheme by itself.
    name, port = host
    return (name, port or default_port(origin.scheme)) == (origin.host, origin.port)

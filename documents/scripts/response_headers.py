"""Which headers a script may set on an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .outcome import plain_text

__all__ = ["checked_headers"]

MAX_HEADERS: Final = 32
MAX_VALUE: Final = 4096
"""Characters of one header's value."""

_ALLOWED: Final = frozenset(
    {
        "allow",
        "cache-control",
        "content-disposition",
        "content-language",
        "etag",
        "expires",
        "last-modified",
        "link",
        "location",
        "retry-after",
        "vary",
    }
)
_OWN: Final = re.compile(r"x-[a-z0-9-]{1,62}")
# What browsers and proxies obey: the pod and who runs it decide these.
_OBEYED: Final = ("x-accel-", "x-content-type-", "x-forwarded-", "x-frame-", "x-lighttpd-",
                  "x-master-", "x-permitted-", "x-real-", "x-sendfile", "x-xss-")  # fmt: skip
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")


def checked_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the headers with names in small letters, or raise `ValueError` with the remedy.

    An allow-list: those that say something about the answer, and `X-` ones of one's own. Those of
    the connection (RFC 9110 section 7.6.1), of security and of the body's form are the pod's.
    """
    if len(headers) > MAX_HEADERS:
        raise ValueError(f"set at most {MAX_HEADERS} headers, not {len(headers)}")
    return tuple(_checked(name, value) for name, value in headers.items())


def _checked(name: str, value: str) -> tuple[str, str]:
    name, value = plain_text(name, "a header").lower(), plain_text(value, "a header's value")
    own = _OWN.fullmatch(name) is not None and not name.startswith(_OBEYED)
    if name not in _ALLOWED and not own:
        known = ", ".join(sorted(_ALLOWED))
        raise ValueError(f"a script cannot set {name[:80]!a}; it may set {known} and X-… ones")
    if len(value) > MAX_VALUE or _VALUE.fullmatch(value) is None:
        raise ValueError(
            f"the value of {name} must be ASCII without line breaks, {MAX_VALUE} characters at most"
        )
    return name, value

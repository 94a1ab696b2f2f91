"""Origins of web pages (RFC 6454), and host names as they go over the wire: in ASCII."""

import re

import attrs
import idna

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@:*\[\]\\]+)"
    r"(:(?P<port>\d{1,5}))?",
    re.IGNORECASE,
)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_MOST = 253
"""Characters of a host name (RFC 1035 section 2.3.4)."""


@attrs.frozen
class Origin:
    """Where a page is from; `port` is None for a scheme whose own is not known here."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        port = "" if self.port == default_port(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def read_origin(text: str) -> Origin | None:
    """Read what stands in an `Origin` header; None for what is none (`null` is none)."""
    match = _ORIGIN.fullmatch(text)
    host = ascii_host(match["host"]) if match else None
    if match is None or host is None or int(match["port"] or 0) > 65535:
        return None
    scheme, port = match["scheme"].lower(), match["port"]
    return Origin(scheme, host, int(port) if port else default_port(scheme))


def default_port(scheme: str) -> int | None:
    """Return the port of a scheme's URLs that name none."""
    return _DEFAULT_PORTS.get(scheme)


def ascii_host(host: str) -> str | None:
    """Return a host name in lower case, and as browsers encode it (UTS 46 over IDNA2008, RFC 5891).

    `straße.de` is `xn--strae-oqa.de`: Python's own codec is of 2003 and makes it `strasse.de`.
    None for what is no name.
    """
    if len(host) > _MOST:
        return None
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return None

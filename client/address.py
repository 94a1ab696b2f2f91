"""Where a pod is: its URL as people write it. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from ..config import redact_text
from .errors import BadUrl

__all__ = ["PodAddress", "read_url"]

PATH: Final = "/socket.io/"
"""Where a pod's WebSocket is."""
_SCHEMES: Final = {"ws": False, "http": False, "wss": True, "https": True}


@frozen
class PodAddress:
    """A host and its port, whether it is encrypted, and what is asked for there."""

    host: str
    port: int
    encrypted: bool
    resource: str

    @property
    def header(self) -> str:
        """What the header Host says (RFC 9110 section 7.2)."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.encrypted else 80
        return name if self.port == usual else f"{name}:{self.port}"


def read_url(url: str) -> PodAddress:
    """Read a pod's URL: `http://localhost:2403`, `wss://example.com/prefix`, `…/socket.io/?a=b`.

    Raises `BadUrl`, without what the URL carries of secrets.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl(f"{redact_text(url)} is no URL; write ws://HOST:PORT.") from None
    encrypted = _SCHEMES.get(parts.scheme)
    plain = url.isascii() and url.isprintable() and " " not in url
    if encrypted is None or not parts.hostname or not plain:
        raise BadUrl(f"{redact_text(url)} is not the URL of a pod; write ws://HOST:PORT.")
    if parts.username is not None:
        raise BadUrl("A pod takes no name and password in its URL; give `token`.")
    path = parts.path.rstrip("/")
    resource = (path if path.endswith(PATH.rstrip("/")) else path + PATH.rstrip("/")) + "/"
    if parts.query:
        resource += f"?{parts.query}"
    return PodAddress(parts.hostname, port or (443 if encrypted else 80), encrypted, resource)

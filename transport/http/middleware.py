"""What every request passes before the pages: whom it asks for, and whether its page may ask."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ...config import Audit, Audited, Origin, read_origin
from ..sockets import Premises
from .answers import error_response

__all__ = ["HostAndOriginMiddleware", "end_of", "peer_of"]


class HostAndOriginMiddleware:
    """ASGI middleware: refuses who asks for somebody else, and pages that ask whether they may.

    `origins` are those that CORS lets call (Fetch section 3.2). What other pages ask for without
    asking first, browsers do not let them read.
    """

    def __init__(
        self, app: ASGIApp, premises: Premises, origins: Collection[Origin], audit: Audit
    ) -> None:
        self._app = app
        self._premises = premises
        self._origins = frozenset(origins)
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        refused = self._refuse(scope) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        peer, hosts = peer_of(scope), _values(scope, b"host")
        sentence = self._premises.misdirected(peer, [("host", host) for host in hosts])
        if sentence is not None:
            self._audit(Audited.HOST_REFUSED, address=peer, host=", ".join(hosts))
            return error_response(421, sentence)  # RFC 9110 section 15.5.20
        if scope["method"] != "OPTIONS" or not _values(scope, b"access-control-request-method"):
            return None
        origin = ", ".join(_values(scope, b"origin"))
        if not origin or read_origin(origin) in self._origins:
            return None
        self._audit(Audited.ORIGIN_REFUSED, address=peer, origin=origin)
        sentence = "Pages from this origin may not call; add it to 'origins.allowed' to let them."
        return error_response(403, sentence)


def peer_of(source: Scope | Request) -> str:
    """Return the address that a request is believed to come from; empty where none is known."""
    return end_of(source)[0]


def end_of(source: Scope | Request) -> tuple[str, int]:
    """Return that address and its port."""
    client = source.get("client")
    return (str(client[0]), int(client[1])) if client else ("", 0)


def _values(scope: Scope, field: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == field]

"""The head of a request, read once and strictly: what h11 has parsed, and what it lets pass.

Pure. h11 forgives what RFC 9112 lets a recipient forgive; but who stands in front may have read
it otherwise, and then the two disagree on where a request ends (request smuggling, section 11.2).
So whatever two readers could understand in two ways is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

import h11
from attrs import frozen

from .refusal import Refusal

__all__ = ["HeadReader", "RequestHead"]

_LOOSE = re.compile(rb"(?<!\r)\n|\r(?!\n)|\n[ \t]")
"""A bare LF, a bare CR, or a folded line (RFC 9112 sections 2.2 and 5.2)."""
_EMPTY_LINES = re.compile(rb"\A(?:\r\n)+")
_LENGTH = re.compile(rb"\n(?i:content-length)[ \t]*:([^\r\n]*)")
_ORIGIN = re.compile(rb"\n(?i:origin):[ \t]*([!-~]+)[ \t]*\r\n")
_HOST = re.compile(
    rb"(\[[0-9A-Fa-f:.%A-Za-z_~-]+\]|[^\x00-\x20\x7f\"#/:<>?@\[\\\]^`{|}]*)(:\d{0,5})?"
)
# Origin, absolute and asterisk form: RFC 9112 section 3.2.
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]*)([/?].*)?")

_VERSION: Final = Refusal(505, "Speak HTTP/1.1 here.")
_TOO_LARGE: Final = Refusal(431, "The request's head is too large; send fewer or shorter headers.")
_NO_REQUEST: Final = Refusal(
    400, "This is not an HTTP/1.1 request; this port speaks HTTP and WebSocket."
)
_CODING: Final = Refusal(400, "Send the body as it is, or in chunks and in no other coding.")
_UNREADABLE: Final = {431: _TOO_LARGE, 501: _CODING}
"""What is said to a head that cannot be parsed, by the status that h11 suggests."""
_LINES: Final = Refusal(400, "End each line of the request's head with CR LF, and fold none.")
_TWO_LENGTHS: Final = Refusal(400, "Say how long the body is once, not in two ways.")
_OLD_CHUNKS: Final = Refusal(400, "A body in chunks needs HTTP/1.1.")
_BAD_HOST: Final = Refusal(400, "Send one Host header: a name or an address, and perhaps a port.")
_BAD_TARGET: Final = Refusal(400, "Ask for a path that begins with '/', or for a whole http URL.")


@frozen
class RequestHead:
    """The request line and the header fields of an HTTP/1 request.

    `path` and `query` are as they were sent, percent-encoded; of a target in absolute form they
    are its parts, and the field `host` is its authority (RFC 9112 section 3.2.2). `fields` keep
    their order, names are in lower case; `names` are those that there are.
    """

    method: str
    path: str
    query: str
    version: str
    fields: Sequence[tuple[bytes, bytes]]
    names: Collection[bytes]

    def has(self, name: bytes) -> bool:
        """Say whether there is such a field."""
        return name in self.names

    def values(self, name: bytes) -> list[str]:
        """Return the values of all fields of a name, in their order."""
        return [value.decode("latin-1") for field, value in self.fields if field == name]

    def elements(self, name: bytes) -> list[str]:
        """Return the elements of a list, which may stand in several fields (RFC 9110 5.3)."""
        parts = (part.strip() for value in self.values(name) for part in value.split(","))
        return [part for part in parts if part]

    def texts(self) -> tuple[tuple[str, str], ...]:
        """Return the fields as text."""
        return tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in self.fields)

    @property
    def wants_websocket(self) -> bool:
        """Whether this is the client's half of RFC 6455 section 4.1: a GET that asks to upgrade.

        With HTTP/1.0 nobody does, whatever it says (RFC 9110 section 7.8).
        """
        return (
            self.has(b"upgrade")
            and self.method == "GET"
            and self.version != "1.0"
            and "websocket" in map(str.lower, self.elements(b"upgrade"))
            and "upgrade" in map(str.lower, self.elements(b"connection"))
        )


class HeadReader:
    """Takes bytes until they are a request's head, of at most `max_bytes`.

    `http` is the connection, for this request and its answer alone, that goes on from there;
    `begun` says whether anything has come.
    """

    def __init__(self, max_bytes: int) -> None:
        self.http = h11.Connection(h11.SERVER, max_bytes)
        self.begun = False
        self._max_bytes = max_bytes
        self._raw = bytearray()
        self._held = b""  # half of an empty line

    @property
    def origin(self) -> str:
        """Whose page asks, as far as what has come says; also where it is no request."""
        found = _ORIGIN.search(self._raw)
        return "" if found is None else found[1].decode("latin-1")

    def feed(self, data: bytes) -> RequestHead | Refusal | None:
        """Take bytes; return the head, or why it is none, or None while it is not whole."""
        if not self._raw:
            data = self._without_empty_lines(data)
        if not data:
            return None
        self.begun = True
        self._raw += data
        self.http.receive_data(data)
        try:
            event = self.http.next_event()
        except h11.RemoteProtocolError as error:
            return _UNREADABLE.get(error.error_status_hint, _NO_REQUEST)
        if not isinstance(event, h11.Request):
            return None
        size = len(self._raw) - len(self.http.trailing_data[0])
        return _TOO_LARGE if size > self._max_bytes else _read(event, bytes(self._raw[:size]))

    def _without_empty_lines(self, data: bytes) -> bytes:
        """Leave out what RFC 9112 section 2.2 has before a request, in however many pieces."""
        data, self._held = self._held + data, b""
        data = _EMPTY_LINES.sub(b"", data, 1)
        if data == b"\r":
            data, self._held = b"", data
        return data


def _read(request: h11.Request, raw: bytes) -> RequestHead | Refusal:
    """Return a request's head, or why it is none; `raw` are the bytes that it was parsed from."""
    version = request.http_version.decode("ascii")
    if not version.startswith("1."):
        return _VERSION
    fields = list(request.headers)
    names = {name for name, _ in fields}
    fault = _fault_of_lines(names, version, raw) or _fault_of_host(fields)
    if fault is not None:
        return fault
    method, target = request.method.decode("ascii"), request.target
    if b"#" in target:  # whoever stands in front may have cut it off there
        return _BAD_TARGET
    if not target.startswith(b"/") and target != b"*":
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None or not absolute[1] or _HOST.fullmatch(absolute[1]) is None:
            return _BAD_TARGET
        target = b"/" + (absolute[2] or b"").removeprefix(b"/")
        fields = [(b"host", absolute[1]), *(field for field in fields if field[0] != b"host")]
    path, _, query = target.decode("ascii").partition("?")
    return RequestHead(method, path, query, version, fields, names)


def _fault_of_lines(names: Collection[bytes], version: str, raw: bytes) -> Refusal | None:
    if _LOOSE.search(raw):
        return _LINES
    chunked = b"transfer-encoding" in names
    if b"content-length" in names:
        lengths = _LENGTH.findall(raw)  # h11 makes one of those that are equal
        if chunked or len(lengths) > 1 or b"," in lengths[0]:
            return _TWO_LENGTHS
    return _OLD_CHUNKS if chunked and version == "1.0" else None


def _fault_of_host(fields: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
    """Judge the Host field (RFC 9112 section 3.2); h11 refuses where there is none, or two."""
    for name, value in fields:
        if name == b"host" and _HOST.fullmatch(value) is None:
            return _BAD_HOST
    return None

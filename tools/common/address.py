"""Asking a running pod for something, without giving its key to anybody else."""

import http.client
import ipaddress
from http import HTTPStatus
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

import attrs
import orjson

from ...config import redact_text
from .errors import AccessDenied, BadAddress, Declined, NotAPod, Unreachable
from .screen import printable

TIMEOUT: Final = 10.0
"""Seconds to wait for a connection, and for each part of the answer."""

MAX_ANSWER: Final = 64 * 2**20
"""Bytes of an answer; a pod of ten thousand connections draws some five million."""

MOST_SAID: Final = 1000
"""Characters of what a pod says to a request that it declines."""


@attrs.frozen
class Address:
    """Where a pod listens. `prefix` is the part of the path that a proxy puts before the pod's."""

    scheme: Literal["http", "https"]
    host: str
    port: int | None
    prefix: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port else "") + self.prefix

    @property
    def is_loopback(self) -> bool:
        """Whether it can only be this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(url: str) -> Address:
    """Read the URL of a pod, such as `http://localhost:2403`. Raises `BadAddress`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadAddress(f"{redact_text(url)} is no URL; write http://HOST:PORT.") from None
    if not parts.hostname or not _is_plain(parts, url):
        raise BadAddress(f"{redact_text(url)} is not the URL of a pod; write http://HOST:PORT.")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return Address(scheme, parts.hostname, port, parts.path.rstrip("/"))


def ask(
    address: Address,
    path: str,
    key: str | None,
    *,
    method: str = "GET",
    body: object = None,
    token: str | None = None,
    timeout: float = TIMEOUT,
) -> object:
    """Get a JSON document from a pod; or do something there, with a `body` in JSON.

    A `token` is shown in place of the master key. Both travel in a header, hence http.client: it
    follows no redirect and knows no proxy, either of which would carry them elsewhere. Raises
    `ToolError`s.
    """
    for secret in (key, token):
        if secret is not None and not (secret.isascii() and secret.isprintable()):
            raise AccessDenied("The key has characters that no key has; copy it anew.")
    headers = {"Accept": "application/json"} | ({"X-Master-Key": key} if key else {})
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    sent = None if body is None else orjson.dumps(body)
    headers |= {"Content-Type": "application/json"} if sent is not None else {}
    kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    connection = kind[address.scheme](address.host, address.port, timeout=timeout)
    try:
        connection.request(method, address.prefix + path, body=sent, headers=headers)
        response = connection.getresponse()
        answer = response.read(MAX_ANSWER + 1)
    except http.client.HTTPException as error:
        raise _no_pod(address, f"its answer is no HTTP: {type(error).__name__}") from error
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise Unreachable(
            f"No pod answers at {address} ({reason}); start one with deployd serve, or name "
            "another with --url."
        ) from error
    finally:
        connection.close()
    return _read(address, response.status, answer, for_root=token is None)


def _read(address: Address, status: int, body: bytes, *, for_root: bool) -> object:
    denied = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    if denied and for_root and b'"code"' not in body:  # else the pod says itself what it takes
        raise AccessDenied(
            f"The pod at {address} shows this to root only; give its master key with --key, or "
            "its data folder with --data."
        )
    if len(body) > MAX_ANSWER:
        raise _no_pod(address, f"it answers more than {MAX_ANSWER} bytes")
    try:
        answer: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        reason = "its answer is no JSON" if status == HTTPStatus.OK else f"it answers {status}"
        raise _no_pod(address, reason) from error
    if status in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
        return answer
    raise _declined(address, status, answer)


def _declined(address: Address, status: int, answer: object) -> Declined | NotAPod:
    """Return the error for an answer that says no: in the pod's sentence, where it has one."""
    sentence = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(sentence, str):
        return _no_pod(address, f"it answers {status}")
    return Declined(f"The pod at {address} says: {printable(sentence[:MOST_SAID])}")


def _no_pod(address: Address, reason: str) -> NotAPod:
    return NotAPod(
        f"What answers at {address} is no pod of this version ({reason}); name another with --url."
    )


def _is_plain(parts: SplitResult, url: str) -> bool:
    beside = parts.query or parts.fragment or parts.username is not None
    readable = url.isascii() and url.isprintable() and " " not in url
    return parts.scheme in ("http", "https") and readable and not beside

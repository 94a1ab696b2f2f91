"""The shapes that text settings may have: origins, classes, algorithms, rules.

A check takes a value of the right type and answers what was expected in its place, or None.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from urllib.parse import urlsplit

from .origins import ascii_host, read_origin
from .redact import redact_text

BROKERS = ("memory", "redis", "rabbitmq", "nats")
ALGORITHMS = ("HS256", "HS384", "HS512")
SIGNING_SECRET_BYTES = 32
_EXCHANGE_BYTES = 100
"""What the names of exchanges (127 bytes) leave, as each of them ends with a word of ours."""


def origins(values: Sequence[str]) -> str | None:
    """Check a list of origins (RFC 6454, section 6.2): scheme, host, port, nothing more."""
    for value in values:
        if value == "*":
            return 'exact origins: "*" would let every site use its visitors\' sign-in'
        if value == "null":
            return 'exact origins: "null" is what any sandboxed page and local file sends'
        if read_origin(value) is None:
            return f'origins like "https://example.org:8443", which "{_shown(value)}" is not'
    return None


def hosts(values: Sequence[str]) -> str | None:
    """Check a list of host names: a name each, without a scheme and a port."""
    for value in values:
        if re.search(r"[\s/?#@:*\[\]\\]", value) or not ascii_host(value):
            return f'names of hosts like "pod.example", which "{_shown(value)}" is not'
    return None


def class_path(value: str) -> str | None:
    """Check the name of a class, such as `package.module:Class`."""
    module, colon, name = value.partition(":")
    parts = module.split(".") + name.split(".")
    if colon and all(part.isidentifier() for part in parts):
        return None
    return 'a class written "package.module:Class"'


def room_classes(values: Mapping[str, str]) -> str | None:
    """Check the classes of the rooms: pattern of a room's name to `package.module:Class`."""
    for pattern, value in values.items():
        if not pattern:
            return "patterns of room names that are not empty"
        if class_path(value) is not None:
            return f'classes written "package.module:Class", which "{_shown(value)}" is not'
    return None


def patterns(values: Mapping[str, object]) -> str | None:
    """Check the patterns of room names that rules are kept by."""
    return None if all(values) else "patterns of room names that are not empty"


def broker(value: str) -> str | None:
    """Check the kind of a broker: one that is built in, or the name of a class."""
    if value in BROKERS or class_path(value) is None:
        return None
    near = get_close_matches(value, BROKERS, 1)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    return f'one of {", ".join(BROKERS)}, or a class written "package.module:Class"{hint}'


def algorithms(values: Sequence[str]) -> str | None:
    """Check the algorithms that tokens may be signed with (RFC 7518, section 3.2)."""
    if any(value.lower() == "none" for value in values):
        return f'one or more of {", ".join(ALGORITHMS)}: with "none" anybody could write tokens'
    others = sorted(set(values) - set(ALGORITHMS))
    if others or not values:
        wrong = f', which "{_shown(others[0])}" is not' if others else ""
        return f"one or more of {', '.join(ALGORITHMS)}{wrong}"
    return None


def database(value: str) -> str | None:
    """Check the URL of a database; empty is the built-in one."""
    if not value or re.match(r"(postgres|postgresql|postgresql\+psycopg|sqlite)://", value):
        return None
    return "a URL such as postgresql://user:password@host/database, or sqlite:///file"


def nodes(values: Sequence[str]) -> str | None:
    """Check a list of servers."""
    for value in values:
        host, colon, port = value.rpartition(":")
        bare = host and not re.search(r"[\s/@]", host)
        if not (bare and colon and port.isdecimal() and 0 < int(port) < 65536):
            return f'servers like "redis-1:6379", which "{_shown(value)}" is not'
    return None


def bind(value: str) -> str | None:
    """Check an address to listen on; empty is none, and port 0 is any free one."""
    host, colon, port = value.rpartition(":")
    bare = host and not re.search(r"[\s/@]", host)
    if not value or (bare and colon and port.isdecimal() and int(port) < 65536):
        return None
    return 'a host and a port like "127.0.0.1:9090", or nothing'


def networks(values: Sequence[str]) -> str | None:
    """Check a list of addresses and networks (CIDR, RFC 4632)."""
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError:
            return f'addresses or networks like "10.0.0.0/8", which "{_shown(value)}" is not'
    return None


def redis_url(value: str) -> str | None:
    """Check the URL of a Redis server; empty is none. The value is a secret and not repeated."""
    with suppress(ValueError):  # what a port out of range is
        url = urlsplit(value)
        known = url.scheme in ("redis", "rediss") and re.fullmatch(r"/?\d*/?", url.path)
        if not value or (known and url.port != 0):
            return None
    return "a URL such as rediss://user:password@host:6379/0"


def signing_secret(value: str) -> str | None:
    """Check what an HMAC is made with (RFC 2104, section 3); empty is none."""
    if not value or len(value.encode("utf-8", "replace")) >= SIGNING_SECRET_BYTES:
        return None
    return f"a text of {SIGNING_SECRET_BYTES} bytes at least, made at random, or nothing"


def pod_name(value: str) -> str | None:
    """Check the name of a pod."""
    if re.fullmatch(r"[A-Za-z0-9_.-]{0,64}", value):
        return None
    return 'at most 64 letters, digits, ".", "_" and "-"'


def subject(value: str) -> str | None:
    """Check what NATS subjects begin with: tokens joined by dots, without wildcards."""
    if re.fullmatch(r"[A-Za-z0-9_=-]+(\.[A-Za-z0-9_=-]+)*", value):
        return None
    return 'words of letters, digits, "_", "=" and "-", joined by dots'


def exchange(value: str) -> str | None:
    """Check what names on RabbitMQ begin with; it keeps `amq.` for itself and takes 127 bytes."""
    if value.startswith("amq."):
        return 'a name that does not begin with "amq.", which RabbitMQ keeps for itself'
    if re.fullmatch(rf"[A-Za-z0-9_.:@#,/+ -]{{1,{_EXCHANGE_BYTES}}}", value):
        return None
    return (
        f"1 to {_EXCHANGE_BYTES} letters, digits, spaces and any of "
        '"-", "_", ".", ":", "@", "#", ",", "/" and "+"'
    )


def _shown(value: str) -> str:
    """Show what was given, no more of it than fits and no password."""
    return redact_text(value)[:60]

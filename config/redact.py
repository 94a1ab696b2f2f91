"""Keeping secrets out of what people read: by the name of a key, and by what a text looks like."""

import re
from collections.abc import Mapping

from structlog.typing import EventDict, WrappedLogger

MASK = "********"
_SECRET_KEYS = frozenset(
    ("token", "password", "secret", "authorization", "masterkey", "jwtsecret", "xmasterkey")
)
_NAMES = r"(?:token|access_token|password|secret|master_?key|jwt_?secret)"
_QUERY = re.compile(rf"(?i)(\b{_NAMES}=)[^&\s\"#]+")
# A text that was cut short is masked to its end.
_STRING = r"""(?:"(?:[^"\\]|\\.)*+"?|'(?:[^'\\]|\\.)*+'?)"""
_QUOTED = re.compile(rf"(?is)([\"']{_NAMES}[\"']\s*:\s*){_STRING}")
_BEARER = re.compile(r"(?i)(\bbearer\s+)[^\s\"',]+")
_JWT = re.compile(r"()\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?")
_USERINFO = re.compile(r"((?:^|(?<=[\s\"']))[^\s/@:\"']+:|//)[^\s/@\"']+@")
_MAX_DEPTH = 4


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask the secrets of a log event (a structlog processor)."""
    return {key: _masked(key, value, _MAX_DEPTH) for key, value in event.items()}


def redact_text(text: str) -> str:
    """Mask what looks like a secret inside a text.

    Queries, quoted fields, headers, JWTs, and who signs in by a URL (RFC 3986 section 3.2.1).
    """
    for pattern in (_QUERY, _QUOTED, _BEARER, _JWT):
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return _USERINFO.sub(_without_userinfo, text)


def shown_value(value: object, *, secret: bool) -> object:
    """Return a value as anybody may see it, in all of its texts; an empty one is no secret."""
    if isinstance(value, Mapping):
        return {key: shown_value(inner, secret=secret) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(shown_value(item, secret=secret) for item in value)
    if secret:
        return MASK if value else value
    return redact_text(value) if isinstance(value, str) else value


def _without_userinfo(found: re.Match[str]) -> str:
    return f"//{MASK}@" if found[1] == "//" else f"{MASK}@"


def _masked(key: object, value: object, depth: int) -> object:
    if isinstance(key, str) and re.sub(r"[_-]", "", key).lower() in _SECRET_KEYS:
        return MASK if value else value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, Mapping) and depth:
        return {inner: _masked(inner, item, depth - 1) for inner, item in value.items()}
    if isinstance(value, list | tuple) and depth:
        return [_masked(None, item, depth - 1) for item in value]
    return value

"""Keeping secrets out of logs: by the name of a key, and by what a text looks like."""

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
_MAX_DEPTH = 4


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask the secrets of a log event (a structlog processor)."""
    return {key: _masked(key, value, _MAX_DEPTH) for key, value in event.items()}


def redact_text(text: str) -> str:
    """Mask what looks like a secret inside a text: queries, quoted fields, headers, JWTs."""
    for pattern in (_QUERY, _QUOTED, _BEARER, _JWT):
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


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

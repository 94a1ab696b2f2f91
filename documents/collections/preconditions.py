"""Conditional requests (RFC 9110 section 13): which state of a document somebody speaks of.

An entity tag has two parts: the document's `updatedAt`, which no two states of it share, and a
digest of what is shown of it to this caller. Writes go by the first, reading by both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Final

import orjson
from attrs import frozen

from ...transport import JSON
from ..errors import RequestRefused
from ..store import Document

__all__ = ["UNCONDITIONAL", "Preconditions", "entity_tag", "of_version", "read_preconditions"]

_TAG: Final = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_ANY: Final = "*"


@frozen
class Preconditions:
    """What must hold for a request to be carried out; None is not asked.

    `match` and `none_match` hold the tags that were sent, or `*` for any; `unmodified_since` is in
    unix seconds.
    """

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None
    unmodified_since: float | None = None

    def check(self, current: Document | None) -> None:
        """Raise `RequestRefused` (412) where a write speaks of another state than the present."""
        version = None if current is None else str(current["updatedAt"])
        if self.match is not None:
            if version is None or not _among(version, self.match):
                raise _failed("has changed since, or is gone")
        elif self.unmodified_since is not None and version is not None:
            changed = datetime.fromisoformat(version).replace(microsecond=0)
            if changed.timestamp() > self.unmodified_since:
                raise _failed("has changed since")
        if self.none_match is not None and version is not None and _among(version, self.none_match):
            raise _failed("is there")

    def knows(self, tag: str | None) -> bool:
        """Say whether who reads has what a tag stands for already (304)."""
        if self.none_match is None or tag is None:
            return False
        return _ANY in self.none_match or tag.strip('"') in self.none_match


UNCONDITIONAL: Final = Preconditions()


def of_version(version: str) -> Preconditions:
    """Ask that a document is as it was at an `updatedAt`, whatever who asks sees of it."""
    return Preconditions(match=frozenset({f"{version}-"}))


def read_preconditions(headers: Mapping[str, str]) -> Preconditions:
    """Read what headers ask, by their names in small letters; a date that is none asks nothing."""
    return Preconditions(
        _tags(headers.get("if-match")),
        _tags(headers.get("if-none-match")),
        _moment(headers.get("if-unmodified-since")),
    )


def entity_tag(shown: JSON) -> str | None:
    """Return the tag of a document as it is shown, in whatever order; None where it has none."""
    version = shown.get("updatedAt") if isinstance(shown, dict) else None
    if not isinstance(version, str):
        return None
    body = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
    return f'"{version}-{blake2b(body, digest_size=8).hexdigest()}"'


def _among(version: str, tags: frozenset[str]) -> bool:
    return _ANY in tags or any(tag.rpartition("-")[0] == version for tag in tags)


def _tags(header: str | None) -> frozenset[str] | None:
    if header is None:
        return None
    return frozenset({_ANY}) if header.strip() == _ANY else frozenset(_TAG.findall(header))


def _moment(header: str | None) -> float | None:
    if header is None:
        return None
    try:
        moment = parsedate_to_datetime(header)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _failed(what: str) -> RequestRefused:
    return RequestRefused(412, f"The document {what}: read it, and decide anew.")

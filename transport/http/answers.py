"""What every answer of the pod has in common: its headers, and errors that are sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from starlette.responses import Response

__all__ = ["EXPOSED", "error_response", "json_response", "plain_response"]

EXPOSED: Final = ("Retry-After", "X-Truncated")
"""Headers that pages of allowed origins may read beside the usual ones (Fetch section 3.2.4)."""


def error_response(
    status: int, sentence: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with an error: `{"error": sentence}`."""
    return json_response({"error": sentence}, status, headers)


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a value, or with bytes that are JSON already."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return plain_response(status, body, "application/json", headers or {})


def plain_response(status: int, body: bytes, kind: str, headers: Mapping[str, str]) -> Response:
    """Answer with bytes of a content type; nobody stores it, sniffs it, or learns where from."""
    safe = {
        "Content-Type": kind,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Response(body, status, {**safe, **headers})

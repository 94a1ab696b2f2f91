"""What every answer of the pod has in common: its headers, and errors that are sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["EXPOSED", "NOT_JSON", "error_response", "json_response", "plain_response", "says_json"]

EXPOSED: Final = ("ETag", "Retry-After", "X-Truncated")
"""Headers that pages of allowed origins may read beside the usual ones (Fetch section 3.2.4)."""

NOT_JSON: Final = "Send it as JSON, with 'Content-Type: application/json'."


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


def says_json(request: Request) -> bool:
    """Say whether the body of a request is said to be JSON.

    A page of elsewhere can have a browser post a form or plain text from where its user stands; to
    say that something is JSON it has to ask first (Fetch section 2.2.2, "CORS-safelisted").
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")

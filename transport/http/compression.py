"""Answers compressed for those who take that (RFC 9110 sections 8.4 and 12.5.3)."""

from __future__ import annotations

import gzip
from functools import partial
from typing import Final

import trio
from starlette.requests import Request
from starlette.responses import Response

from ..errors import NoThread
from ..threads import in_thread

__all__ = ["WORTH_IT", "takes_gzip", "with_gzip"]

WORTH_IT: Final = 8 * 1024
"""Bytes of an answer from which on less is sent than compressing costs."""

_LEVEL: Final = 3
"""Of JSON a tenth is left with it, in half of the time that zlib's own choice takes."""


async def with_gzip(
    request: Request, response: Response, threads: trio.CapacityLimiter
) -> Response:
    """Compress an answer that is large enough, in a thread; without one it stays as it is.

    For answers without an entity tag: another form of what has one would need another tag.
    """
    if len(response.body) < WORTH_IT:
        return response
    response.headers.add_vary_header("Accept-Encoding")
    if not takes_gzip(request.headers.get("accept-encoding", "")):
        return response
    shrink = partial(gzip.compress, bytes(response.body), _LEVEL, mtime=0)
    try:
        response.body = await in_thread(shrink, limiter=threads)
    except NoThread:
        return response
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(response.body))
    return response


def takes_gzip(accepted: str) -> bool:
    """Read an `Accept-Encoding`: what has the weight 0 is not wanted, `*` is whatever is left."""
    weights = {}
    for each in accepted.lower().split(","):
        coding, _, parameter = each.partition(";")
        weights[coding.strip()] = parameter.replace(" ", "").rstrip(".0") != "q="
    return weights.get("gzip", weights.get("*", False))

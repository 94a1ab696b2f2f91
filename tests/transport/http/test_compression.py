"""Which answers are compressed, and for whom."""

from __future__ import annotations

import gzip
import json

import pytest
import trio
from starlette.requests import Request
from starlette.responses import Response

from deployd.transport import NoThread
from deployd.transport.http import json_response
from deployd.transport.http.compression import WORTH_IT, takes_gzip, with_gzip

LIST = [{"id": f"{n:05}", "title": "tea"} for n in range(1000)]


async def answered(value: object, accepted: str | None) -> Response:
    headers = [] if accepted is None else [(b"accept-encoding", accepted.encode())]
    request = Request({"type": "http", "method": "GET", "headers": headers})
    return await with_gzip(request, json_response(value), trio.CapacityLimiter(1))


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True),
        ("GZip, deflate, br", True),
        ("br;q=1.0, gzip; q=0.5", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=0.000", False),
        ("gzip;q=1.0", True),
        ("gzip;q=0.10", True),
        ("identity", False),
        ("", False),
    ],
)
def test_who_takes_gzip_says_so(accepted: str, *, takes: bool) -> None:
    assert takes_gzip(accepted) is takes


async def test_a_long_list_is_compressed_for_who_takes_that() -> None:
    response = await answered(LIST, "gzip")
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Content-Length"] == str(len(response.body))
    assert len(response.body) < len(json.dumps(LIST)) / 5
    assert json.loads(gzip.decompress(response.body)) == LIST


@pytest.mark.parametrize("accepted", [None, "identity"])
async def test_who_does_not_take_it_gets_the_list_as_it_is(accepted: str | None) -> None:
    response = await answered(LIST, accepted)
    assert "Content-Encoding" not in response.headers
    assert json.loads(bytes(response.body)) == LIST
    assert response.headers["Vary"] == "Accept-Encoding"


async def test_what_is_short_is_left_as_it_is() -> None:
    response = await answered("x" * (WORTH_IT - 3), "gzip")
    assert "Content-Encoding" not in response.headers
    assert (await answered("x" * WORTH_IT, "gzip")).headers["Content-Encoding"] == "gzip"


async def test_without_a_thread_the_list_is_answered_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def none(*_: object, **__: object) -> bytes:
        raise NoThread

    monkeypatch.setattr("deployd.transport.http.compression.in_thread", none)
    response = await answered(LIST, "gzip")
    assert json.loads(bytes(response.body)) == LIST

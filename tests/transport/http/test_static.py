from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

import httpx
import pytest
from starlette.applications import Starlette

from deployd.transport.http.static import CLIENT_FILES, static_routes
from support import running_pod

STATIC = resources.files("deployd.web").joinpath("client")


async def ask(
    path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=static_routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
        return await client.request(method, path, headers=headers)


def test_every_file_of_the_folder_is_served_and_no_other() -> None:
    assert {entry.name for entry in STATIC.iterdir() if entry.is_file()} == set(CLIENT_FILES)


@pytest.mark.parametrize("name", CLIENT_FILES)
async def test_a_file_comes_as_it_is_packaged(name: str) -> None:
    response = await ask(f"/{name}")
    assert response.status_code == 200
    assert response.content == STATIC.joinpath(name).read_bytes()
    assert response.headers["content-type"] == CLIENT_FILES[name]
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_scripts_are_scripts_and_types_are_text() -> None:
    kinds = {name: kind.partition(";")[0] for name, kind in CLIENT_FILES.items()}
    assert kinds == {
        "dpd.js": "text/javascript",
        "dpd.mjs": "text/javascript",
        "dpd.d.ts": "text/plain",
        "dpd.d.mts": "text/plain",
    }


async def test_what_the_browser_has_is_not_sent_again() -> None:
    etag = (await ask("/dpd.js")).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = await ask("/dpd.js", {"If-None-Match": known})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == etag
        assert response.headers["cache-control"] == "no-cache"


async def test_what_the_browser_has_of_another_version_is_sent_anew() -> None:
    other = (await ask("/dpd.mjs")).headers["etag"]
    for known in ("", other, etag_without_quotes(await ask("/dpd.js"))):
        assert (await ask("/dpd.js", {"If-None-Match": known})).status_code == 200


def etag_without_quotes(response: httpx.Response) -> str:
    return response.headers["etag"].strip('"')


async def test_head_tells_the_size_without_the_file() -> None:
    get, head = await ask("/dpd.js"), await ask("/dpd.js", method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers


async def test_a_pod_serves_its_own_client() -> None:
    async with (
        running_pod() as pod,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{pod.port}", trust_env=False) as client,
    ):
        for name in CLIENT_FILES:
            assert (await client.get(f"/{name}")).status_code == 200
        assert (await client.get("/app.py")).status_code == 404
        assert (await client.get("/static/dpd.js")).status_code == 404

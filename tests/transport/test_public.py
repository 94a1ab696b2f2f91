"""An application's own files: which are served, and which are not."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deployd.transport.http import PublicFiles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    public = tmp_path / "public"
    (public / "css").mkdir(parents=True)
    (public / "app.html").write_text("<p>hello")
    (public / "css" / "app.css").write_text("p {}")
    (public / ".env").write_text("SECRET=1")
    (public / ".git").mkdir()
    (public / ".git" / "a.txt").write_text("hidden")
    (tmp_path / "outside.txt").write_text("outside")
    (public / "link.txt").symlink_to(tmp_path / "outside.txt")
    return public


async def get(folder: Path, path: str, **headers: str) -> httpx.Response:
    async def others(_: Request) -> Response:
        return PlainTextResponse("a collection")

    files = PublicFiles(folder)
    app = Starlette(routes=[files.route(), Route("/{name}", others)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
        return await client.get(path, headers=headers)


async def test_a_file_is_served_with_its_type_and_asked_for_again_each_time(folder: Path) -> None:
    answer = await get(folder, "/app.html")
    assert (answer.status_code, answer.text) == (200, "<p>hello")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    same = await get(folder, "/app.html", **{"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304
    assert (await get(folder, "/css/app.css")).headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing.html",
        "/.env",
        "/.git/a.txt",
        "/link.txt",
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/css/%2e%2e/%2e%2e/outside.txt",
        "/a%00.txt",
        "/" + "x" * 300 + ".txt",
    ],
)
async def test_what_is_hidden_or_elsewhere_is_not_served(folder: Path, path: str) -> None:
    answer = await get(folder, path)
    assert "outside" not in answer.text
    assert "SECRET" not in answer.text
    assert answer.status_code == 404


async def test_a_path_without_a_dot_is_not_looked_for_on_the_disk(folder: Path) -> None:
    (folder / "todos").write_text("a file")
    assert (await get(folder, "/todos")).text == "a collection"


async def test_the_folder_need_not_exist(tmp_path: Path) -> None:
    assert (await get(tmp_path / "none", "/a.html")).status_code == 404

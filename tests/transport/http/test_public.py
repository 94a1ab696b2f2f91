"""An application's own files: which are served, and which are not."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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


async def get(
    folder: Path,
    path: str,
    private: Sequence[Path] = (),
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    async def others(_: Request) -> Response:
        return PlainTextResponse("a collection")

    files = PublicFiles(folder, private)
    app = Starlette(routes=[files.route(), Route("/{name}", others)])
    app.router.redirect_slashes = False
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
        return await client.get(path, headers=headers)


async def test_a_file_is_served_with_its_type_and_asked_for_again_each_time(folder: Path) -> None:
    answer = await get(folder, "/app.html")
    assert (answer.status_code, answer.text) == (200, "<p>hello")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    seen = {"If-None-Match": answer.headers["etag"]}
    same = await get(folder, "/app.html", headers=seen)
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


# -- what is for nobody ----------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Make a folder that somebody serves whole, with all that a pod has in it."""
    for name in (
        "data/secrets.json",
        "data/documents.db",
        "data/backup/copy.json",
        "resources/todos/config.json",
        "resources/todos/get.txt",
        "settings.json",
        "tls/chain.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("SECRET")
    for name in (
        "rooms.py", "rooms.PY", "__pycache__/rooms.cpython-311.pyc", "tls/key.pem", "id.key",
        "other.db", "other.db-wal", "other.sqlite3", "user.creds", ".env", ".git/config.txt",
        "app.js~", "app.js.bak", "x/.hidden/a.txt",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("SECRET")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "key.txt").symlink_to(tmp_path / "data" / "secrets.json")
    (tmp_path / "links" / "twice.txt").symlink_to(tmp_path / "links" / "key.txt")
    (tmp_path / "links" / "folder").symlink_to(tmp_path / "data")
    (tmp_path / "links" / "up").symlink_to(tmp_path)
    (tmp_path / "links" / "env.txt").symlink_to(tmp_path / ".env")
    (tmp_path / "links" / "code.txt").symlink_to(tmp_path / "rooms.py")
    os.link(tmp_path / "data" / "secrets.json", tmp_path / "links" / "hard.txt")
    os.link(tmp_path / "data" / "backup" / "copy.json", tmp_path / "links" / "deep.txt")
    os.link(tmp_path / "settings.json", tmp_path / "links" / "settings.txt")
    (tmp_path / "app.js").write_text("hello")
    os.link(tmp_path / "app.js", tmp_path / "links" / "app.js")
    (tmp_path / "database.html").write_text("hello")
    return tmp_path


def private(home: Path) -> list[Path]:
    names = ("data", "resources", "settings.json", "tls/chain.txt", "not-there.pem")
    return [home / name for name in names]


@pytest.mark.parametrize(
    "path",
    [
        "/data/secrets.json",
        "/data/documents.db",
        "/data/backup/copy.json",
        "/resources/todos/config.json",
        "/resources/todos/get.txt",
        "/settings.json",
        "/tls/chain.txt",
        "/rooms.py",
        "/rooms.PY",
        "/__pycache__/rooms.cpython-311.pyc",
        "/tls/key.pem",
        "/id.key",
        "/other.db",
        "/other.db-wal",
        "/other.sqlite3",
        "/user.creds",
        "/.env",
        "/.git/config.txt",
        "/x/.hidden/a.txt",
        "/app.js~",
        "/app.js.bak",
        "/links/key.txt",
        "/links/twice.txt",
        "/links/folder/secrets.json",
        "/links/up/data/secrets.json",
        "/links/up/links/up/settings.json",
        "/links/env.txt",
        "/links/code.txt",
        "/links/hard.txt",
        "/links/deep.txt",
        "/links/settings.txt",
        "//data/secrets.json",
        "/./data/secrets.json",
        "/%2e/data/secrets.json",
        "/data%2fsecrets.json",
        "/data/./secrets.json",
        "/data//secrets.json",
        "/links/%2e%2e/data/secrets.json",
        "/data/backup/../secrets.json",
        "/%64ata/secrets.json",
        "/data/secrets.json/",
        "/data/secrets.json%00.txt",
        "/data\\secrets.json",
    ],
)
async def test_a_folder_that_is_served_whole_shows_nothing_that_is_for_nobody(
    home: Path, path: str
) -> None:
    for method_path in (path, f"{path}?x=1"):
        answer = await get(home, method_path, private(home), {"Range": "bytes=0-5"})
        assert "SECRET" not in answer.text
        assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/app.js", "/links/app.js", "/links/up/app.js", "/database.html"])
async def test_what_lies_beside_it_is_served(home: Path, path: str) -> None:
    assert (await get(home, path, private(home))).text == "hello"


async def test_what_is_made_private_later_is_so_from_then_on(home: Path) -> None:
    (home / "not-there.pem").mkdir()
    (home / "not-there.pem" / "a.txt").write_text("SECRET")
    assert (await get(home, "/not-there.pem/a.txt", private(home))).status_code == 404


async def test_a_public_folder_may_lie_in_a_private_one_but_not_be_one(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "a.txt").write_text("hello")
    assert (await get(tmp_path / "public", "/a.txt", [tmp_path])).text == "hello"
    same = await get(tmp_path / "public", "/a.txt", [tmp_path / "public"])
    assert same.status_code == 404


def test_what_of_it_lies_in_the_public_folder_is_known(home: Path) -> None:
    assert PublicFiles(home, private(home)).exposed() == private(home)[:-1]
    assert PublicFiles(home / "links", private(home)).exposed() == []
    assert PublicFiles(home / "links" / "up", private(home)).exposed() == private(home)[:-1]


async def test_the_folder_need_not_exist(tmp_path: Path) -> None:
    assert (await get(tmp_path / "none", "/a.html")).status_code == 404

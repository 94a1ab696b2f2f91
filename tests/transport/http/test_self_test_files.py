from __future__ import annotations

import re
from importlib import resources

import httpx
import pytest
from starlette.applications import Starlette

from deployd.transport.http.pages import self_test_routes

FOLDER = resources.files("deployd.web").joinpath("self-test")
FILES = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir()}
PAGE = FILES["page.html"]


async def ask(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=self_test_routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
        return await client.get(path)


async def test_every_file_of_the_page_comes_as_it_is_packaged() -> None:
    for name, text in FILES.items():
        path = "/self-test.html" if name == "page.html" else f"/self-test/{name}"
        response = await ask(path)
        assert response.text == text
        kind = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
        wanted = kind[name.rpartition(".")[2]]
        assert response.headers["content-type"] == f"{wanted}; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_page_allows_no_script_but_its_own_and_only_its_worker_evaluates() -> None:
    policy = (await ask("/self-test.html")).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in policy
    assert "unsafe-eval" in (await ask("/self-test/worker.js")).headers["content-security-policy"]
    assert "content-security-policy" not in (await ask("/self-test/main.js")).headers


def test_everything_the_page_names_is_there_and_nothing_is_elsewhere() -> None:
    named = re.findall(r'(?:src|href)="([^"]+)"', PAGE)
    assert all(re.match(r"/(?!/)|data:", name) for name in named)
    ours = {name.removeprefix("/self-test/") for name in named if name.startswith("/self-test/")}
    assert ours <= set(FILES)
    for name, text in FILES.items():
        assert set(re.findall(r"from '\./([^']+)'", text)) <= set(FILES), name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg')", text), name


def test_the_page_has_no_inline_script_or_style() -> None:
    assert not re.search(r"<style|style=|\son\w+=", PAGE)
    assert re.findall(r"<script[^>]*>([^<]*)", PAGE) == ["", ""]


@pytest.mark.parametrize("name", sorted(FILES))
def test_data_never_becomes_markup(name: str) -> None:
    markup = r"\.(innerHTML|outerHTML)\b|insertAdjacentHTML|document\.write|setHTML"
    assert not re.search(markup, FILES[name])

"""The client as the specification writes it, in Node and in Chromium, against real collections."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx
import pytest
import trio
from attrs import evolve

from deployd.supervisors import Pod
from support import PATIENCE, collections_config, running_collections, write_collection
from support.browser import Browser, Visit

STATIC = Path(__file__).resolve().parent.parent.parent / "web" / "client"

# The forms of the specification's client: construction, listeners with functions, custom events
# from anywhere, rooms. What is seen is written down as `heard`.
PROGRAM = """
const dpd = new Deployd('%s');
dpd.todos.on('created', function(todo) { heard('created', todo); });
dpd.todos.on('updated', function(todo) { heard('updated', todo); });
dpd.todos.on('deleted', function(todo) { heard('deleted', todo.id); });
dpd.on('notification', function(data) { heard('notification', data.message); });
dpd.on('admin-alert', function(data) { heard('admin-alert', data.level); });
dpd.socket.join('admin-notifications').then(function() { heard('ready'); });
"""


@asynccontextmanager
async def pod_with_todos(folder: Path) -> AsyncIterator[tuple[Pod, httpx.AsyncClient]]:
    write_collection(folder, "todos", {"properties": {"title": {"type": "string"}}})
    public = folder / "public"
    public.mkdir()
    (public / "index.html").write_text(
        '<link rel="icon" href="data:,"><script src="/dpd.js"></script>'
    )
    config = collections_config(folder)
    config = evolve(config, server=evolve(config.server, public=str(public)))
    async with running_collections(folder, config) as (pod, http):
        yield pod, http


async def things_happen(pod: Pod, http: httpx.AsyncClient) -> list[list[Any]]:
    """Let everything happen that the program listens for; return what it has to hear."""
    made = (await http.post("/todos", json={"title": "a"})).json()
    changed = (await http.put(f"/todos/{made['id']}", json={"title": "b"})).json()
    await http.delete(f"/todos/{made['id']}")
    pod.hub.emit_to_all("notification", {"message": "hello"})
    pod.hub.emit_to_room("admin-notifications", "admin-alert", {"level": "error"})
    return [
        ["created", made],
        ["updated", changed],
        ["deleted", made["id"]],
        ["notification", "hello"],
        ["admin-alert", "error"],
    ]


async def check(pod: Pod, http: httpx.AsyncClient, heard: Callable[[], Awaitable[Any]]) -> None:
    """Read what the program writes down: it is ready, then it hears all of it, each once."""
    with trio.fail_after(PATIENCE):
        assert await heard() == ["ready"]
        expected = await things_happen(pod, http)
        found = [await heard() for _ in expected]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert [one for one in found if one[0].endswith("ed")] == expected[:3]


async def test_the_specifications_snippets_run_in_node(tmp_path: Path) -> None:
    node = shutil.which("node") or ""
    if not node:
        sentence = "install Node 20 or newer (nodejs): the client's tests run in it"
        pytest.fail(sentence) if os.environ.get("CI") else pytest.skip(sentence)
    async with pod_with_todos(tmp_path) as (pod, http):
        program = (
            f"const Deployd = require({json.dumps(str(STATIC / 'dpd.js'))});\n"
            "const heard = (...what) => console.log(JSON.stringify(what));\n"
            + PROGRAM
            % f"http://127.0.0.1:{pod.port}"
        )
        process = await trio.lowlevel.open_process(
            [node, "--no-warnings", "--experimental-websocket", "-e", program], stdout=PIPE
        )
        try:
            lines = lines_of(process)
            await check(pod, http, lines.__anext__)
            await lines.aclose()
        finally:
            process.kill()
            await process.wait()
            if process.stdout is not None:
                await process.stdout.aclose()


async def lines_of(process: trio.Process) -> AsyncGenerator[Any, None]:
    """Yield what each line of a process says in JSON."""
    assert process.stdout is not None
    rest = b""
    async for chunk in process.stdout:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


async def test_the_specifications_snippets_run_in_chromium(
    tmp_path: Path, browser: Browser
) -> None:
    async with pod_with_todos(tmp_path) as (pod, http):
        lines, over = trio.open_memory_channel[Any](100), trio.Event()

        def story(visit: Visit) -> None:
            page = visit.open("/")
            page.expose_function("heard", lambda *what: visit.in_pod(lines[0].send_nowait, [*what]))
            page.evaluate("source => { (0, eval)(source); }", PROGRAM % visit.origin)
            while not visit.in_pod(over.is_set):
                page.wait_for_timeout(50)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(browser.visit, pod, story)
            await check(pod, http, lines[1].receive)
            over.set()

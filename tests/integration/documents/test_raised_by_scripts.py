"""Whatever an event script raises ends one request: every event × sync and async × exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import httpx
import pytest
import structlog
import trio

from deployd.documents.scripts import ScriptEvent
from support import connected, find_node, running_collections, write_collection

PREAMBLE: Final = """
import sys
import trio
class Untellable(Exception):
    def __str__(self): raise SystemExit("no text")
    __repr__ = __str__
class Own(BaseException):
    @property
    def __notes__(self): raise KeyboardInterrupt
async def keep():
    with trio.CancelScope() as scope:
        scope.cancel()
        try: await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            kept.append(error)
            raise
kept = []
"""
RAISED: Final = [
    "raise ValueError(1)",
    "raise MemoryError",
    "raise RecursionError",
    "raise StopIteration(1)",
    "raise StopAsyncIteration",
    "raise trio.TooSlowError",
    "sys.exit(3)",
    "raise KeyboardInterrupt",
    "raise GeneratorExit",
    "raise Own",
    "raise Untellable",
    "raise ValueError('half \\ud800')",
    "raise BaseExceptionGroup('g', [SystemExit(3), KeyboardInterrupt()])",
    "raise (kept or [SystemExit()])[0]",
]
KEEP: dict[str, Any] = {"properties": {}}


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """Let the pod configure its log: structlog's own shows of exceptions what harms."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def source(statement: str, *, is_async: bool) -> str:
    if is_async:
        return f"{PREAMBLE}\nasync def run(ctx):\n    await keep()\n    {statement}\n"
    return f"{PREAMBLE}\ndef run(ctx):\n    {statement}\n"


async def request(http: httpx.AsyncClient, event: str, name: str) -> httpx.Response:
    """Ask for what runs the script of an event."""
    document = {"id": "one", "title": "first"}
    if event in ("beforerequest", "validate", "post", "aftercommit"):
        return await http.post(f"/{name}", json=document)
    assert (await http.post(f"/{name}", json=document)).status_code in (200, 500)
    if event == "put":
        return await http.put(f"/{name}/one", json={"title": "second"})
    return await http.request("DELETE" if event == "delete" else "GET", f"/{name}/one")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("event", get_args(ScriptEvent))
async def test_what_a_script_raises_ends_its_request_alone(
    event: ScriptEvent, is_async: bool, tmp_path: Path
) -> None:
    names = {f"c{n}": statement for n, statement in enumerate(RAISED)}
    for name, statement in names.items():
        script = source(statement, is_async=is_async)
        write_collection(tmp_path, name, KEEP, {event: script})
    write_collection(tmp_path, "good", KEEP)
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("tea")
        for name, statement in names.items():
            answer = await request(http, event, name)
            # What is committed stays so, whatever the script after it does.
            expected = 200 if event == "aftercommit" else 500
            assert (answer.status_code, statement) == (expected, statement)
            assert answer.json()
        for n in range(3):
            assert (await http.post("/good", json={"n": n})).status_code == 200
        await client.send("emit", room="tea", event="said", data=1)
        await client.expect("emit", data=1)
        assert pod.parts.root.restarted == 0


async def test_what_a_file_raises_when_it_is_loaded_breaks_its_script_alone(
    tmp_path: Path,
) -> None:
    names = {f"c{n}": statement for n, statement in enumerate(RAISED)}
    for name, statement in names.items():
        write_collection(tmp_path, name, KEEP, {"post": f"{PREAMBLE}\n{statement}\n"})
    write_collection(tmp_path, "good", KEEP)
    with trio.fail_after(30):
        async with running_collections(tmp_path) as (pod, http):
            for name, statement in names.items():
                answer = await http.post(f"/{name}", json={})
                assert (answer.status_code, statement) == (500, statement)
                assert (await http.get(f"/{name}")).status_code == 200
            assert (await http.post("/good", json={})).status_code == 200
            assert pod.parts.root.restarted == 0


LEAVES: Final = """
class Text(str):
    def __hash__(self): return hash("title")
    def __eq__(self, other): raise SystemExit("compared")
    def encode(self, *_): raise SystemExit("encoded")
class Thing:
    def __hash__(self): return hash("title")
    def __eq__(self, other): raise SystemExit("compared")
    def __repr__(self): raise SystemExit("shown")
class Number(int):
    def __str__(self): raise SystemExit("shown")
    __repr__ = __int__ = __index__ = __str__
"""
LEFT: Final = [
    "ctx.hide(Thing())",
    "ctx.hide(Text('title'))",
    "ctx.protect(Thing())",
    "ctx.cancel(Text('no'), Number(404))",
    "ctx.cancel('no', 404.5)",
    "ctx.error(Text('title'), Text('no'))",
    "ctx.set_response({}, Number(201), {Text('X-A'): Text('b')})",
    "ctx.set_response({}, 200.5)",
    "ctx.set_response(Thing())",
    "ctx.query = Thing()",
    "ctx.query = {Text('title'): Text('first'), '$limit': Number(1)}",
    "ctx.query[Thing()] = 1",
    "ctx.data[Thing()] = 1",
    "ctx.data['more'] = Number(1)",
    "ctx.emit(Text('said'), 1, Text('title'))",
]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("event", ["beforerequest", "get", "put"])
async def test_what_a_script_leaves_behind_acts_on_nothing_outside_of_it(
    tmp_path: Path, event: ScriptEvent, is_async: bool
) -> None:
    for n, statement in enumerate(LEFT):
        word = "async def" if is_async else "def"
        script = f"{LEAVES}\n{word} run(ctx):\n    {statement}\n"
        write_collection(tmp_path, f"c{n}", KEEP, {event: script})
    write_collection(tmp_path, "fine", KEEP)
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("fine")
        for n, statement in enumerate(LEFT):
            await http.post(f"/c{n}", json={"id": "one", "title": "first"})
            for asked in ("", "?title=first", "/one", "/count"):
                answer = await http.get(f"/c{n}{asked}")
                assert answer.status_code in (200, 201, 400, 404, 500), statement
            await http.put(f"/c{n}/one", json={"title": "second"})
        assert (await http.post("/fine", json={})).status_code == 200
        await client.ask("join", room="fine")  # the same connection
        assert (find_node(pod.tree(), "pod/listener").incarnation) == 1

"""An ASGI application on the pod's port: its requests, its lifespan, and what stays the pod's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
import trio.lowlevel
from attrs import evolve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deployd.config import Collections, Config, Drain, Limits, Secrets, Server
from deployd.supervisors import Pod, open_pod
from deployd.transport import ApplicationNotStarted
from support.clients import pod_config

KEYS = Secrets("m" * 40, "j" * 40)
life: list[str] = []


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, str]]:
    life.append("started")
    yield {"database": "open"}
    life.append("stopped")


async def home(request: Request) -> Response:
    return JSONResponse([request.state.database, str(request.url_for("home")), request.url.path])


async def said(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def stream(_: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield str(number)
            await trio.lowlevel.checkpoint()

    return StreamingResponse(pieces())


async def fails(_: Request) -> Response:
    raise RuntimeError("on purpose")


APP = Starlette(
    routes=[
        Route("/", home, name="home"),
        Route("/said/{rest:path}", said, methods=["POST"]),
        Route("/stream", stream),
        Route("/fails", fails),
        Route("/health/live", home),
        Route("/todos", home),
        Route("/style.css", home),
    ],
    lifespan=lifespan,
)


@asynccontextmanager
async def pod_with(
    app: ASGIApp, config: Config | None = None
) -> AsyncIterator[tuple[Pod, httpx.AsyncClient]]:
    async with (
        open_pod(config or pod_config(), keys=KEYS, app=app) as pod,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{pod.port}") as http,
    ):
        yield pod, http


async def test_what_is_not_the_pods_is_the_applications() -> None:
    async with pod_with(APP) as (pod, http):
        home = [*("open", f"http://127.0.0.1:{pod.port}/"), "/"]
        assert (await http.get("/")).json() == home
        assert (await http.post("/said/it", content=b"hello")).text == "hello"
        assert (await http.get("/stream")).text == "012"
        assert (await http.get("/style.css")).json()[2] == "/style.css"
        assert (await http.get("/nothing")).text == "Not Found"
        assert (await http.get("/fails")).status_code == 500
        assert (await http.get("/health/live")).json()["pod"] == pod.pod_id
        assert (await http.get("/dpd.js")).status_code == 200


async def test_it_has_no_websockets_and_the_limits_of_the_port() -> None:
    server = Server(host="127.0.0.1", port=0, api_enabled=False, hosts=("pod.example",))
    config = evolve(pod_config(), limits=Limits(max_body_bytes=1024), server=server)
    async with pod_with(APP, config) as (_, http):
        shake = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        shake["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        assert (await http.get("/stream", headers=shake)).status_code == 404
        assert (await http.post("/said/it", content=b"x" * 2000)).status_code == 413
        assert (await http.get("/", headers={"Host": "pod.example"})).status_code == 200
        assert (await http.get("/", headers={"Host": "evil.example"})).status_code == 421


async def test_its_lifespan_is_around_the_pods() -> None:
    life.clear()
    async with pod_with(APP):
        assert life == ["started"]
    assert life == ["started", "stopped"]


async def test_collections_that_there_are_stay_the_pods(tmp_path: Path) -> None:
    folder = tmp_path / "resources" / "todos"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"properties": {"title": {"type": "string"}}}))
    config = evolve(
        pod_config(),
        server=Server(host="127.0.0.1", port=0, data=str(tmp_path / "data")),
        collections=Collections(folder=str(tmp_path / "resources")),
    )
    async with pod_with(APP, config) as (_, http):
        assert (await http.get("/todos")).json() == []
        assert (await http.get("/todos/1")).status_code == 404
        assert (await http.get("/")).json()[0] == "open"


async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "There is no database."})


async def knows_none(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await PlainTextResponse("here")(scope, receive, send)


async def ends_early(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse("here")(scope, receive, send)


async def never_stops(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse("here")(scope, receive, send)
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await trio.sleep_forever()


async def test_one_that_refuses_to_start_keeps_the_pod_from_starting() -> None:
    with pytest.raises(ApplicationNotStarted, match=r"not started: There is no database\."):
        async with pod_with(refuses):
            raise AssertionError("The block runs.")


@pytest.mark.parametrize("app", [knows_none, ends_early, never_stops])
async def test_one_without_a_lifespan_is_answered_and_one_that_never_ends_is_cut_off(
    app: Callable[[Scope, Receive, Send], Awaitable[None]],
) -> None:
    with trio.fail_after(20):
        config = evolve(pod_config(), drain=Drain(window=0.0, deadline=0.5))
        async with pod_with(app, config) as (_, http):
            assert (await http.get("/")).text == "here"


async def test_an_error_of_the_block_is_raised_as_it_is() -> None:
    with pytest.raises(LookupError):
        async with pod_with(APP):
            raise LookupError("of the block")

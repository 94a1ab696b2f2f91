"""Toxiproxy's HTTP API, as its clients speak it.

Source: Toxiproxy's README ("HTTP API") and its clients. Fields that only this proxy has, such as
`protocol`, may be left out. What is wrong is told in `error`, in a sentence.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ....transport import AddressInUse, Listener, ListenError
from ....transport.http import HttpLimits, HttpServer
from .errors import BadProxy, PortTaken, ProxyError
from .place import Place
from .proxies import Proxies, add_toxic, change_toxic, proxy_fields, toxic_fields

__all__ = ["API_VERSION", "DEFAULT_API_PORT", "create_api", "serve_api"]

DEFAULT_API_PORT: Final = 8474
"""Toxiproxy's own."""

API_VERSION: Final = "2.12.0"
"""The version of Toxiproxy whose API this is; clients ask for it."""

Answer: TypeAlias = Callable[[Request], Awaitable[Response]]


def create_api(proxies: Proxies) -> Starlette:
    """Return the application."""
    api = _Answers(proxies)
    proxy, toxic = "/proxies/{proxy}", "/proxies/{proxy}/toxics/{toxic}"
    return Starlette(
        routes=[
            _route("/version", GET=api.version),
            _route("/reset", POST=api.reset),
            _route("/populate", POST=api.populate),
            _route("/proxies", GET=api.list_proxies, POST=api.create_proxy),
            _route(
                proxy, GET=api.show_proxy, DELETE=api.delete_proxy, **_changes(api.update_proxy)
            ),
            _route(f"{proxy}/toxics", GET=api.list_toxics, POST=api.create_toxic),
            _route(
                toxic, GET=api.show_toxic, DELETE=api.delete_toxic, **_changes(api.update_toxic)
            ),
        ]
    )


def _route(path: str, **methods: Answer) -> Route:
    """Answer each method on its own; what is wrong becomes an answer, too."""

    async def answer(request: Request) -> Response:
        # A page in a browser may send requests here, and is to have no say.
        if request.headers.get("user-agent", "").startswith("Mozilla/"):
            return Response("User agent not allowed\n", 403)
        try:
            return await methods[request.method](request)
        except ProxyError as error:
            return JSONResponse({"error": str(error), "status": error.status}, error.status)

    return Route(path, answer, methods=list(methods))


def _changes(answer: Answer) -> dict[str, Answer]:
    """Answer both methods that change something: clients of before 2.6 know POST only."""
    return {"POST": answer, "PATCH": answer}


class _Answers:
    """Answers requests."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies

    async def version(self, _: Request) -> Response:
        return JSONResponse({"version": API_VERSION})

    async def reset(self, _: Request) -> Response:
        self._proxies.reset()
        return Response(status_code=204)

    async def populate(self, request: Request) -> Response:
        wanted = await _read(request)
        if not isinstance(wanted, list):
            raise BadProxy("bad request body: it must be a list of proxies.")
        made = await self._proxies.populate([_fields(each) for each in wanted])
        return JSONResponse({"proxies": [proxy_fields(proxy) for proxy in made]}, 201)

    async def list_proxies(self, _: Request) -> Response:
        return JSONResponse({proxy.name: proxy_fields(proxy) for proxy in self._proxies})

    async def create_proxy(self, request: Request) -> Response:
        proxy = self._proxies.create(_fields(await _read(request)))
        return JSONResponse(proxy_fields(proxy), 201)

    async def show_proxy(self, request: Request) -> Response:
        return JSONResponse(proxy_fields(self._proxies.get(request.path_params["proxy"])))

    async def update_proxy(self, request: Request) -> Response:
        fields = _fields(await _read(request))
        proxy = await self._proxies.update(request.path_params["proxy"], fields)
        return JSONResponse(proxy_fields(proxy))

    async def delete_proxy(self, request: Request) -> Response:
        await self._proxies.remove(request.path_params["proxy"])
        return Response(status_code=204)

    async def list_toxics(self, request: Request) -> Response:
        proxy = self._proxies.get(request.path_params["proxy"])
        return JSONResponse([toxic_fields(placed) for placed in proxy.toxics])

    async def create_toxic(self, request: Request) -> Response:
        proxy = self._proxies.get(request.path_params["proxy"])
        return JSONResponse(toxic_fields(add_toxic(proxy, _fields(await _read(request)))))

    async def show_toxic(self, request: Request) -> Response:
        proxy = self._proxies.get(request.path_params["proxy"])
        return JSONResponse(toxic_fields(proxy.toxics.get(request.path_params["toxic"])))

    async def update_toxic(self, request: Request) -> Response:
        proxy, name = self._proxies.get(request.path_params["proxy"]), request.path_params["toxic"]
        placed = change_toxic(proxy, name, _fields(await _read(request)))
        return JSONResponse(toxic_fields(placed))

    async def delete_toxic(self, request: Request) -> Response:
        proxy = self._proxies.get(request.path_params["proxy"])
        proxy.toxics.remove(request.path_params["toxic"])
        return Response(status_code=204)


async def _read(request: Request) -> object:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise BadProxy(f"bad request body: it is no JSON ({error}).") from error


def _fields(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise BadProxy("bad request body: it must be an object.")
    return value


@asynccontextmanager
async def serve_api(proxies: Proxies, place: Place) -> AsyncIterator[Place]:
    """Serve the API for the length of the block, and say where. Raises `PortTaken`."""
    server = HttpServer(create_api(proxies), HttpLimits(), websocket=False)
    listener = Listener(place.host, place.port, serve=server.serve)
    try:
        listener.open()
    except AddressInUse as error:
        raise PortTaken(
            f"Cannot serve the API on {place}: the port is in use; stop what uses it or choose "
            "another with --api, 0 for any free one."
        ) from error
    except ListenError as error:
        raise PortTaken(f"Cannot serve the API on {place}; choose another with --api.") from error
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.run, lambda: None)
        try:
            yield Place(place.host, listener.address[1])
        finally:
            nursery.cancel_scope.cancel()

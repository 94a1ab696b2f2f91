"""`deployd serve --pods N`: from settings to a parent with its pods."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ...config import Config, Secrets
from ...transport import Listener, Refusal, bind
from ...transport.http import HttpServer
from ..process import ServiceManager, Signals, leave_at_once
from .all_metrics import merged
from .arbiter import Arbiter
from .own_nats import OwnNats
from .plan import planned, refuse_sharing
from .process import PodProcess, ask_pod

__all__ = ["serve_pods"]

_NO_WEBSOCKET = Refusal(404, "There is no WebSocket at this address, only metrics.")


def serve_pods(
    config: Config, keys: Secrets, count: int, arguments: Sequence[str], *, with_nats: bool
) -> None:
    """Serve one port with so many pods until told to stop; `arguments` are those of each.

    Raises `CannotShare`, `ListenError` or `NoNats`.
    """
    refuse_sharing(config, joined=with_nats, documents=_has_collections(config))
    with ExitStack() as stack:
        port = _port_of(stack.enter_context(_held(config.server.host, config.server.port)))
        looks = [_held("127.0.0.1", 0) for _ in range(count + with_nats)]
        addresses = [f"127.0.0.1:{_port_of(look)}" for look in looks[:count]]
        nats = None
        if with_nats:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="deployd-nats-"))
            nats = OwnNats(Path(folder), _port_of(looks[-1]))
        for look in looks:
            look.close()
        broker = nats.environ if nats else {}
        command = [sys.executable, "-P", "-m", "deployd.tools", "serve", *arguments]
        pods = [
            PodProcess(f"pods/{plan.name}", plan, command)
            for plan in planned(config, keys, port, addresses, broker)
        ]
        arbiter = Arbiter(config, pods, nats, _metrics(config, pods), port)
        trio.run(_run, arbiter)


async def _run(arbiter: Arbiter) -> None:
    signals = Signals(leave_at_once)
    with signals.heard():
        await arbiter.run(signals, ServiceManager(os.environ))


def _has_collections(config: Config) -> bool:
    folder = Path(config.collections.folder)
    return folder.is_dir() and any(each.is_dir() for each in folder.iterdir())


def _held(host: str, port: int) -> socket.socket:
    """Bind a port (0: any free one) without listening, so that pods alone listen there.

    Raises `ListenError`.
    """
    with bind(host, port, 1) as alone:  # pods of another parent would let us share it
        address = alone.getsockname()
        sock = socket.socket(alone.family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address)
    return sock


def _port_of(sock: socket.socket) -> int:
    port = sock.getsockname()[1]
    assert isinstance(port, int)  # noqa: S101 - of TCP it is
    return port


def _metrics(config: Config, pods: Sequence[PodProcess]) -> Listener | None:
    """Make what answers for all pods, where one address is to."""
    if not config.metrics.bind:
        return None

    async def said(request: Request) -> Response:
        del request
        texts: dict[str, str] = {}
        async with trio.open_nursery() as nursery:
            for pod in pods:
                nursery.start_soon(_ask, pod, texts)
        return PlainTextResponse(merged(dict(sorted(texts.items()))))

    host, _, port = config.metrics.bind.rpartition(":")
    app = Starlette(routes=[Route("/metrics", said)])
    server = HttpServer(app, on_upgrade=lambda _: _NO_WEBSOCKET, websocket=False)
    return Listener(host, int(port), serve=server.serve, options=("metrics.bind", "metrics.bind"))


async def _ask(pod: PodProcess, texts: dict[str, str]) -> None:
    """Add what a pod says; one that does not answer is missing, and `up` tells of it."""
    with suppress(OSError, HTTPException):
        status, text = await ask_pod(pod.plan.look, "/metrics")
        if status == HTTPStatus.OK:
            texts[pod.plan.name] = text

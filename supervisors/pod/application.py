"""A pod as an application: everything loaded, its tree run for the length of a block.

Source: OTP, "Applications".
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import trio
from starlette.types import ASGIApp

from ...actors import RoomFactory, contained, load_room_classes
from ...config import Config, Secrets, lead_into_logging, load_secrets, with_absolute_paths
from ...transport import NATIVE, ClientProtocol
from ...transport.brokers.contract import Broker
from ...transport.http import Mounted
from .assemble import assemble
from .keyboard import kept_for_the_main_task
from .pod import Pod

__all__ = ["open_pod"]


@asynccontextmanager
async def open_pod(
    config: Config | None = None,
    *,
    keys: Secrets | None = None,
    rooms: Mapping[str, RoomFactory] | None = None,
    dev: bool = False,
    broker: Callable[[], Broker] | None = None,
    stress_command: Sequence[str] | None = None,
    settings: Path | None = None,
    protocols: Sequence[ClientProtocol] = (NATIVE,),
    wall: Callable[[], float] = time.time,
    app: ASGIApp | None = None,
) -> AsyncIterator[Pod]:
    """Run a pod for the length of the block; leaving it drains the pod.

    `keys` are read from `config.server.data`, or generated there, when not given. `rooms`, classes
    or functions that make a room, are bound before those of the configuration. `dev` opens the
    read-only diagnostics to this machine. `broker` makes what joins this pod to others, instead of
    the configured one, for each incarnation of the link. `stress_command` is the program that root
    may start to put the pod under load, `deployd stress` or one with its options. `settings` is the
    file that the configuration came from: it is not served, wherever it lies. `protocols` are what
    clients may speak; those who ask for none in their handshake speak the first. `wall` returns the
    unix seconds by which rooms and tokens go. `app` is an ASGI application that answers what is not
    the pod's own on its port: on trio, with a lifespan around the pod's, and without WebSockets.

    Leaving the block stops accepting, after `drain.delay`, closes clients with 1012, paced over
    `drain.window`, and returns `drain.deadline` seconds later at the latest, but for `on_stop`
    hooks that still clean up then (`Actor.stop_deadline`). A block that is cancelled ends at once.
    Ctrl-C and `sys.exit` in the block drain the pod first; a second Ctrl-C ends it at once. In a
    room neither ends more than the room.

    Logging is left alone: what the pod says goes to `logging`, below the name `deployd`, unless the
    program has configured structlog. `deployd.config.configure_logging` is how a program asks for
    the lines that `config.logging` describes.

    Raises `RoomImportError`, `BrokerImportError`, `SecretsError`, `AddressInUse`, `ListenError` or
    `ApplicationNotStarted` before the block runs, and `IntensityExceeded` when the tree gives up.
    """
    config = with_absolute_paths(config or Config(), Path.cwd())
    lead_into_logging()
    rooms = rooms or {}
    configured = load_room_classes(config.rooms)
    bindings: dict[str, RoomFactory] = {
        **rooms,
        **{p: c for p, c in configured.items() if p not in rooms},
    }
    mounted = None if app is None else Mounted(app)
    parts = assemble(
        config,
        keys or _load_keys(config),
        bindings,
        dev=dev,
        broker=broker,
        stress_command=stress_command,
        settings=settings,
        protocols=protocols,
        wall=wall,
        mounted=mounted,
    )
    pod = Pod(parts)
    failures: list[BaseException] = []
    with kept_for_the_main_task():
        async with trio.open_nursery() as nursery:
            await nursery.start(_run, pod, mounted, failures, nursery.cancel_scope)
            if not failures:
                try:
                    yield pod
                except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001
                    failures.append(error)  # raised below, out of the nursery's groups
                finally:
                    pod.request_stop("pod stopping")
    if failures:
        raise failures[0]


async def _run(
    pod: Pod,
    mounted: Mounted | None,
    failures: list[BaseException],
    scope: trio.CancelScope,
    task_status: trio.TaskStatus[None],
) -> None:
    up = False

    def came_up() -> None:
        nonlocal up
        up = True
        task_status.started()

    def give_up(error: Exception) -> None:
        failures.append(contained(error))
        scope.cancel()
        if not up:
            task_status.started()

    try:
        async with nullcontext() if mounted is None else mounted.alive(pod.config.drain.deadline):
            try:
                await pod.run(came_up)
            except Exception as error:  # noqa: BLE001 - raised above, out of the nurseries' groups
                give_up(error)
    except Exception as error:  # noqa: BLE001 - as above
        give_up(error)
    finally:
        pod.parts.basis.own_name.release()


def _load_keys(config: Config) -> Secrets:
    return load_secrets(Path(config.server.data), os.environ)

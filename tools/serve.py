"""`deployd serve`: run a pod until it is told to stop."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import click
import trio

from ..actors import Room, RoomImportError
from ..config import Config, Secrets, bind_log_context, configure_logging, get_logger, load_secrets
from ..supervisors import Pod, open_pod
from .changes import files_behind, files_to_watch
from .common import (
    config_option,
    data_option,
    key_place,
    make_default_file,
    read_settings,
    screen,
    settings_file,
)
from .demo_room import DEMO_ROOMS
from .refused_rooms import load_what_goes
from .reload import imported_files, start_again, wait_for_change
from .signals import StopSignals
from .welcome import base_url, links, rows_of, welcome

DEV_DRAIN = 2.0
"""Seconds that a pod under development may take to stop at most; somebody waits for it."""

STRESS = (sys.executable, "-m", "deployd.tools", "stress")
"""What puts a pod under load, when root asks it to."""

_log = get_logger("serve")


@attrs.frozen
class Launch:
    """What to run. `reread` reads the settings anew, and raises `ConfigurationError`.

    `began` is when the process did, in nanoseconds since 1970.
    """

    config: Config
    keys: Secrets
    settings: Path | None
    dev: bool
    reread: Callable[[], object]
    began: int


@click.command()
@click.option("--host", help="Address to listen on, instead of server.host.")
@click.option("--port", type=int, help="Port, instead of server.port; 0 is any free one.")
@config_option
@data_option
@click.option("--chaos", is_flag=True, help="Let root give the pod faults (chaos.enabled); not for "
              "pods that anybody relies on.")  # fmt: skip
@click.option("--dev", is_flag=True, help="For people who write code: readable logs, a new start "
              "whenever a file is saved, diagnostics for this machine, a demo room.")  # fmt: skip
def serve(
    host: str | None, port: int | None, file: Path, data: str | None, chaos: bool, dev: bool
) -> None:
    """Run a pod until SIGTERM or Ctrl-C; it then lets its clients go and exits."""
    # Where room classes are found, as with `python -m`.
    sys.path.insert(0, os.getcwd())
    make_default_file(file)
    began = time.time_ns()
    given = {"server.host": host, "server.port": port, "server.data": data,
             "chaos.enabled": chaos or None}  # fmt: skip
    reread = partial(read_settings, file, os.environ, given)
    config = reread().config
    config = for_development(config) if dev else config
    configure_logging(config.logging, tty=sys.stderr.isatty(), stream=sys.stderr)
    keys = load_secrets(Path(config.server.data), os.environ)
    folder = os.getcwd()  # a script may change it
    if trio.run(run, Launch(config, keys, settings_file(file), dev, reread, began)):
        start_again(folder)


def for_development(config: Config) -> Config:
    """Change what a developer wants otherwise: readable logs, and no long goodbyes."""
    drain = config.drain
    return attrs.evolve(
        config,
        logging=attrs.evolve(config.logging, format="human"),
        drain=attrs.evolve(drain, window=0.0, deadline=min(drain.deadline, DEV_DRAIN)),
    )


async def run(launch: Launch) -> bool:
    """Run the pod until a signal, or until a developer saves a file; tell whether to start again.

    Returns when the pod is drained. A signal that comes while it drains wins.
    """
    signals = StopSignals(terminal=sys.stderr.isatty())
    with signals.heard():
        config, rooms = launch.config, dict[str, type[Room[Any]]]()
        refused: list[RoomImportError] = []
        try:
            if launch.dev:
                loaded, refused = load_what_goes(config.rooms)
                config = attrs.evolve(config, rooms={})
                rooms = {**DEMO_ROOMS, **loaded, **DEMO_ROOMS}  # in this order, which counts
            async with open_pod(
                config,
                keys=launch.keys,
                rooms=rooms,
                dev=launch.dev,
                stress_command=STRESS,
                settings=launch.settings,
            ) as pod:
                bind_log_context(pod=pod.pod_id)
                announce(launch, pod)
                await _until_told(launch, signals, files_of(launch, *refused))
        except RoomImportError as error:
            if not launch.dev:
                raise
            _log.error("the pod cannot start; mend the file and save it", reason=str(error))
            await _until_told(launch, signals, files_of(launch, error))
        return signals.first is None


def files_of(launch: Launch, *errors: RoomImportError) -> frozenset[Path]:
    """List the files whose change is worth a new start; of those that failed when imported too."""
    behind = [file for error in errors for file in files_behind(error, launch.config.rooms)]
    there = [file for file in behind if Path(file).parent.is_dir()]  # a folder has to be watched
    return files_to_watch(
        launch.settings, [*imported_files(), *there], Path.cwd(), Path(sys.prefix)
    )


def announce(launch: Launch, pod: Pod) -> None:
    """Say where the pod is: to people in lines to click on, to machines in one line of the log."""
    config = launch.config
    url = base_url(config.server.host, pod.port, tls=bool(config.tls.cert_file))
    data = Path(config.server.data)
    urls, key = links(url), key_place(data, os.environ)
    logging = launch.config.logging
    if logging.format == "json" or (logging.format == "auto" and not sys.stderr.isatty()):
        _log.info("serving", pod=pod.pod_id, **urls, master_key_is=key)
        return
    title = f"deployd {metadata.version('deployd')} · pod {pod.pod_id} · {url}"
    settings = str(launch.settings) if launch.settings else "all defaults"
    last = "Ctrl-C lets the clients go and stops; a second one stops at once."
    if launch.dev:
        last = f"Save a file and the pod starts again. {last}"
    text = welcome(title, rows_of(urls, key, settings), last)
    with suppress(OSError, SystemExit):  # nobody reads it, which rich takes for the end
        screen().print(text, soft_wrap=True)


async def _until_told(launch: Launch, signals: StopSignals, files: frozenset[Path]) -> None:
    async with trio.open_nursery() as nursery:
        if launch.dev:
            nursery.start_soon(_cancel_after_change, launch, files, nursery.cancel_scope)
        await signals.wait()
        nursery.cancel_scope.cancel()
    if signals.first is not None:
        _log.info("stopping", signal=signals.first.name, again="a second signal stops at once")


async def _cancel_after_change(
    launch: Launch, files: frozenset[Path], scope: trio.CancelScope
) -> None:
    await wait_for_change(files, launch.reread, launch.began)
    scope.cancel()

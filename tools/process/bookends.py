"""The first and the last line of a pod's log: what it is that starts, and why it has ended."""

from __future__ import annotations

import json
import os
import platform
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from ...config import Config, get_logger, logs_for_people
from ...documents.store import database_place

__all__ = ["Farewell", "leave_at_once", "tell_start"]

_log = get_logger("serve")


def tell_start(config: Config, settings: Path | None) -> None:
    """Say what it is that starts, before anything of it can fail."""
    _log.info(
        "starting",
        version=metadata.version("deployd"),
        python=platform.python_version(),
        settings=str(settings) if settings else "all defaults",
        listen=f"{config.server.host}:{config.server.port}",
        broker=_broker(config),
        store=_store(config),
        limits={
            "connections": config.limits.max_connections,
            "messages_per_second": config.limits.message_rate_limit,
            "handshakes_per_second": config.limits.accept_rate,
        },
        process=os.getpid(),
    )


@attrs.frozen
class Farewell:
    """Why a pod stops, since when (any steady seconds), and how many clients it had then."""

    reason: str
    since: float
    clients: int

    def say(self, now: float) -> None:
        """Say that it has stopped."""
        seconds = round(now - self.since, 3)
        _log.info("stopped", reason=self.reason, seconds=seconds, clients=self.clients)


def leave_at_once(code: int) -> None:
    """End the process without a goodbye, but with a last line; for the handler of a signal.

    The thread may hold the log's lock, so the line goes to stderr past it.
    """
    name = signal.Signals(code - 128).name
    event = f"stopped at once by a second signal, {name}"
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    line = f"{at} [warning  ] {event}"
    if not logs_for_people():
        fields = {"timestamp": at, "level": "warning", "component": "serve", "event": event}
        line = json.dumps(fields, separators=(",", ":"))
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())
    os._exit(code)


def _broker(config: Config) -> str:
    broker = config.broker
    if not broker.enabled or broker.type == "memory":
        return "none"
    section = getattr(broker, broker.type, None)  # a driver of one's own has no section
    places = ", ".join(_places(section))
    return f"{broker.type} at {places}" if places else broker.type


def _places(section: object) -> Iterator[str]:
    """Yield where the servers of a broker are: without who signs in."""
    url = urlsplit(getattr(section, "url", ""))
    nodes, sentinels = getattr(section, "nodes", ()), getattr(section, "sentinels", ())
    if sentinels:
        yield f"what the sentinels {', '.join(sentinels)} name"
    elif nodes:
        yield from nodes
    elif url.netloc:
        yield url.netloc.rpartition("@")[2]
    elif hasattr(section, "host"):
        yield f"{section.host}:{getattr(section, 'port', '')}"
    yield from getattr(section, "servers", ())


def _store(config: Config) -> str:
    if not config.store.url:
        return f"sqlite in {config.server.data}"
    return database_place(config.store.url)

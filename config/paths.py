"""The folders and files that settings name: where they lie, and which of them nobody else may see.

A relative path means another file as soon as somebody changes the process's folder, and any event
script can: SQLite would go on in a new and empty database. So they are fixed once, at the start.
"""

from pathlib import Path
from typing import Any

import attrs
from attrs import AttrsInstance

from .catalogue import ENTRIES
from .schema import Config

__all__ = ["private_paths", "with_absolute_paths"]


def with_absolute_paths(config: Config, folder: Path) -> Config:
    """Return the settings with each relative path taken from `folder`; empty ones stay so."""

    def absolute(path: str) -> str:
        return str(folder / path) if path else path  # an absolute one is what this gives

    def files(section: AttrsInstance) -> dict[str, Any]:
        names = [field.name for field in attrs.fields(type(section)) if _names_file(field.name)]
        return {name: absolute(getattr(section, name)) for name in names}

    server, collections, broker = config.server, config.collections, config.broker
    return attrs.evolve(
        config,
        server=attrs.evolve(server, data=absolute(server.data), public=absolute(server.public)),
        collections=attrs.evolve(collections, folder=absolute(collections.folder)),
        tls=attrs.evolve(config.tls, **files(config.tls)),
        logging=attrs.evolve(config.logging, **files(config.logging)),
        broker=attrs.evolve(
            broker,
            redis=attrs.evolve(broker.redis, **files(broker.redis)),
            rabbitmq=attrs.evolve(broker.rabbitmq, **files(broker.rabbitmq)),
            nats=attrs.evolve(broker.nats, **files(broker.nats)),
        ),
    )


def private_paths(config: Config) -> tuple[Path, ...]:
    """List the folders and files that the settings name and that hold secrets, data or code.

    Each setting whose name ends in `File` names one: keys, certificates, credentials, the log.
    """
    files = [e.value(config) for e in ENTRIES.values() if _names_file(e.names[-1])]
    named = [config.server.data, config.collections.folder, *map(str, filter(None, files))]
    return tuple(map(Path, named))


def _names_file(setting: str) -> bool:
    return setting == "file" or setting.endswith("_file")

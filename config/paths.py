"""The folders and files that settings name: where they lie, and which of them nobody else may see.

A relative path means another file as soon as somebody changes the process's folder, and any event
script can: SQLite would go on in a new and empty database. So they are fixed once, at the start.
"""

from pathlib import Path

import attrs

from .catalogue import ENTRIES
from .schema import Config

__all__ = ["private_paths", "with_absolute_paths"]


def with_absolute_paths(config: Config, folder: Path) -> Config:
    """Return the settings with each relative path taken from `folder`; empty ones stay so."""

    def absolute(path: str) -> str:
        return str(folder / path) if path else path  # an absolute one is what this gives

    server, collections, tls, broker = config.server, config.collections, config.tls, config.broker
    nats = attrs.evolve(
        broker.nats,
        ca_file=absolute(broker.nats.ca_file),
        credentials_file=absolute(broker.nats.credentials_file),
    )
    return attrs.evolve(
        config,
        server=attrs.evolve(server, data=absolute(server.data), public=absolute(server.public)),
        collections=attrs.evolve(collections, folder=absolute(collections.folder)),
        tls=attrs.evolve(tls, cert_file=absolute(tls.cert_file), key_file=absolute(tls.key_file)),
        broker=attrs.evolve(
            broker,
            redis=attrs.evolve(broker.redis, ca_file=absolute(broker.redis.ca_file)),
            rabbitmq=attrs.evolve(broker.rabbitmq, ca_file=absolute(broker.rabbitmq.ca_file)),
            nats=nats,
        ),
    )


def private_paths(config: Config) -> tuple[Path, ...]:
    """List the folders and files that the settings name and that hold secrets, data or code.

    Each setting whose name ends in `File` names one: keys, certificates, credentials.
    """
    files = [e.value(config) for e in ENTRIES.values() if e.names[-1].endswith("_file")]
    named = [config.server.data, config.collections.folder, *map(str, filter(None, files))]
    return tuple(map(Path, named))

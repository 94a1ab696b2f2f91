"""Where the files lie that settings name: fixed once, at the start.

A relative path means another file as soon as somebody changes the process's folder, and any event
script can: SQLite would go on in a new and empty database.
"""

from pathlib import Path

import attrs

from .schema import Config

__all__ = ["anchored"]


def anchored(config: Config, folder: Path) -> Config:
    """Return the settings with each relative path taken from `folder`; empty ones stay so."""

    def placed(path: str) -> str:
        return str(folder / path) if path else path  # an absolute one is what this gives

    server, collections, tls, broker = config.server, config.collections, config.tls, config.broker
    nats = attrs.evolve(
        broker.nats,
        ca_file=placed(broker.nats.ca_file),
        credentials_file=placed(broker.nats.credentials_file),
    )
    return attrs.evolve(
        config,
        server=attrs.evolve(server, data=placed(server.data), public=placed(server.public)),
        collections=attrs.evolve(collections, folder=placed(collections.folder)),
        tls=attrs.evolve(tls, cert_file=placed(tls.cert_file), key_file=placed(tls.key_file)),
        broker=attrs.evolve(
            broker,
            redis=attrs.evolve(broker.redis, ca_file=placed(broker.redis.ca_file)),
            rabbitmq=attrs.evolve(broker.rabbitmq, ca_file=placed(broker.rabbitmq.ca_file)),
            nats=nats,
        ),
    )

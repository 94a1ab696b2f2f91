"""Every configuration that the specification shows."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from deployd.config import Config, NetworkSettings, json_schema, load

Document = dict[str, object]
Fact = Callable[[Config], bool]

# What the specification shows, each with one of its facts.
SPECIFIED: dict[str, tuple[Document, Fact]] = {
    "basic": (
        {
            "enabled": True,
            "messageTTL": 3600,
            "broker": {"type": "memory", "enabled": False},
            "limits": {
                "maxConnections": 10000,
                "maxRoomsPerClient": 100,
                "messageRateLimit": 100,
                "pingInterval": 54,
                "pongTimeout": 10,
            },
        },
        lambda config: config == Config(),
    ),
    "memory broker": (
        {"broker": {"type": "memory", "enabled": False}},
        lambda config: config == Config(),
    ),
    "redis": (
        {
            "broker": {
                "type": "redis",
                "enabled": True,
                "redis": {
                    "host": "localhost",
                    "port": 6379,
                    "password": "",
                    "database": 0,
                    "prefix": "deployd:",
                },
            }
        },
        lambda config: config.broker.redis == Config().broker.redis,
    ),
    "rabbitmq": (
        {
            "broker": {
                "type": "rabbitmq",
                "enabled": True,
                "rabbitmq": {
                    "host": "localhost",
                    "port": 5672,
                    "username": "guest",
                    "password": "guest",
                    "vhost": "/",
                    "exchange": "deployd",
                },
            }
        },
        lambda config: config.broker.rabbitmq == Config().broker.rabbitmq,
    ),
    "nats": (
        {
            "broker": {
                "type": "nats",
                "enabled": True,
                "nats": {
                    "host": "localhost",
                    "port": 4222,
                    "username": "",
                    "password": "",
                    "subject": "deployd",
                },
            }
        },
        lambda config: config.broker.nats == Config().broker.nats,
    ),
    "production redis": (
        {
            "enabled": True,
            "broker": {
                "type": "redis",
                "enabled": True,
                "redis": {
                    "host": "redis-cluster.internal",
                    "port": 6379,
                    "password": "${REDIS_PASSWORD}",
                    "database": 0,
                    "prefix": "deployd:prod:",
                },
            },
            "limits": {"maxConnections": 1000, "messageRateLimit": 500, "maxRoomsPerClient": 50},
        },
        lambda config: config.broker.redis.password == "12345",
    ),
    "high throughput": (
        {
            "enabled": True,
            "broker": {
                "type": "nats",
                "enabled": True,
                "nats": {
                    "host": "nats-cluster.internal",
                    "port": 4222,
                    "subject": "deployd.events",
                },
            },
            "limits": {"maxConnections": 5000, "messageRateLimit": 1000},
        },
        lambda config: config.broker.nats.subject == "deployd.events",
    ),
    "ultra-high performance": (
        {
            "enabled": True,
            "broker": {
                "type": "nats",
                "enabled": True,
                "nats": {"host": "nats-jetstream-cluster", "port": 4222, "cluster": True},
            },
            "limits": {
                "maxConnections": 50000,
                "messageRateLimit": 2000,
                "maxRoomsPerClient": 20,
                "pingInterval": 30,
                "pongTimeout": 5,
            },
        },
        lambda config: config.broker.nats.cluster and config.limits.pong_timeout == 5,
    ),
    "geography": (
        {"broker": {"type": "redis", "redis": {"host": "redis-us-east", "prefix": "us-east:"}}},
        lambda config: config.broker.redis.prefix == "us-east:",
    ),
    "memory optimisation": (
        {
            "limits": {
                "maxConnections": 5000,
                "messageBufferSize": 256,
                "roomCleanupInterval": 300,
                "deadClientTimeout": 60,
            }
        },
        lambda config: config.limits.max_connections == 5000,
    ),
    "processor optimisation": (
        {
            "performance": {
                "workerPoolSize": 8,
                "batchMessageProcessing": True,
                "compressionEnabled": True,
                "keepAliveOptimization": True,
            }
        },
        lambda config: config == Config(),
    ),
    "network optimisation": (
        {
            "network": {
                "tcpNoDelay": True,
                "readBufferSize": 4096,
                "writeBufferSize": 4096,
                "compressionThreshold": 1024,
            }
        },
        # A default of 4096 would halve what a crowded room sends: CHANGELOG.md.
        lambda config: config == Config(network=NetworkSettings(write_buffer_size=4096)),
    ),
}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
@pytest.mark.parametrize(("document", "fact"), SPECIFIED.values(), ids=SPECIFIED)
def test_a_specified_configuration_loads(
    tmp_path: Path, document: Document, fact: Fact, suffix: str, wrapped: bool
) -> None:
    path = tmp_path / f"realtime{suffix}"
    whole = {"realtime": document} if wrapped else document
    path.write_text(json.dumps(whole) if suffix == ".json" else yaml.safe_dump(whole))

    assert fact(load(path, environ={"REDIS_PASSWORD": "12345"}).config)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("document", [shown[0] for shown in SPECIFIED.values()], ids=SPECIFIED)
def test_a_specified_configuration_fits_the_json_schema(document: Document, wrapped: bool) -> None:
    jsonschema.validate({"realtime": document} if wrapped else document, json_schema())

"""What the first line of a pod's log says of where it gets its things from."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from attrs import evolve

from deployd.config import Broker, Config, Nats, RabbitMQ, Redis, Store
from deployd.tools.process.bookends import tell_start


def started(config: Config) -> dict[str, Any]:
    with structlog.testing.capture_logs() as lines:
        tell_start(config, None)
    assert "hunter2" not in str(lines)
    return dict(lines[0])


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("", "sqlite in data"),
        ("postgresql://ann:hunter2@127.0.0.1:1/shop", "postgresql at 127.0.0.1:1/shop"),
        ("postgres://db/shop?password=hunter2&sslmode=require", "postgresql at db:5432/shop"),
        ("postgresql:///shop?host=/run/pg", "postgresql at /run/pg:5432/shop"),
        ("postgresql://ann:hunter2@[::1]/shop", "postgresql at ::1:5432/shop"),
        ("postgresql:///shop?host=a:1&host=b:2", "postgresql at a:1, b:2/shop"),
        ("sqlite:////srv/documents.db", "sqlite in /srv/documents.db"),
        ("postgresql://ann:hunter2@h:none/shop", "what store.url cannot say"),
        ("postgresql://ann:hunter2@[::1/shop", "what store.url cannot say"),
    ],
)
def test_where_documents_are_whatever_the_url_says(url: str, place: str) -> None:
    assert started(Config(store=Store(url=url)))["store"] == place


@pytest.mark.parametrize(
    ("broker", "place"),
    [
        (Broker(enabled=False, type="nats"), "none"),
        (Broker(type="memory"), "none"),
        (Broker(type="nats"), "nats at localhost:4222"),
        (Broker(type="nats", nats=Nats(servers=("b:1",))), "nats at localhost:4222, b:1"),
        (Broker(type="rabbitmq", rabbitmq=RabbitMQ(host="mq")), "rabbitmq at mq:5672"),
        (Broker(type="redis", redis=Redis(url="redis://:hunter2@r:7/1")), "redis at r:7"),
        (Broker(type="redis", redis=Redis(nodes=("a:1", "b:2"))), "redis at a:1, b:2"),
        (
            Broker(type="redis", redis=Redis(sentinels=("a:1",))),
            "redis at what the sentinels a:1 name",
        ),
        (Broker(type="shop.broker:Own", options={"key": "hunter2"}), "shop.broker:Own"),
    ],
)
def test_where_its_broker_is_and_never_how_it_signs_in(broker: Broker, place: str) -> None:
    if place != "none":
        broker = evolve(broker, enabled=True)
    assert started(Config(broker=broker))["broker"] == place

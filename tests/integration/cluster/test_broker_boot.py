"""How a pod starts: with a broker that is away, lets it in or not, or that nobody has written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from attrs import evolve

from deployd.config import Broker as BrokerSettings
from deployd.config import Config
from deployd.supervisors import open_pod
from deployd.transport import BrokerImportError
from deployd.transport.brokers.contract import Broker, Message
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus
from support.clients import KEYS, Client, connected, find_node, pod_config, until
from support.fake_broker import FakeBus

BUS = MemoryBus()


class Own(MemoryBroker):
    """A class of a user's own, found by its name."""

    made: BrokerSettings | None = None

    @classmethod
    def from_settings(cls, settings: BrokerSettings) -> Broker:
        cls.made = settings
        return cls(BUS, settings.options["prefix"])


class Broken(MemoryBroker):
    """A class of a user's own with a bug that comes out after a while."""

    @classmethod
    def from_settings(cls, settings: BrokerSettings) -> Broker:
        return cls(BUS)

    async def publish(self, batch: Sequence[Message]) -> None:
        raise ValueError("redis://:hunter2@redis.internal")


def configured(target: str, **broker: Any) -> Config:
    settings = BrokerSettings(
        type=target,
        enabled=True,
        notice_window=0.0,
        max_backoff=0.2,
        options={"prefix": "test."},
    )
    return evolve(pod_config(), broker=evolve(settings, **broker))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("no_such_module:Broker", "no_such_module"),
        ("deployd.transport.brokers:Nothing", "Nothing"),
        ("deployd.transport.brokers:Envelope", "subclass"),
    ],
)
async def test_a_broker_that_nobody_has_written_is_named_before_the_pod_starts(
    target: str, says: str
) -> None:
    with pytest.raises(BrokerImportError, match=says) as caught:
        async with open_pod(configured(target), keys=KEYS):
            raise AssertionError("it started")
    assert "broker.type" in str(caught.value)


async def test_a_class_of_ones_own_joins_pods() -> None:
    config = configured(f"{__name__}:Own")
    async with open_pod(config, keys=KEYS) as a, open_pod(config, keys=KEYS) as b:
        for pod in (a, b):
            link = pod.link
            assert link is not None
            await until(lambda link=link: link.state.degraded is None)  # type: ignore[misc]
        async with connected(a) as [ann], connected(b) as [bob]:
            await ann.join("tea")
            await bob.join("tea")
            await ann.send("emit", room="tea", event="said", data=1)
            await ann.expect("emit", data=1)
            await bob.expect("emit", data=1)
    assert Own.made == config.broker


async def skip_notices(client: Client, type_: str) -> dict[str, Any]:
    """Return the next message that is no notice, which must be of this type."""
    message = await client.receive()
    while str(message.get("event")).startswith("system:"):
        message = await client.receive()
    assert message["type"] == type_
    return message


async def test_a_class_with_a_bug_leaves_the_pod_and_its_own_clients_alone() -> None:
    config = configured(f"{__name__}:Broken", max_backoff=0.01)
    async with open_pod(config, keys=KEYS) as pod, connected(pod, 2) as [ann, bob]:
        link = pod.link
        assert link is not None
        await until(lambda: "ValueError" in link.state.breaker.reason)
        await until(lambda: find_node(pod.tree(), "pod/broker/link").restarts > 80)
        assert "hunter2" not in str(link.figures.health())
        for client in (ann, bob):
            await client.send("join", room="tea")
            await skip_notices(client, "join")
        await ann.send("emit", room="tea", event="said", data=1, id=1)
        assert (await skip_notices(bob, "emit"))["data"] == 1


async def test_a_pod_whose_password_is_refused_serves_its_own_and_says_what_to_set() -> None:
    bus = FakeBus()
    bus.refusing = True
    config = configured("x:Fake")
    async with open_pod(config, keys=KEYS, broker=bus.make) as pod:
        link = pod.link
        assert link is not None
        await until(lambda: link.state.breaker.state.value == "auth")
        async with connected(pod) as [ann]:
            notice = await ann.expect("emit", event="system:degraded")
            assert notice["data"]["code"] == "cut_off"
            await ann.join("tea")
            await ann.send("emit", room="tea", event="said", data=1, id=1)
            await ann.expect("emit", data=1)
            assert (await ann.expect("receipt", id=1))["data"]["scope"] == "local"
        assert bus.connections == 1


async def test_who_comes_before_the_first_try_is_over_is_told_so_and_told_when_it_is() -> None:
    bus = FakeBus()
    bus.freeze()
    with trio.fail_after(10):
        config = configured("x:Fake", timeout=60.0)
        async with (
            open_pod(config, keys=KEYS, broker=bus.make) as pod,
            connected(pod) as [ann],
        ):
            await ann.expect("emit", event="system:degraded")
            bus.thaw()
            healed = await ann.expect("emit", event="system:healed")
            assert healed["data"]["lost"] == 0


async def test_a_broker_that_is_away_does_not_hold_up_the_start() -> None:
    bus = FakeBus()
    bus.kill()
    with trio.fail_after(10):  # a start that waited for it would never end
        async with (
            open_pod(configured("x:Fake"), keys=KEYS, broker=bus.make) as pod,
            connected(pod) as [ann],
        ):
            await ann.expect("emit", event="system:degraded")
            bus.start()
            await ann.expect("emit", event="system:healed")


async def test_nobody_is_let_in_who_would_not_hear_the_other_pods(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("deployd.actors.rooms.attendance.HEARD_WITHIN", 0.1)
    bus = FakeBus()
    config = configured("x:Fake", timeout=60.0)
    async with open_pod(config, keys=KEYS, broker=bus.make) as pod:
        link = pod.link
        assert link is not None
        await until(lambda: link.state.degraded is None)
        async with connected(pod) as [ann]:
            bus.freeze()
            problem = await ann.ask("join", room="tea", id=1)
            assert (problem["type"], problem["data"]["code"]) == ("error", "room_busy")
            bus.thaw()
            await ann.join("tea")

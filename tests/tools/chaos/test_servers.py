"""Brokers of every kind and topology that the tool starts, and what can be done to each."""

from __future__ import annotations

import socket
from itertools import count
from pathlib import Path

import pytest

from deployd.tools.chaos.scenario import Trouble as ScenarioTrouble
from deployd.tools.chaos.scenario.broker_faults import BROKER_FAULTS
from deployd.tools.chaos.servers import (
    TOPOLOGIES,
    CannotBefall,
    Deployment,
    NoSuchBroker,
    brokers,
    free_port,
)
from support.deployments import Trouble, linked, refusal, regained, served, started

QUICK = [place for place in TOPOLOGIES if place[0] != "rabbitmq"]
"""Those that start within seconds; RabbitMQ has tests of its own."""


@pytest.fixture(params=QUICK, ids=" ".join)
def place(request: pytest.FixtureRequest, servers_wanted: None) -> tuple[str, str]:
    kind, topology = request.param
    return kind, topology


async def test_a_broker_serves_is_killed_frozen_and_stopped_and_serves_again(
    place: tuple[str, str], tmp_path: Path
) -> None:
    async with started(*place, tmp_path) as deployment:
        await served(deployment)
        await kill(deployment)
        await freeze(deployment)
        await stop(deployment)


async def kill(deployment: Deployment) -> None:
    async with linked(deployment, 0) as (_, heard):
        undo = await deployment.do(Trouble("broker.kill"))
        await heard.until_lost()
    assert not runs(deployment)
    assert undo is not None
    await undo()
    assert runs(deployment)
    await regained(lambda: served(deployment))


def runs(deployment: Deployment) -> bool:
    return deployment.servers[0].running


async def freeze(deployment: Deployment) -> None:
    undo = await deployment.do(Trouble("broker.freeze"))
    place = deployment.addresses[0]
    with socket.create_connection(place, 1) as sock:  # the system accepts, and nobody answers
        sock.settimeout(0.2)
        sock.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert undo is not None
    await undo()
    await regained(lambda: served(deployment))


async def stop(deployment: Deployment) -> None:
    servers = range(len(deployment.servers))
    async with linked(deployment, 0) as (_, heard):
        undo = await deployment.do(Trouble("broker.stop", servers=()))
        await heard.until_lost()
    assert undo is not None
    await undo()
    assert all(deployment.servers[each].running for each in servers)
    await regained(lambda: served(deployment))


async def test_what_was_killed_while_it_was_frozen_is_not_thawed(tmp_path: Path) -> None:
    async with started("nats", "single", tmp_path) as deployment:
        thaw = await deployment.do(Trouble("broker.freeze"))
        start = await deployment.do(Trouble("broker.kill"))
        assert thaw is not None
        assert start is not None
        await thaw()
        assert not deployment.servers[0].running
        await start()
        await served(deployment)


async def test_what_was_done_and_never_undone_is_undone_when_all_is_restored(
    tmp_path: Path,
) -> None:
    async with started("nats", "cluster", tmp_path) as deployment:
        await deployment.do(Trouble("broker.limit"))
        await deployment.do(Trouble("broker.split"))
        undo = await deployment.do(Trouble("broker.kill", servers=(0,)))
        await deployment.do(Trouble("broker.freeze", servers=(1,)))
        await deployment.restore()
        await deployment.do(Trouble("broker.kill", servers=(0,)))
        assert undo is not None
        await undo()  # that of another time
        assert not runs(deployment)
        again = await deployment.do(Trouble("broker.kill", servers=(1,)))
        assert again is not None
        await again()
        deployment.servers[1].kill()
        await again()  # it has been
        assert not deployment.servers[1].running
        await deployment.restore()
        await served(deployment)
        async with linked(deployment, 0) as (broker, _):
            assert broker.max_payload == 1024 * 1024


async def test_a_pod_is_told_the_addresses_of_proxies(
    place: tuple[str, str], tmp_path: Path
) -> None:
    async with started(*place, tmp_path) as deployment:
        through = {own: own._replace(port=1000 + n) for n, own in enumerate(deployment.addresses)}
        told = str(deployment.settings(0, through=through, roam=True))
        assert "100" in told
        assert not any(str(own.port) in told for own in deployment.addresses)


async def test_what_cannot_be_done_is_a_sentence(place: tuple[str, str], tmp_path: Path) -> None:
    async with started(*place, tmp_path) as deployment:
        for name in ("broker.forget", "broker.disk_full", "broker.nonsense"):
            sentence = deployment.cannot(Trouble(name))
            assert sentence is not None
            assert sentence.endswith(".")
            with pytest.raises(CannotBefall):
                await deployment.do(Trouble(name))
        assert deployment.cannot(Trouble("broker.kill")) is None


def every_fault() -> list[tuple[str, str, type[ScenarioTrouble]]]:
    return [
        (kind, topology, fault)
        for kind, topology in TOPOLOGIES
        for fault in BROKER_FAULTS
        if kind in fault.brokers and topology in fault.topologies
    ]


@pytest.mark.parametrize(("kind", "topology", "fault"), every_fault())
def test_every_fault_that_scenarios_have_can_be_done_or_it_is_said_why_not(
    kind: str, topology: str, fault: type[ScenarioTrouble], tmp_path: Path
) -> None:
    deployment = TOPOLOGIES[kind, topology](topology, 3, tmp_path, ("plain",))
    sentence = deployment.cannot(fault())
    if sentence is not None:
        assert "is nothing that" not in sentence
        assert sentence[-1] == "."


@pytest.mark.parametrize(
    ("kind", "topology", "count"),
    [
        ("nats", "sentinel", 3),
        ("kafka", "single", 3),
        ("nats", "cluster", 1),
        ("redis", "cluster", 99),
    ],
)
async def test_there_is_no_such_broker(
    kind: str, topology: str, count: int, tmp_path: Path
) -> None:
    with pytest.raises(NoSuchBroker):
        async with brokers(kind, topology, count, tmp_path):
            pass


async def test_pods_of_a_cluster_are_spread_over_its_servers(tmp_path: Path) -> None:
    async with started("nats", "cluster", tmp_path) as deployment:
        own = [deployment.settings(pod)["nats"] for pod in range(4)]
        assert own[0] != own[1] != own[2] != own[0]
        assert own[3]["port"] == own[0]["port"]  # type: ignore[index]


async def test_a_killed_server_of_three_leaves_the_others_joined(tmp_path: Path) -> None:
    async with started("nats", "cluster", tmp_path) as deployment:
        await deployment.do(Trouble("broker.kill", servers=(0,)))
        await served(deployment, 1, 2)
        assert "connect" in str(await refusal(deployment, 0)).lower()


def test_no_port_is_given_away_twice_though_nobody_listens_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = (number // 3 for number in count(15_000))
    monkeypatch.setattr("secrets.randbelow", lambda _: next(drawn))

    assert free_port() != free_port()

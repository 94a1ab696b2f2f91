"""Pods in one process, joined by a broker that fails: what their clients see."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from support.clients import connected, pod_config
from support.fake_broker import FakeBus
from support.joined import two_pods


async def test_what_is_said_on_one_pod_is_heard_on_the_other_once() -> None:
    bus = FakeBus()
    async with two_pods(bus) as (a, b), connected(a) as [ann], connected(b) as [bob]:
        await ann.join("tea")
        await bob.join("tea")
        await ann.send("emit", room="tea", event="said", data={"n": 1}, id=7)
        mine = await ann.expect("emit", event="said", data={"n": 1}, room="tea")
        receipt = await ann.expect("receipt", id=7)
        theirs = await bob.expect("emit", event="said", data={"n": 1}, room="tea")
        assert receipt["data"] == {"scope": "cluster", "id": mine["meta"]["id"]}
        assert theirs["meta"]["id"] == mine["meta"]["id"]
        await bob.send("emit", room="tea", event="said", data=2)
        await ann.expect("emit", data=2)
        await bob.expect("emit", data=2)


async def test_a_killed_broker_is_told_and_comes_back_with_an_account() -> None:
    bus = FakeBus()
    async with two_pods(bus) as (a, b), connected(a) as [ann], connected(b) as [bob]:
        for client in (ann, bob):
            await client.join("tea")
            await client.join("kept-1")
            await client.join("strict-1")
        await ann.send("emit", room="tea", event="said", data=0)
        await ann.expect("emit", data=0)
        await bob.expect("emit", data=0)
        bus.kill()
        for client in (ann, bob):
            notice = await client.expect("emit", event="system:degraded")
            assert notice["data"]["code"] == "cut_off"
            assert "connection" not in notice["data"]["reason"]
        await ann.send("emit", room="tea", event="said", data=1, id=1)
        await ann.expect("emit", data=1)
        assert (await ann.expect("receipt", id=1))["data"]["scope"] == "local"
        for n in range(3):
            await ann.send("emit", room="kept-1", event="said", data=n, id=n)
            await ann.expect("emit", data=n)
            assert (await ann.expect("receipt", id=n))["data"]["scope"] == "queued"
        answer = await ann.ask("emit", room="strict-1", event="said", data=1, id=9)
        assert (answer["type"], answer["data"]["code"]) == ("error", "cut_off")
        bus.start()
        heard = [await bob.receive() for _ in range(4)]
        replayed = [m for m in heard if m.get("room") == "kept-1"]
        assert [(m["data"], m["meta"].get("replayed")) for m in replayed] == [
            (n, True) for n in range(3)
        ]
        assert [m["event"] for m in heard if m not in replayed] == ["system:healed"]
        healed = await ann.expect("emit", event="system:healed")
        assert (healed["data"]["lost"], healed["data"]["replayed"]) == (1, 3)
        for event in ("system:degraded", "system:healed"):  # Ann's 1 in the room of tea
            gap = await bob.expect("emit", event=event, room="tea")
            assert (gap["data"]["code"], gap["data"]["missed"]) == ("missed", 1)
        await ann.send("emit", room="tea", event="said", data=5, id=5)
        await ann.expect("emit", data=5)
        assert (await ann.expect("receipt", id=5))["data"]["scope"] == "cluster"
        await bob.expect("emit", data=5)
        assert b.link is not None
        assert b.link.figures.health()["missed"] == 1


async def test_what_is_queued_on_a_pod_that_stops_without_a_data_folder_is_declared_lost(
    tmp_path: Path,
) -> None:
    bus, config = FakeBus(), pod_config()
    config = evolve(config, server=evolve(config.server, data=str(tmp_path / "none")))
    async with two_pods(bus, config=config) as (a, b), connected(a) as [ann], connected(b):
        await ann.join("kept-1")
        bus.kill()
        await ann.expect("emit", event="system:degraded")
        ids = []
        for n in range(3):
            await ann.send("emit", room="kept-1", event="said", data=n, id=n)
            await ann.expect("emit", data=n)
            receipt = (await ann.expect("receipt", id=n))["data"]
            assert receipt["scope"] == "queued"
            ids.append(receipt["id"])
        a.request_stop("the test says so")
        lost = await ann.expect("emit", event="system:lost")
        assert lost["data"]["ids"] == ids
        assert lost["data"]["count"] == 3
        assert a.link is not None
        assert a.link.state.counters.cut_off == 3

"""What the tool does to NATS, as a pod's driver sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from deployd.tools.chaos.servers import CannotBefall, Deployment
from deployd.transport import BrokerRefused, BrokerUnavailable, MessagesRefused, MessageTooLarge
from support.deployments import PLAIN, Trouble, linked, refusal, regained, served, started

SPLIT = 1.0
"""Seconds in which nothing comes over a road that is cut."""


@pytest.fixture(autouse=True)
def _wanted(servers_wanted: None) -> None:
    """All of these need servers."""


async def test_a_pod_may_say_nothing_in_a_room_and_another_may(tmp_path: Path) -> None:
    async with (
        started("nats", "single", tmp_path) as deployment,
        linked(deployment, 0) as (one, heard),
        linked(deployment, 1) as (two, _),
    ):
        undo = await deployment.do(Trouble("broker.deny", pods=(0,)))
        with pytest.raises(MessagesRefused):
            await one.publish([(PLAIN, b"denied")])
        await two.publish([(PLAIN, b"said")])
        await heard.until_heard(1)
        assert undo is not None
        await undo()
        await one.publish([(PLAIN, b"again")])
        await heard.until_heard(2)
        assert [payload for _, payload in heard.messages] == [b"said", b"again"]
        assert not heard.losses


async def test_a_subscription_is_ended_and_told_and_may_be_made_anew(tmp_path: Path) -> None:
    async with (
        started("nats", "single", tmp_path) as deployment,
        linked(deployment, 0) as (one, heard),
    ):
        assert await deployment.do(Trouble("broker.unsubscribe", pods=(0,))) is None
        await heard.until(lambda: heard.silent == [PLAIN])
        await one.subscribe([PLAIN])
        await one.publish([(PLAIN, b"heard")])
        await heard.until_heard(1)


async def test_a_limit_holds_until_all_is_restored(tmp_path: Path) -> None:
    async with (
        started("nats", "single", tmp_path) as deployment,
        linked(deployment, 0) as (one, _),
    ):
        assert await deployment.do(Trouble("broker.limit", size=2000)) is None
        with pytest.raises((BrokerUnavailable, MessageTooLarge)):
            await one.publish([(PLAIN, bytes(3000))])
        async with linked(deployment, 0) as (again, _):
            assert again.max_payload == 2000


async def test_a_full_server_cuts_pods_and_takes_none(tmp_path: Path) -> None:
    async with started("nats", "single", tmp_path) as deployment:
        async with linked(deployment, 0) as (_, zero), linked(deployment, 1) as (_, one):
            undo = await deployment.do(Trouble("broker.full"))
            with trio.fail_after(5):
                while not zero.losses and not one.losses:  # noqa: ASYNC110 - two may tell
                    await trio.sleep(0.01)
        assert undo is not None
        assert "maximum connections" in str(await refusal(deployment, 3))
        await undo()
        await served(deployment)


async def test_a_password_that_has_changed_is_a_refusal(tmp_path: Path) -> None:
    async with started("nats", "single", tmp_path) as deployment:
        async with linked(deployment, 0) as (_, heard):
            undo = await deployment.do(Trouble("broker.password"))
            await heard.until_lost()
        assert isinstance(await refusal(deployment, 0), BrokerRefused)
        assert undo is not None
        await undo()
        await served(deployment)


async def test_every_connection_is_called_stale(tmp_path: Path) -> None:
    async with started("nats", "single", tmp_path) as deployment:
        stale = Trouble("broker.answer", error="Stale Connection")
        async with linked(deployment, 0) as (_, heard):
            undo = await deployment.do(stale)
            await heard.until_lost()
        assert "stale" in str(heard.losses[0]).lower()
        assert "stale" in str(await refusal(deployment, 1)).lower()
        assert undo is not None
        await undo()
        await served(deployment)
        with pytest.raises(CannotBefall):
            await deployment.do(Trouble("broker.answer", error="LOADING"))


async def test_two_servers_that_are_split_do_not_hear_each_other_and_the_third_hears_both(
    tmp_path: Path,
) -> None:
    async with started("nats", "cluster", tmp_path) as deployment:
        for pair in ((0, 1), (2, 1)):
            await split(deployment, *pair)


async def split(deployment: Deployment, server: int, other: int) -> None:
    [third] = {0, 1, 2} - {server, other}
    await served(deployment, server, other)
    async with (
        linked(deployment, server) as (one, _),
        linked(deployment, other) as (_, parted),
        linked(deployment, third) as (_, beside),
    ):
        undo = await deployment.do(Trouble("broker.split", server=server, other=other))
        with trio.move_on_after(SPLIT):
            while True:
                await one.publish([(PLAIN, b"split")])
                await trio.sleep(0.1)
        assert not parted.messages
        assert beside.messages
        assert undo is not None
        await undo()
    await served(deployment, server, other)


async def test_a_stranger_writes_rubbish_and_what_pods_said_until_it_leaves(
    tmp_path: Path,
) -> None:
    async with (
        started("nats", "single", tmp_path) as deployment,
        linked(deployment, 0) as (one, heard),
    ):
        deployment.signed = True
        undo = await deployment.do(Trouble("broker.stranger"))
        await heard.until_heard(1)  # it is there, and remembers what it hears
        await one.publish([(PLAIN, b"a pod's")])
        await heard.until(lambda: [each for _, each in heard.messages].count(b"a pod's") > 1)
        assert any(each != b"a pod's" for _, each in heard.messages)
        assert undo is not None
        await undo()
        await trio.sleep(0.5)  # what is on its way
        before = len(heard.messages)
        await trio.sleep(1)
        assert len(heard.messages) == before


async def test_a_pod_that_roams_knows_all_servers(tmp_path: Path) -> None:
    async with started("nats", "cluster", tmp_path) as deployment:
        await deployment.do(Trouble("broker.kill", servers=(0,)))
        await regained(lambda: heard_elsewhere(deployment))


async def heard_elsewhere(deployment: Deployment) -> None:
    async with linked(deployment, 0, roam=True) as (one, heard):
        await one.publish([(PLAIN, b"here")])
        await heard.until_heard(1)

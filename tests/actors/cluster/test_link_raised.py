"""A broker of somebody's own may raise anything: it costs the link, and nothing of the pod."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
import trio

from support import connected, find_node, running_pod
from support.fake_broker import FakeBroker, FakeBus
from support.raised import RAISED, Unshowable, nothing_escapes

CALLS = ["__init__", "connect", "subscribe", "publish", "close"]

KINDS = [name for name in RAISED if RAISED[name] is not Unshowable and name != "cancelled"]
"""The link works in nurseries: trio itself ends of the first, and takes the second for its own."""


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", KINDS)
async def test_what_a_broker_raises_trips_the_breaker_and_harms_no_client(
    name: str, call: str
) -> None:
    bus = FakeBus()

    async def fail(self: Any, *args: Any) -> None:
        raise RAISED[name]()

    def fail_at_once(self: Any, *args: Any) -> None:
        raise RAISED[name]()

    broken = type("Broken", (FakeBroker,), {call: fail_at_once if call == "__init__" else fail})
    with structlog.testing.capture_logs(), nothing_escapes():
        async with (
            running_pod(broker=lambda: broken(bus)) as pod,
            connected(pod) as [client],
        ):
            await client.send("join", room="tea", id=1)
            await client.send("emit", room="tea", event="said", id=2)
            awaited = {("join", 1), ("emit", None), ("receipt", 2)}
            while awaited:  # of the outage clients are told in between
                message = await client.receive()
                if message.get("event", "said") == "said":
                    awaited.discard((message["type"], message.get("id")))
            if call != "close":
                with trio.fail_after(10):
                    while find_node(pod.tree(), "pod/broker/link").incarnation < 3:  # noqa: ASYNC110
                        await trio.sleep(0.01)
                assert str(pod.parts.health.links()[0]["reason"]).startswith("the link failed with")
            assert pod.connections() == 1
            assert pod.parts.root.restarted == 0

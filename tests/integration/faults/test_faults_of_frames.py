"""One frame of a conversation with a real broker is lost, repeated or late: and then?

The broker is as well as ever.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from deployd.tools.chaos.proxy import (
    CutFrame,
    DelayFrames,
    DropFrames,
    DuplicateFrames,
    FrameToxic,
)
from support.clients import until
from support.outages import Scene, on, scene

MESSAGE = {"nats": "MSG", "redis": "message", "rabbitmq": "basic.deliver"}
"""How a broker hands on what was said."""

ROOM = {"nats": "*room.tea", "redis": "*room.tea", "rabbitmq": "*.room"}
"""The subject, the channel and the exchange of it."""


@pytest.fixture(params=["nats", "redis", "rabbitmq"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(f"{kind}_server")


def struck(it: Scene, times: int) -> bool:
    """Whether the toxic of the far pod was used so often."""
    return all(placed.uses.count >= times for placed in it.far.toxics)


async def test_a_message_that_comes_twice_is_heard_once(kind: str, server: Any) -> None:
    async with scene(kind, server, frames=True) as it:
        await it.fault(on(it.far, DuplicateFrames(verb=MESSAGE[kind], subject=ROOM[kind])))
        await until(partial(struck, it, 10))
        it.far.toxics.clear()
        await it.hears_more()
        assert it.trips() == [0, 0]
        assert len(set(it.talk.bob)) == len(it.talk.bob)


async def test_a_message_that_does_not_come_is_told_as_missed(kind: str, server: Any) -> None:
    async with scene(kind, server, frames=True) as it:
        toxic = DropFrames(verb=MESSAGE[kind], subject=ROOM[kind], every=2, times=2)
        await it.fault(on(it.far, toxic))
        await until(lambda: bool(it.talk.told) and it.talk.told[-1][0] == "system:healed")
        await it.hears_more()
        assert struck(it, 2)
        assert it.trips() == [0, 0]


@pytest.mark.parametrize(
    ("kind", "toxic"),
    [
        # A later confirm may be of this message, too, so that one alone is missed by nobody.
        ("rabbitmq", DropFrames(reply_to="basic.publish")),
        ("redis", DropFrames(reply_to="PUBLISH", times=1)),
        ("redis", DelayFrames(reply_to="PUBLISH", delay=1500, times=1)),
        ("nats", DelayFrames(reply_to="PING", delay=1500, times=1)),
        ("nats", CutFrame(verb="MSG", times=1)),
    ],
    ids=["confirm", "reply", "late reply", "late pong", "half a message"],
    indirect=["kind"],
)
async def test_an_answer_that_does_not_come_in_time_is_an_outage_that_heals(
    kind: str, server: Any, toxic: FrameToxic
) -> None:
    async with scene(kind, server, frames=True) as it:
        await it.fault(on(it.proxies[0], toxic))  # of the pod on which Ann speaks
        await until(lambda: it.trips()[0] > 0)
        it.proxies[0].toxics.clear()
        await it.healed()

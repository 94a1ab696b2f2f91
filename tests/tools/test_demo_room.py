from __future__ import annotations

from structlog.testing import capture_logs

from deployd.tools.demo_room import DEMO_ROOMS
from support import connected, running_pod

ROOM = "self-test-1"


async def test_the_demo_room_tells_who_comes_in_what_there_is_and_repeats_what_it_hears() -> None:
    async with running_pod(rooms=DEMO_ROOMS) as pod, connected(pod, 2) as [ann, ben]:
        await ann.join(ROOM)
        await ann.expect("emit", event="welcome", data={"incarnation": 1, "members": 1, "heard": 0})
        await ann.send("emit", room=ROOM, event="hello", data=[1])
        await ann.expect("emit", event="hello", data=[1])
        await ben.join(ROOM)
        await ben.expect("emit", event="welcome", data={"incarnation": 1, "members": 2, "heard": 1})


async def test_a_crash_goes_to_its_sender_and_everybody_stays() -> None:
    back = {"incarnation": 2, "members": 2, "heard": 1}
    with capture_logs():
        async with running_pod(rooms=DEMO_ROOMS) as pod, connected(pod, 2) as [ann, ben]:
            for client in (ann, ben):
                await client.join(ROOM)
                await client.expect("emit", event="welcome")
            await ann.send("emit", room=ROOM, event="hello", data=1)
            await ben.expect("emit", event="hello")
            await ann.expect("emit", event="hello")
            await ann.send("emit", room=ROOM, event="crash", id=7)
            assert {(await ann.receive())["type"] for _ in range(2)} == {"error", "emit"}
            await ben.expect("emit", event="back", data=back)
            await ben.send("emit", room=ROOM, event="hello", data=2)
            await ann.expect("emit", event="hello", data=2)


async def test_no_other_room_is_a_demo_room() -> None:
    async with running_pod(rooms=DEMO_ROOMS) as pod:
        assert pod.rooms.is_bound("self-test-demo")
        assert not pod.rooms.is_bound("chat-1")

"""What no client's outbox would take is refused where it is said, with one pod as with many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from deployd.actors import Hub, Member, Receipt, Room
from deployd.transport import JSON, WireError
from support import connected, pod_config, running_pod

BUFFER = 60_000
LARGE = "x" * BUFFER
FIGURES = "1e15," * 6_000  # 30 kB as a client writes them, 100 kB when written again


async def now(receipt: Receipt) -> Receipt:
    return receipt


HUB: dict[str, Callable[[Hub], Awaitable[Receipt]]] = {
    "emit_to_all": lambda hub: now(hub.emit_to_all("big", LARGE)),
    "send_to_all": lambda hub: hub.send_to_all("big", LARGE),
    "emit_to_room": lambda hub: now(hub.emit_to_room("tea", "big", LARGE)),
    "send_to_room": lambda hub: hub.send_to_room("tea", "big", LARGE),
    "emit_collection_change": lambda hub: now(
        hub.emit_collection_change("todos", "created", LARGE)
    ),
    "send_collection_change": lambda hub: hub.send_collection_change(
        "todos", "created", LARGE, 1, {}
    ),
}


@pytest.mark.parametrize("call", HUB)
async def test_what_the_hub_says_too_largely_is_rejected_and_closes_nobody(call: str) -> None:
    async with running_pod(pod_config(max_buffer_bytes=BUFFER)) as pod, connected(pod) as [ada]:
        for room in ("tea", "collection:todos", "collections"):
            await ada.join(room)
        receipt = await HUB[call](pod.hub)
        assert receipt.scope == "rejected"
        assert "limits.maxBufferBytes" in receipt.reason
        if "change" in call:  # it has happened: who listens is told that it was missed
            rooms = {
                (await ada.expect("emit", event=event))["room"]
                for _ in range(2)
                for event in ("system:degraded", "system:healed")
            }
            assert rooms == {"collection:todos", "collections"}
        pod.hub.emit_to_room("tea", "small", 1)
        await ada.expect("emit", event="small", data=1)


class Loud(Room):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        says: dict[str, Callable[[], object]] = {
            "broadcast": lambda: self.broadcast("big", LARGE),
            "local": lambda: self.broadcast("big", LARGE, local=True),
            "relay": lambda: self.relay("big", LARGE),
            "send_to": lambda: self.send_to(member, "big", LARGE),
            "multicast": lambda: self.multicast([member], "big", LARGE),
        }
        try:
            says[event]()
        except WireError as error:
            self.broadcast("refused", [error.code, error.sentence])


@pytest.mark.parametrize("call", ["broadcast", "local", "relay", "send_to", "multicast"])
async def test_what_a_hook_says_too_largely_is_an_error_at_the_call(call: str) -> None:
    config = pod_config(max_buffer_bytes=BUFFER)
    async with running_pod(config, rooms={"tea": Loud}) as pod, connected(pod) as [ada]:
        await ada.join("tea")
        await ada.send("emit", room="tea", event=call, data=1)
        refused = await ada.expect("emit", event="refused")
        assert refused["data"][0] == "too_large"
        assert "limits.maxBufferBytes" in refused["data"][1]
        assert refused["meta"]["seq"] == 1  # what was not said took no number


@pytest.mark.parametrize("room", ["tea", None])
@pytest.mark.parametrize("data", ['"' + LARGE + '"', f"[{FIGURES}1]"], ids=["long", "grows"])
async def test_what_a_client_says_too_largely_is_refused_to_it_alone(
    room: str | None, data: str
) -> None:
    config = pod_config(max_buffer_bytes=BUFFER, max_message_bytes=4 * BUFFER)
    async with running_pod(config) as pod, connected(pod, 2) as [ada, ben]:
        await ada.ask("auth", token=pod.tokens.sign("ada", username="Ada", is_root=False, ttl=60.0))
        for client in (ada, ben):
            await client.join("tea")
        where = "" if room is None else f'"room":"{room}",'
        await ada.send_raw(f'{{"type":"emit",{where}"event":"big","id":7,"data":{data}}}')
        error = await ada.expect("error", id=7)
        assert error["data"]["code"] == "too_large"
        assert "limits.maxBufferBytes" in error["error"]
        pod.hub.emit_to_all("small", 1)
        for client in (ada, ben):
            await client.expect("emit", event="small", data=1)

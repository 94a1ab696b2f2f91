"""Who hears what the link brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import trio
from attrs import define, field

from deployd.actors import (
    Audience,
    Degraded,
    Healed,
    Mailbox,
    Notices,
    OutageCode,
    Overflow,
    Rooms,
    Roster,
)
from deployd.actors.rooms.roster import RemoteEmits
from deployd.actors.runtime.dead_letters import DeadLetters
from deployd.actors.runtime.recipient import Recipient
from deployd.transport import JSON, Event

SAID = Event("tea", "said", b"1", "id", 1, 0.0, "other")


@define
class Told:
    """Stands for the pod's rooms and for the notices: it writes down what it is told."""

    heard: list[object] = field(factory=list)
    full: int = 0

    def deliver(self, room: str, events: Sequence[Event], nbytes: int) -> int:
        self.heard.append((room, list(events), nbytes))
        return self.full

    async def deliver_in_turn(self, room: str, events: Sequence[Event], nbytes: int) -> int:
        await trio.lowlevel.checkpoint()
        return self.deliver(room, events, nbytes) - 1

    def missed(self, room: str, count: int, since: float) -> None:
        self.heard.append((room, count, since))

    def tell_all(self, message: Degraded | Healed) -> None:
        self.heard.append(message)

    def tell(self, event: str, data: JSON, for_root: JSON = None) -> None:
        self.heard.append((event, data, for_root))


def audience() -> tuple[Audience, Told, Told, Mailbox[Any], Roster[Any]]:
    mailbox: Mailbox[Any] = Mailbox(max_messages=1, overflow=Overflow.BLOCK)
    everyone = Recipient("everyone", mailbox, DeadLetters()).ref
    rooms, notices, roster = Told(), Told(), Roster[Any](name=None)
    made = Audience(cast("Rooms", rooms), everyone, roster, cast("Notices", notices))
    return made, rooms, notices, mailbox, roster


async def test_what_is_said_in_a_room_is_handed_to_it_and_what_it_has_no_place_for_is_known() -> (
    None
):
    it, rooms, _, mailbox, _ = audience()
    rooms.full = 2
    assert it.deliver("tea", [SAID, SAID], 20) == 2
    assert await it.deliver_in_turn("tea", [SAID], 10) == 1
    it.missed("tea", 3, 7.0)
    assert rooms.heard == [("tea", [SAID, SAID], 20), ("tea", [SAID], 10), ("tea", 3, 7.0)]
    assert not mailbox


async def test_what_is_said_to_everyone_goes_to_the_room_of_all_connections() -> None:
    it, rooms, _, mailbox, roster = audience()
    event = SAID._replace(room=None)
    assert it.deliver(None, [event], 10) == 0
    assert it.deliver(None, [event, event], 20) == 2  # its mailbox is full
    with trio.move_on_after(0.01) as too_full:
        await it.deliver_in_turn(None, [event], 10)
    assert too_full.cancelled_caught
    assert mailbox.pop() == RemoteEmits([event], 10)
    assert await it.deliver_in_turn(None, [event, event], 20) == 0
    it.missed(None, 3)
    assert roster.undelivered == 3
    assert rooms.heard == []


async def test_an_outage_is_told_to_all_rooms_and_clients_and_the_detail_to_root_alone() -> None:
    it, rooms, notices, _, _ = audience()
    outage = Degraded(OutageCode.CUT_OFF, 5.0, "redis:6379 refused")
    healed = Healed(5.0, 2.0, 1, 2, 3)
    it.degraded(outage)
    it.healed(healed)
    assert rooms.heard == [outage, healed]
    assert notices.heard == [
        ("system:degraded", outage.to_json(), outage.to_json(root=True)),
        ("system:healed", healed.to_json(), None),
    ]
    assert "6379" not in str(notices.heard[0][1])  # type: ignore[index]

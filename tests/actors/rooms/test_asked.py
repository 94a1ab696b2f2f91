"""What a hook may know of what was said: whose id it has, and from which pod it is."""

from __future__ import annotations

from trio.testing import MockClock

from deployd.actors import JSON, Member, Room, on
from deployd.testing import open_room


class Echo(Room[list[JSON]]):
    keep_alive = True

    def initial_state(self) -> list[JSON]:
        return []

    def note(self) -> None:
        asked = self.asked
        self.state.append([type(asked.id).__name__, bool(asked.event_id), bool(asked.origin)])

    async def on_start(self) -> None:
        self.note()

    @on("say")
    async def say(self, member: Member, what: str) -> str:
        self.note()
        self.broadcast("said", what)
        return self.asked.event_id

    async def on_server_emit(self, event: str, data: JSON) -> None:
        self.note()

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        self.note()


async def test_a_hook_knows_the_ids_of_what_it_is_about(autojump_clock: MockClock) -> None:
    async with open_room(Echo) as room:
        ann = await room.join(user="ann")
        receipt = await ann.emit("say", "hello")
        await room.emit("notice")

        assert receipt.answer == receipt.id
        nothing, said, emitted = room.state
        assert nothing == ["NoneType", False, False]
        assert said == ["int", True, False]
        assert emitted == ["NoneType", True, False]


async def test_a_hook_knows_which_pod_has_said_it(autojump_clock: MockClock) -> None:
    async with open_room(Echo, pods=2) as room:
        ann = await room.join(user="ann")
        await room.join(user="ben", pod=1)
        await ann.emit("say", "hello")
        await room.advance(1)

        assert room.states[1][-1] == ["NoneType", True, True]

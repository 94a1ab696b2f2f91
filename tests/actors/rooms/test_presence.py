"""Rooms that track who is in them, as their authors and members see it; on one pod."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from deployd.actors import (
    JSON,
    ActorDefinitionError,
    Member,
    NotAMember,
    Person,
    Presence,
    Refuse,
    Room,
    on,
)
from deployd.actors.rooms.person import Mention, PageWord
from deployd.client import Refused
from deployd.testing import RoomGuest, open_room
from deployd.transport import Event, Scope, WireError
from deployd.transport.brokers import PRESENCE


class Square(Room):
    presence = Presence()

    async def on_join(self, member: Member) -> None:
        if member.user_id == "mob":
            self.presence.track(member, torch=True)
            raise Refuse("No mobs.")

    @on("wear")
    def wear(self, member: Member, hat: str | None) -> None:
        self.presence.track(member, hat=hat)

    @on("weigh")
    def weigh(self, member: Member, size: int) -> None:
        try:
            self.presence.track(member, weight="x" * size)
        except WireError as error:
            raise Refuse(str(error), code=error.code) from error

    @on("who")
    def who(self, member: Member) -> JSON:
        return [person.to_json() for person in self.presence.list()]

    @on("fall")
    def fall(self, member: Member) -> None:
        raise RuntimeError("on purpose")


async def there(guest: RoomGuest) -> list[dict[str, Any]]:
    answer: Any = (await guest.emit("who")).answer
    return list(answer)


def users(people: Any) -> list[str]:
    return [person["user"] for person in people]


async def test_who_comes_is_told_who_is_there_and_the_others_that_it_came(
    autojump_clock: MockClock,
) -> None:
    async with open_room(Square) as room:
        ann = await room.join(user="ann")
        assert users((await ann.hear("presence"))["here"]) == ["ann"]
        await room.advance(1)
        ben = await room.join(user="ben")

        told = await ben.hear("presence")
        assert (users(told["here"]), told["count"]) == (["ben", "ann"], 2)
        await ann.hear("presence")  # of itself
        came = await ann.hear("presence")
        assert (users(came["came"]), came["count"]) == (["ben"], 2)
        await ben.leave()
        assert users((await ann.hear("presence"))["went"]) == ["ben"]


async def test_who_comes_within_a_moment_is_told_together(autojump_clock: MockClock) -> None:
    async with open_room(Square) as room:
        ann = await room.join(user="ann")
        await room.advance(1)
        ann_hears = len(ann.unread)
        for number in range(10):
            await room.join(user=f"user{number}")
        await room.advance(0.5)

        assert len(ann.unread) - ann_hears <= 2
        assert users(await everybody(room)) == ["ann", *(f"user{n}" for n in range(10))]


async def everybody(room: Any) -> Any:
    guest = await room.join(user="ann")
    people = await there(guest)
    await guest.leave()
    return people


async def test_several_tabs_of_a_user_are_one_person(autojump_clock: MockClock) -> None:
    async with open_room(Square) as room:
        one, other = await room.join(user="ann"), await room.join(user="ann")
        ben = await room.join(user="ben")
        (person, _) = await there(ben)
        assert (person["user"], person["connections"]) == ("ann", 2)

        await one.leave()
        await room.advance(1)
        ben_has_heard = ben.unread
        assert [ann["connections"] for ann in await there(ben)] == [1, 1]
        await other.leave()
        assert "presence" in ben_has_heard
        assert users(await there(ben)) == ["ben"]


async def test_who_has_not_signed_in_is_a_person_of_its_own(autojump_clock: MockClock) -> None:
    async with open_room(Square) as room:
        await room.join()
        guest = await room.join()

        assert len(await there(guest)) == 2


async def test_what_is_tracked_is_told_changed_and_taken_away(autojump_clock: MockClock) -> None:
    async with open_room(Square) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        await room.advance(1)
        while ben.unread:
            await ben.hear()

        await ann.emit("wear", "top hat")
        (changed,) = (await ben.hear("presence"))["changed"]
        assert changed["meta"] == {"hat": "top hat"}
        await ann.emit("wear", None)
        (changed,) = (await ben.hear("presence"))["changed"]
        assert "meta" not in changed


async def test_what_is_too_much_to_track_of_a_person_is_refused(autojump_clock: MockClock) -> None:
    async with open_room(Square) as room:
        ann = await room.join(user="ann")
        await ann.emit("weigh", 1000)
        with pytest.raises(Refused) as refused:
            await ann.emit("weigh", 1020)

    assert refused.value.code == "too_large"


async def test_nobody_but_a_member_is_tracked(autojump_clock: MockClock) -> None:
    class Hall(Square):
        async def on_leave(self, member: Member, reason: str) -> None:
            try:
                self.presence.track(member, gone=True)
            except NotAMember:
                self.state = "refused"  # type: ignore[assignment]

    async with open_room(Hall) as room:
        ann, _ = await room.join(user="ann"), await room.join(user="ben")
        await ann.leave()
        assert room.state == "refused"


async def test_who_is_not_let_in_was_never_there(autojump_clock: MockClock) -> None:
    async with open_room(Square) as room:
        ann = await room.join(user="ann")
        with pytest.raises(Refused):
            await room.join(user="mob")
        await room.advance(1)

        assert users(await there(ann)) == ["ann"]
        while ann.unread:
            assert "mob" not in str(await ann.hear())


async def test_who_is_there_outlives_a_crash_of_the_room(autojump_clock: MockClock) -> None:
    async with open_room(Square) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        await ann.emit("wear", "top hat")
        with pytest.raises(Refused):
            await ben.emit("fall")

        people = await there(ben)
        assert [(one["user"], one.get("meta")) for one in people] == [
            ("ann", {"hat": "top hat"}),
            ("ben", None),
        ]
        await ann.leave()
        await room.advance(1)
        assert users(await there(ben)) == ["ben"]


async def test_no_member_can_say_who_is_there(autojump_clock: MockClock) -> None:
    class Plain(Room):
        presence = Presence()

    async with open_room(Plain) as room:
        ann = await room.join(user="ann")
        with pytest.raises(Refused) as refused:
            await ann.emit("presence", {"went": ["ben"]})
        await ann.emit("said", "hello")
        assert await ann.hear("said") == "hello"

    assert refused.value.code == "event_reserved"


async def test_nobody_says_who_is_there_from_outside_either(autojump_clock: MockClock) -> None:
    async with open_room(Square) as room:
        ann = await room.join(user="ann")
        await room.advance(1)
        receipt = await room.hub().send_to_room(room.name, "presence", {"went": [{"user": "ann"}]})
        room.hub().emit_to_room(room.name, "presence", {"went": [{"user": "ann"}]})
        await room.advance(1)

        assert receipt.scope is Scope.REJECTED
        assert receipt.problem is not None
        assert receipt.problem.code == "event_reserved"
        assert await people_of(ann) == ["ann"]


async def test_true_is_short_for_presence_and_false_takes_it_back(
    autojump_clock: MockClock,
) -> None:
    class Yes(Room):
        presence = True  # type: ignore[assignment] # as the guide writes it

    class No(Yes):
        presence = False

    async with open_room(Yes) as room:
        assert users((await (await room.join(user="ann")).hear("presence"))["here"]) == ["ann"]
    async with open_room(No) as room:
        ann = await room.join(user="ann")
        await room.advance(1)
        assert ann.unread == []


async def test_a_room_that_does_not_track_says_how(autojump_clock: MockClock) -> None:
    class Deaf(Room):
        @on("who")
        def who(self, member: Member) -> JSON:
            return len(self.presence)

    with pytest.raises(ActorDefinitionError, match="presence = True"):
        len(Deaf().presence)
    with pytest.raises(ActorDefinitionError, match="in a hook"):
        Square.presence.list()


def test_a_person_is_told_without_what_goes_without_saying() -> None:
    assert Person("ann", "Ann", 1.23456).to_json() == {
        "user": "ann",
        "name": "Ann",
        "since": 1.235,
        "connections": 1,
    }
    assert Person("ann", "Ann", 1.0, 2, True, {"hat": 1}).to_json()["away"] is True


class Closing(Square):
    @on("close")
    def close(self, member: Member) -> None:
        self.stop("closed")


async def people_of(guest: RoomGuest) -> list[str]:
    """Return who is there for a guest, by all that it was told."""
    there: dict[str, None] = {}
    for event in guest.unread:
        told = await guest.hear()
        if event != "presence":
            continue
        there = there if "here" not in told else {}
        for what in ("here", "came", "changed"):
            there |= dict.fromkeys(users(told.get(what, ())))
        for user in users(told.get("went", ())):
            there.pop(user, None)
    return [*there]


async def test_whose_room_has_ended_on_one_pod_is_not_there_on_the_others(
    autojump_clock: MockClock,
) -> None:
    async with open_room(Closing, pods=2) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben", pod=1)
        await room.advance(1)
        await ann.emit("close")
        await room.advance(1)

        assert await people_of(ben) == ["ben"]


async def test_pods_that_are_split_know_their_own_and_all_again_when_that_is_over(
    autojump_clock: MockClock,
) -> None:
    async with open_room(Square, pods=2) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben", pod=1)
        await room.advance(1)
        await room.split()
        await room.advance(15)
        eve = await room.join(user="eve", pod=1)
        assert users(await there(ben)) == ["ben", "eve"]
        await room.heal()
        await room.advance(5)

        for guest in (ann, ben, eve):
            assert sorted(users(await there(guest))) == ["ann", "ben", "eve"]


async def test_a_pod_that_is_not_counted_is_not_believed(autojump_clock: MockClock) -> None:
    async with open_room(Square, pods=2) as room:
        ann = await room.join(user="ann")
        await room.join(user="ben", pod=1)
        await room.advance(1)
        forged = PageWord((1, 1), {"mallory": Mention("Mallory", 1.0, 1.0, 1, False, {})})
        event = Event(room.name, PRESENCE, forged.encode(), "e-1", 1, room.wall(), "stranger")
        room._pods[0].parts.watched.rooms.deliver(room.name, [event], 100)
        await room.advance(1)

        assert sorted(users(await there(ann))) == ["ann", "ben"]


@pytest.mark.parametrize("value", ["yes", 1, None, Person("ann", "Ann", 1.0)], ids=str)
def test_what_is_no_wish_to_track_is_refused_with_its_class(value: object) -> None:
    with pytest.raises(ActorDefinitionError, match=r"Odd\.presence .*presence = True"):
        type("Odd", (Room,), {"presence": value, "__module__": __name__})


def test_a_room_that_tracks_its_members_handles_no_such_event() -> None:
    with pytest.raises(ActorDefinitionError, match=r"Odd\.say .*test_presence.*another name"):

        class Odd(Square):
            @on("presence")
            def say(self, member: Member) -> None:
                """Never be called."""


@pytest.mark.parametrize("name", ["grace", "max_members", "message_rate", "stop_deadline"])
@pytest.mark.parametrize("value", ["20", -1, True, None, float("inf"), float("nan")], ids=str)
def test_a_setting_that_is_no_number_is_refused_with_its_class(name: str, value: object) -> None:
    with pytest.raises(ActorDefinitionError, match=f"Odd.{name} .*give a number"):
        type("Odd", (Room,), {name: value, "__module__": __name__})

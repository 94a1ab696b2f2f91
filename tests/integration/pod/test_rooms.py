"""Rooms of a running pod: crashes, budgets, backpressure, idleness."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from attrs import evolve
from structlog.testing import capture_logs

from deployd.actors import (
    JSON,
    ActorDefinitionError,
    Member,
    Request,
    Room,
    StatePolicy,
    handles,
)
from deployd.config import Access, Rule
from support import Client, connected, find_node, pod_config, running_pod


class Brittle(Room[list[int]]):
    """Fails on every hundredth number."""

    def initial_state(self) -> list[int]:
        return []

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        assert isinstance(data, int)
        if data % 100 == 99:
            raise RuntimeError("one in a hundred")
        self.state.append(data)
        self.broadcast(event, data)


async def test_a_room_that_raises_in_one_of_a_hundred_loses_those_messages_and_nobody() -> None:
    config = pod_config(message_rate_limit=0, abuse_limit=1000, emit_timeout=60.0)
    async with (
        running_pod(config, {"brittle": Brittle}) as pod,
        connected(pod, 3) as [sender, *listeners],
    ):
        for client in (sender, *listeners):
            await client.join("brittle")
        await sender.join("steady")
        heard: dict[Client, list[int]] = {client: [] for client in listeners}

        async def listen(client: Client) -> None:
            while len(heard[client]) < 1980:
                heard[client].append((await client.expect("emit"))["data"])

        lost: list[int] = []
        said: list[int] = []

        async def account() -> None:
            while len(lost) + len(said) < 2000:
                message = await sender.receive()
                if message["type"] == "error":
                    assert message["data"]["code"] == "room_crashed"
                    lost.append(message["id"])
                elif message["type"] == "receipt":
                    said.append(message["id"])

        async with trio.open_nursery() as nursery:
            for client in listeners:
                nursery.start_soon(listen, client)
            nursery.start_soon(account)
            for n in range(2000):
                await sender.send("emit", event="n", data=n, room="brittle", id=n)

        expected = [n for n in range(2000) if n % 100 != 99]
        assert all(numbers == expected for numbers in heard.values())
        assert said == expected
        assert lost == list(range(99, 2000, 100))
        tree = pod.tree()
        assert find_node(tree, "pod/rooms/brittle").restarts == 20
        assert find_node(tree, "pod/rooms/brittle").detail["lost"] == 20
        assert find_node(tree, "pod/rooms/brittle").detail["members"] == 3
        assert find_node(tree, "pod/rooms/steady").restarts == 0
        assert pod.connections() == 3
        assert pod.parts.basis.dead_letters.statistics().total == 20


class Remembering(Brittle):
    async def on_join(self, member: Member) -> None:
        self.send_to(member, "so far", list(self.state))


class Forgetful(Remembering):
    state_policy = StatePolicy.REBUILD


@pytest.mark.parametrize(("room", "left"), [(Remembering, [1, 2]), (Forgetful, [2])])
async def test_the_named_policy_says_what_of_the_state_is_left(
    room: type[Room[Any]], left: list[int]
) -> None:
    async with running_pod(rooms={"r": room}) as pod, connected(pod, 2) as [ada, ben]:
        await ada.join("r")
        await ada.expect("emit", event="so far", data=[])
        for n in (1, 99, 2):
            await ada.send("emit", event="n", data=n, room="r")
            await ada.receive()
        await ben.join("r")
        await ben.expect("emit", event="so far", data=left)


async def test_the_numbers_of_a_room_go_on_after_its_crash() -> None:
    async with running_pod(rooms={"r": Brittle}) as pod, connected(pod) as [ada]:
        await ada.join("r")
        for n in (1, 99, 2):  # the room fails on the second
            await ada.send("emit", event="n", data=n, room="r")
        assert (await ada.expect("emit", data=1))["meta"]["seq"] == 1
        await ada.expect("error")
        assert (await ada.expect("emit", data=2))["meta"]["seq"] == 2


class Total(Request[int]):
    pass


class Sum(Room[int]):
    def initial_state(self) -> int:
        return 0

    async def on_server_emit(self, event: str, data: JSON) -> None:
        assert isinstance(data, int)
        self.state += data

    @handles(Total)
    async def total(self, message: Total) -> int:
        return self.state


async def test_a_room_can_be_asked_from_outside_and_emits_start_bound_rooms() -> None:
    async with running_pod(rooms={"sum": Sum}) as pod:
        for n in (1, 2, 3):
            pod.hub.emit_to_room("sum", "add", n)
        assert await pod.hub.room("sum").ask(Total(), timeout=5) == 6


async def test_an_idle_room_stops_and_a_later_member_gets_a_new_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = pod_config(max_client_rooms=1)
    async with running_pod(config) as pod, connected(pod, ping_interval=None) as [client]:
        await client.join("tea")
        await client.ask("leave", room="tea")
        assert pod.rooms.find("tea") is not None
        await trio.sleep(pod.config.limits.room_cleanup_interval / 2)
        await client.join("tea")  # somebody comes back: the wait begins anew
        await trio.sleep(pod.config.limits.room_cleanup_interval + 1)
        assert pod.rooms.find("tea") is not None
        await client.ask("leave", room="tea")
        await trio.sleep(pod.config.limits.room_cleanup_interval + 1)
        assert pod.rooms.find("tea") is None
        await client.join("coffee")  # the one room that clients may open is free again


class Awaited(Room):
    """Has something to do, later."""

    async def on_start(self) -> None:
        self.after(1000, self.on_idle)


async def test_a_room_that_is_to_do_something_makes_no_place_for_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = pod_config(max_client_rooms=1)
    async with (
        running_pod(config, rooms={"awaited": Awaited}) as pod,
        connected(pod, ping_interval=None) as [client],
    ):
        await client.join("awaited")
        await client.ask("leave", room="awaited")
        refused = await client.ask("join", room="coffee")
        assert refused["data"]["code"] == "too_many_rooms"
        await trio.sleep(1000 + pod.config.limits.room_cleanup_interval)
        await client.join("coffee")


class Hopeless(Room):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        raise RuntimeError("always")


async def test_a_room_over_its_budget_is_given_up_alone_and_its_members_are_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = pod_config(message_rate_limit=0, abuse_limit=1000)
    async with (
        running_pod(config, {"hopeless": Hopeless}) as pod,
        connected(pod, 2, ping_interval=None) as [ada, ben],
    ):
        await ada.join("hopeless")
        await ben.join("tea")
        codes = []
        while "room_closed" not in codes:
            await ada.send("emit", event="x", data=1, room="hopeless")
            codes.append((await ada.expect("error"))["data"]["code"])
        assert codes[:-1] == ["room_crashed"] * (len(codes) - 1)
        assert find_node(pod.tree(), "pod/rooms").detail["given_up"] == 1
        await ben.send("emit", event="said", data=1, room="tea")
        await ben.expect("emit", data=1)
        await ada.send("join", room="hopeless")  # a new one, with a new budget
        while (await ada.receive())["type"] != "join":
            pass


class Slow(Room):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.broadcast("began", data)
        await trio.sleep_forever()


async def test_a_stuck_room_refuses_what_it_cannot_take_and_holds_nobody_else_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = pod_config(room_mailbox_size=2, message_rate_limit=0)
    async with (
        running_pod(config, {"slow": Slow}) as pod,
        connected(pod, 2, ping_interval=None) as [ada, ben],
    ):
        await ada.join("slow")
        await ada.send("emit", event="x", data=1, room="slow")
        await ada.expect("emit", event="began")  # what was said before the wait is not held back
        for n in (2, 3, 4):
            await ada.send("emit", event="x", data=n, room="slow", id=n)
        errors = [await ada.expect("error") for _ in range(3)]  # those in its mailbox too
        assert {error["id"] for error in errors} == {2, 3, 4}
        assert {error["data"]["code"] for error in errors} == {"room_busy"}
        assert pod.hub.emit_to_room("slow", "x", 1).scope == "rejected"
        await ben.join("tea")
        node = find_node(pod.tree(), "pod/rooms/slow")
        assert node.statistics is not None
        assert node.statistics.mailbox.waiting == 2


async def test_a_full_room_makes_its_emitters_wait_and_loses_nothing() -> None:
    gate = trio.Event()

    class Held(Room):
        async def on_message(self, member: Member, event: str, data: JSON) -> None:
            await gate.wait()
            self.broadcast(event, data)

    config = pod_config(room_mailbox_size=2, message_rate_limit=0)
    async with (
        running_pod(config, {"held": Held}) as pod,
        connected(pod, 2, ping_interval=None) as [ada, ben],
    ):
        await ada.join("held")
        for n in range(200):  # more than the room, the connection and its backpressure hold
            await ada.send("emit", event="n", data=n, room="held")
        while find_node(pod.tree(), "pod/rooms/held").statistics.mailbox.waiting < 2:  # type: ignore[union-attr]
            await ben.ask("join", room="tea")  # nobody else is held up
        gate.set()
        heard = [await ada.expect("emit") for _ in range(200)]
        assert [message["data"] for message in heard] == list(range(200))


class Lent(Room[int]):
    """Is given what it depends on."""

    def __init__(self, database: dict[str, int]) -> None:
        self.database = database

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.database[self.name] = self.database.get(self.name, 0) + 1
        if data == "crash":
            raise RuntimeError("on purpose")
        self.broadcast(event, self.database[self.name])


async def test_a_room_may_be_made_by_a_function_which_gives_it_what_it_depends_on() -> None:
    database: dict[str, int] = {}
    access = Access(rules={"lent-*": Rule(members=1)})
    config = evolve(pod_config(), access=access)
    with capture_logs():
        async with (
            running_pod(config, rooms={"lent-*": lambda: Lent(database)}) as pod,
            connected(pod, 2) as [one, two],
        ):
            await one.join("lent-1")
            full = await two.ask("join", room="lent-1")
            assert full["data"]["code"] == "room_full"
            assert (await one.ask("emit", room="lent-1", event="n", data="crash"))[
                "type"
            ] == "error"
            await one.send("emit", room="lent-1", event="n", data=None)
            await one.expect("emit", data=2)
            pod.bind_room("mine", lambda: Lent({}))
            assert database == {"lent-1": 2}


@pytest.mark.parametrize("bound", [Room(), dict, "rooms:Lent", None])
async def test_what_makes_no_rooms_is_refused_when_it_is_bound(bound: Any) -> None:
    with pytest.raises(ActorDefinitionError, match=r"'a-\*' is bound to .*, which makes no rooms"):
        async with running_pod(rooms={"a-*": bound}):
            pass


async def test_a_function_that_gives_the_same_room_twice_or_none_is_found_out() -> None:
    same = Room()
    bound: dict[str, Any] = {"same-*": lambda: same, "none-*": lambda: None}
    with capture_logs() as logs:
        async with (
            running_pod(rooms=bound) as pod,
            connected(pod) as [client],
        ):
            await client.join("same-1")
            for room in ("same-2", "none-1"):
                assert (await client.ask("join", room=room))["data"]["code"] == "room_crashed"
    assert "makes a new object of a class of rooms each time" in str(logs)


class Unborn(Room):
    """Cannot start, in one of three ways."""

    way = ""

    def __init__(self) -> None:
        self.fail("__init__")

    def fail(self, way: str) -> None:
        if self.way == way:
            raise RuntimeError("the table auctions does not exist")

    def initial_state(self) -> None:
        self.fail("initial_state")

    async def on_start(self) -> None:
        self.fail("on_start")


@pytest.mark.parametrize("way", ["__init__", "initial_state", "on_start"])
async def test_a_room_that_cannot_start_says_so_to_clients_and_once_in_full_to_operators(
    way: str, autojump_clock: trio.testing.MockClock
) -> None:
    room_class = type("Unborn", (Unborn,), {"way": way})
    with capture_logs() as logs:
        async with (
            running_pod(rooms={"unborn": room_class}) as pod,
            connected(pod, ping_interval=None) as [client],
        ):
            refused = await client.ask("join", room="unborn")
            assert refused["data"]["code"] == "room_crashed"
            assert "cannot start" in refused["error"]
            await trio.sleep(20)
    crashes = [line for line in logs if line["event"] == "child crashed"]
    assert len(crashes) == 1
    assert crashes[0]["exc_info"] is not None

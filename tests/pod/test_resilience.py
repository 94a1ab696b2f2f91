"""What a pod does when rooms crash, clients stop reading, tokens expire and the pod stops."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import wait_all_tasks_blocked

from deployd.actors import JSON, Member, Request, Room, RoomImportError, StatePolicy, handles
from deployd.config import Auth, Drain
from deployd.supervisors import Node, Pod
from deployd.transport import AddressInUse
from support import PATIENCE, Client, connected, pod_config, running_pod


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


def find(node: Node, path: str) -> Node:
    """Return the node of that path, anywhere in the tree."""
    nodes = [node]
    while nodes:
        node = nodes.pop()
        if node.path == path:
            return node
        nodes.extend(node.children)
    raise AssertionError(f"no {path} in the tree")


async def test_a_room_that_raises_in_one_of_a_hundred_loses_those_messages_and_nobody() -> None:
    config = pod_config(message_rate_limit=0, abuse_limit=1000)
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
        assert find(tree, "pod/rooms/brittle").restarts == 20
        assert find(tree, "pod/rooms/brittle").detail["lost"] == 20
        assert find(tree, "pod/rooms/brittle").detail["members"] == 3
        assert find(tree, "pod/rooms/steady").restarts == 0
        assert pod.connections() == 3
        assert pod.dead_letters.statistics().total == 20


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


async def test_a_client_that_never_reads_is_closed_alone() -> None:
    config = pod_config(message_buffer_size=64, message_rate_limit=0)
    async with running_pod(config) as pod, connected(pod, 2) as [ada, ben]:
        await ada.join("flood")
        await ben.join("flood")
        with await deaf_member(pod, "flood") as deaf:
            size = len(pod.members)
            while len(pod.members) == size:
                await ada.send("emit", event="n", data="x" * 20_000, room="flood")
                await ada.expect("emit")
                await ben.expect("emit")
            # When it reads again at once, it still finds whole frames, and why it was closed.
            assert b"\x0f\xa0too many messages wait for you" in await rest_of(deaf)
        await ada.join("calm")
        await ben.join("calm")


async def rest_of(raw: socket.socket) -> bytes:
    sock, received = trio.socket.from_stdlib_socket(raw), b""
    with trio.fail_after(PATIENCE):
        while data := await sock.recv(1 << 20):
            received += data
    return received


async def deaf_member(pod: Pod, room: str) -> socket.socket:
    """Join a room over a raw socket with a small window that is never read from again."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock = trio.socket.from_stdlib_socket(raw)
    await sock.connect(("127.0.0.1", pod.port))
    await sock.send(
        b"GET /socket.io/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\n\r\n"
    )
    text = b'{"type":"join","room":"%s"}' % room.encode()
    await sock.send(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)
    received = b""
    while b'"type":"join"' not in received:
        received += await sock.recv(1024)
    return raw


async def test_an_expired_token_closes_its_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_pod() as pod, connected(pod, ping_interval=None) as [client]:
        await client.ask("auth", token=pod.tokens.sign("ada", ttl=2))
        assert (await client.closed())[0] == 4500


async def test_an_expired_token_can_leave_an_anonymous_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = evolve(pod_config(), auth=Auth(on_expiry="downgrade"))
    async with running_pod(config) as pod, connected(pod, ping_interval=None) as [client]:
        await client.ask("auth", token=pod.tokens.sign("ada", ttl=2))
        error = await client.expect("error")
        assert error["data"]["code"] == "expired_token"
        assert pod.members[client.client_id].identity is None
        await client.join("tea")


async def test_a_stopping_pod_closes_its_clients_with_1012_and_when_to_come_back() -> None:
    closings: list[tuple[int, str]] = []

    async def stay(pod: Pod, task_status: trio.TaskStatus[None]) -> None:
        async with connected(pod, 3) as clients:
            task_status.started()
            closings.extend([await client.closed() for client in clients])

    async with trio.open_nursery() as nursery, running_pod() as pod:
        await nursery.start(stay, pod)
    assert [code for code, _ in closings] == [1012] * 3
    for _, reason in closings:
        name, _, seconds = reason.partition("=")
        assert name == "retry_after"
        assert 1.0 <= float(seconds) <= 5.0


async def test_another_thread_can_emit_through_the_hub() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        await client.join("tea")
        hub = pod.hub.from_thread
        receipt = await trio.to_thread.run_sync(lambda: hub.emit_to_room("tea", "said", {"n": 1}))
        assert receipt.scope == "local"
        message = await client.expect("emit", data={"n": 1})
        assert message["meta"]["id"] == receipt.id


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


async def test_data_changed_after_an_emit_changes_nothing() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        await client.join("tea")
        data: dict[str, JSON] = {"n": 1}
        pod.hub.emit_to_room("tea", "said", data)
        data["n"] = 2
        await client.expect("emit", data={"n": 1})


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
        assert find(pod.tree(), "pod/rooms").detail["given_up"] == 1
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
        error = await ada.expect("error", id=4)
        assert error["data"]["code"] == "room_busy"
        assert pod.hub.emit_to_room("slow", "x", 1).scope == "rejected"
        await ben.join("tea")
        node = find(pod.tree(), "pod/rooms/slow")
        assert node.statistics is not None
        assert node.statistics.mailbox.waiting == 2


async def test_a_silent_client_is_closed_and_one_that_answers_pings_is_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_pod() as pod, connected(pod, ping_interval=None) as [answers]:
        raw = await deaf_member(pod, "tea")
        with raw:
            await trio.sleep(200)
            assert list(pod.members) == [answers.client_id]


async def test_a_port_in_use_and_a_class_that_is_not_there_stop_the_start_with_a_sentence() -> None:
    async with running_pod() as pod:
        taken = evolve(pod_config(), server=evolve(pod.config.server, port=pod.port))
        with pytest.raises(AddressInUse, match="--port"):
            async with running_pod(taken):
                raise AssertionError("it started")
    missing = evolve(pod_config(), rooms={"x-*": "no_such_module:Room"})
    with pytest.raises(RoomImportError, match=r"no_such_module"):
        async with running_pod(missing):
            raise AssertionError("it started")


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    with pytest.raises(LookupError, match="mine"):
        async with running_pod():
            raise LookupError("mine")


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
        for n in range(200):  # more than the room, the connection and its intake hold
            await ada.send("emit", event="n", data=n, room="held")
        while find(pod.tree(), "pod/rooms/held").statistics.mailbox.waiting < 2:  # type: ignore[union-attr]
            await ben.ask("join", room="tea")  # nobody else is held up
        gate.set()
        heard = [await ada.expect("emit") for _ in range(200)]
        assert [message["data"] for message in heard] == list(range(200))


async def test_a_renewed_token_keeps_its_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_pod() as pod, connected(pod, ping_interval=None) as [client]:
        await client.ask("auth", token=pod.tokens.sign("ada", ttl=2))
        await client.ask("auth", token=pod.tokens.sign("ada", ttl=1000))
        await trio.sleep(100)
        assert client.client_id in pod.members
        assert (await client.ask("join", room="tea"))["type"] == "join"


async def test_nothing_is_kept_of_a_client_that_has_gone() -> None:
    async with running_pod() as pod:
        async with connected(pod, 3) as clients:
            for client in clients:
                await client.join("tea")
            assert len(pod.heartbeat) == 3
            assert find(pod.tree(), "pod/rooms/tea").detail["members"] == 3
            assert find(pod.tree(), f"pod/connections/{client.client_id}").detail["rooms"] == 1
        while find(pod.tree(), "pod/connections").detail["count"]:
            await trio.lowlevel.checkpoint()
        assert (len(pod.heartbeat), len(pod.members)) == (0, 0)
        with trio.fail_after(PATIENCE):
            while find(pod.tree(), "pod/rooms/tea").detail["members"]:
                await trio.lowlevel.checkpoint()
        assert pod.dead_letters.statistics().total == 0


async def test_a_stopped_pod_leaves_no_actor_alive() -> None:
    async with running_pod() as pod:
        room = pod.hub.room("tea")
        states = [room.alive]
    assert [*states, room.alive] == [True, False]
    assert pod.hub.emit_to_all("late", 1).scope == "rejected"


async def test_code_binds_before_the_configuration_and_bind_room_before_both() -> None:
    bound = {"x-*": Sum, "y-*": Sum}
    config = evolve(pod_config(), rooms={"x-*": "deployd.actors:Room"})
    async with running_pod(config, bound) as pod:
        pod.bind_room("y-1", Slow)
        for name in ("x-1", "y-1", "y-2"):
            pod.hub.room(name)
        await wait_all_tasks_blocked()
        kinds = {node.path: node.kind for node in find(pod.tree(), "pod/rooms").children}
        assert kinds == {"pod/rooms/x-1": "Sum", "pod/rooms/y-1": "Slow", "pod/rooms/y-2": "Sum"}


async def test_a_stopping_pod_waits_for_nobody_longer_than_its_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = evolve(pod_config(), drain=Drain(window=0.0, deadline=2.0))
    async with running_pod(config, {"slow": Slow}) as pod:
        async with connected(pod, ping_interval=None) as [client]:
            await client.join("slow")
            await client.send("emit", event="x", data=1, room="slow")
            await client.expect("emit", event="began")
        started = trio.current_time()
    assert trio.current_time() - started == pytest.approx(2.0)

"""Rooms, collections and HTTP of several pods in one process, and of pods that are cut off."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import ClassVar

import httpx
import orjson
import pytest
import trio
from attrs import evolve
from rich.console import Console

from deployd.actors import Degraded, Healed, Member, Room
from deployd.config import ReadyPolicy
from deployd.supervisors import Pod, open_pod
from deployd.tools.common import Address
from deployd.tools.tree import draw, read_tree
from deployd.transport import JSON, Scope
from deployd.transport.brokers import pack
from deployd.transport.brokers.contract import EVERYONE, pod_channel, room_channel
from support.clients import KEYS, Client, connected, find_node, pod_config, until
from support.collections import MASTER, collections_config, write_collection
from support.fake_broker import FakeBus
from support.joined import FAKE, two_pods, well


async def quiet(client: Client) -> None:
    """Make sure that nothing has come for the client before the answer to this."""
    await client.send("leave", room="nowhere", id="quiet")
    await client.expect("leave", id="quiet")


class Noting(Room[None]):
    """Writes down what its hooks learn; refuses to live with one event."""

    heard: ClassVar[list[tuple[str, JSON]]] = []
    outages: ClassVar[list[Degraded | Healed]] = []

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        if event == "poison":
            raise ValueError("poison")
        Noting.heard.append((event, data))
        self.broadcast(f"remote-{event}", data)

    async def on_degraded(self, outage: Degraded) -> None:
        Noting.outages.append(outage)

    async def on_healed(self, healed: Healed) -> None:
        Noting.outages.append(healed)


@pytest.fixture(autouse=True)
def _nothing_noted() -> None:
    Noting.heard.clear()
    Noting.outages.clear()


async def test_a_rooms_hooks_learn_what_other_pods_say_and_of_outages() -> None:
    bus = FakeBus()
    async with (
        two_pods(bus, {"tea": Noting}) as (a, b),
        connected(a) as [ann],
        connected(b) as [bob],
    ):
        await ann.join("tea")
        await bob.join("tea")
        await ann.send("emit", room="tea", event="said", data=[1])
        await ann.expect("emit", event="said", data=[1])
        await bob.expect("emit", event="remote-said", data=[1])
        await quiet(ann)  # what is broadcast on hearing others stays where it is heard
        assert Noting.heard == [("said", [1])]
        bus.kill("the cable is out")
        await until(lambda: len(Noting.outages) == 2)
        bus.start()
        await until(lambda: len(Noting.outages) == 4)
    kinds = [type(news) for news in Noting.outages]
    assert kinds == [Degraded, Degraded, Healed, Healed]
    assert all("the cable is out" in n.detail for n in Noting.outages if isinstance(n, Degraded))


async def test_a_remote_event_that_crashes_a_room_costs_itself_alone() -> None:
    bus = FakeBus()
    async with (
        two_pods(bus, {"tea": Noting}) as (a, b),
        connected(b) as [bob],
    ):
        await bob.join("tea")
        a.hub.emit_to_room("tea", "one", 1)
        a.hub.emit_to_room("tea", "poison", 2)
        a.hub.emit_to_room("tea", "two", 3)
        await bob.expect("emit", event="remote-one", data=1)
        await bob.expect("emit", event="remote-two", data=3)
        await quiet(bob)
        assert find_node(b.tree(), "pod/rooms/tea").detail["lost"] == 1


async def test_everyone_hears_what_is_said_to_all_once() -> None:
    bus = FakeBus()
    async with (
        two_pods(bus) as (a, b),
        connected(a, 2) as first,
        connected(b, 2) as second,
    ):
        receipt = await a.hub.send_to_all("news", {"n": 1})
        assert receipt.scope is Scope.CLUSTER
        for client in (*first, *second):
            heard = await client.expect("emit", event="news", data={"n": 1})
            assert heard["meta"]["id"] == receipt.id
        for client in (*first, *second):
            await quiet(client)


async def test_a_hubs_receipts_say_how_it_ended() -> None:
    bus = FakeBus()
    async with two_pods(bus) as (a, _), connected(a) as [ann]:
        await ann.join("tea")
        for room in ("tea", "empty", "kept-1", "strict-1"):
            assert (await a.hub.send_to_room(room, "said", 1)).scope is Scope.CLUSTER
        assert a.hub.emit_to_room("tea", "said", 1).scope is Scope.QUEUED
        bus.kill()
        await until(lambda: not well(a))
        scopes = {}
        for room in ("tea", "empty", "kept-1", "strict-1"):
            receipt = await a.hub.send_to_room(room, "said", 1)
            scopes[room] = receipt.scope
            assert (receipt.scope is Scope.REJECTED) == bool(receipt.reason)
        assert scopes == {
            "tea": Scope.LOCAL,
            "empty": Scope.REJECTED,  # nobody is in it here, and nobody else can be told
            "kept-1": Scope.QUEUED,
            "strict-1": Scope.REJECTED,
        }


class Relaying(Room[None]):
    """Says two things to the other pods, and one here, of everything that it is told."""

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.relay("first", data)
        self.relay("second", data)
        self.broadcast("third", data)


async def test_a_room_may_relay_several_things_at_once() -> None:
    bus = FakeBus()
    async with (
        two_pods(bus, {"tea": Relaying}) as (a, b),
        connected(a) as [ann],
        connected(b) as [bob],
    ):
        await ann.join("tea")
        await bob.join("tea")
        await ann.send("emit", room="tea", event="said", data=1)
        await ann.expect("emit", event="third")
        for event in ("first", "second", "third"):
            await bob.expect("emit", event=event, data=1)


class Slow(Room[None]):
    """Takes its time for the first event of another pod: until the test says so."""

    begun: ClassVar[trio.Event]
    released: ClassVar[trio.Event]

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        Slow.begun.set()
        await Slow.released.wait()
        self.broadcast(event, data)


async def test_a_room_that_is_too_busy_for_other_pods_owns_up_to_its_members() -> None:
    Slow.begun, Slow.released = trio.Event(), trio.Event()
    bus = FakeBus()
    async with (
        two_pods(bus, {"tea": Slow}, pod_config(room_mailbox_size=1)) as (a, b),
        connected(b) as [bob],
    ):
        await bob.join("tea")
        assert (await a.hub.send_to_room("tea", "said", 0)).scope is Scope.CLUSTER
        await Slow.begun.wait()
        # The first of these waits in the mailbox, the next in the line; this broker keeps no more.
        for number in range(1, 5):
            assert (await a.hub.send_to_room("tea", "said", number)).scope is Scope.CLUSTER
        Slow.released.set()
        await bob.expect("emit", data=0)
        gap = await bob.expect("emit", event="system:degraded", room="tea")
        assert (gap["data"]["code"], gap["data"]["missed"]) == ("missed", 2)
        whole = await bob.expect("emit", event="system:healed", room="tea")
        assert (whole["data"]["missed"], whole["data"]["since"]) == (2, gap["data"]["since"])
        await bob.expect("emit", data=1)
        await bob.expect("emit", data=2)
        await quiet(bob)
        assert b.link is not None
        assert b.link.state.counters.undelivered == 2


class Echoing(Room[None]):
    async def on_remote_emit(self, event: str, data: JSON) -> None:
        self.broadcast(event, data)
        self.relay(event, data)


async def test_rooms_that_relay_what_they_hear_do_not_echo_each_other() -> None:
    bus = FakeBus()
    async with (
        two_pods(bus, {"tea": Echoing}) as (a, b),
        connected(a) as [ann],
        connected(b) as [bob],
    ):
        await ann.join("tea")
        await bob.join("tea")
        await ann.send("emit", room="tea", event="said", data=1)
        for client in (ann, bob):
            await client.expect("emit", event="said", data=1)
            await quiet(client)
        assert b.link is not None
        assert b.link.figures.health()["published"] == 0


class Crashing(Room[None]):
    async def on_server_emit(self, event: str, data: JSON) -> None:
        if event != "before":
            self.broadcast(event, data)
        if event == "waited":
            await trio.lowlevel.checkpoint()
        raise ValueError(event)


async def test_an_emit_that_crashes_its_room_is_settled() -> None:
    bus = FakeBus()
    async with two_pods(bus, {"tea": Crashing}) as (a, b), connected(b) as [bob]:
        await bob.join("tea")
        with trio.fail_after(4):
            before = await a.hub.send_to_room("tea", "before", 1, timeout=30)
            after = await a.hub.send_to_room("tea", "after", 1, timeout=30)
        # A hook that raises without having waited has said nothing, to nobody.
        assert (before.scope, after.scope) == (Scope.REJECTED, Scope.REJECTED)
        waited = await a.hub.send_to_room("tea", "waited", 1, timeout=30)
        assert waited.scope is Scope.CLUSTER
        await bob.expect("emit", event="waited")


async def test_who_comes_during_an_outage_is_told_of_it_and_of_its_end() -> None:
    bus = FakeBus()
    async with two_pods(bus) as (a, _):
        bus.kill("the cable is out")
        await until(lambda: not well(a))
        async with connected(a) as [ann]:
            notice = await ann.expect("emit", event="system:degraded")
            assert notice["data"]["code"] == "cut_off"
            assert "cable" not in notice["data"]["reason"]
            bus.start()
            await until(lambda: well(a))
            healed = await ann.expect("emit", event="system:healed")
            assert healed["data"]["since"] == notice["data"]["since"]
        async with connected(a) as [late]:
            await quiet(late)


async def test_the_health_of_the_broker_is_for_root_and_holds_no_secret() -> None:
    bus = FakeBus()
    config = pod_config()
    async with two_pods(bus, config=config) as (a, _), httpx.AsyncClient(trust_env=False) as http:
        url = f"http://127.0.0.1:{a.port}/_dashboard/api/realtime/broker/health"
        assert (await http.get(url)).status_code == 401
        wrong = {"Authorization": f"Bearer {a.tokens.sign('eve', ttl=60)}"}
        assert (await http.get(url, headers=wrong)).status_code == 403
        answer = await http.get(url, headers=MASTER)
        [link] = answer.json()["links"]
        await until(lambda: a.link is not None and a.link.figures.health()["pods"] == 2)
        assert (link["state"], link["active"], link["lost"]) == ("closed", "x:Fake", 0)
        bus.kill()
        await until(lambda: not well(a))
        answer = await http.get(url, headers=MASTER)
        [link] = answer.json()["links"]
        assert (link["active"], link["outages"]) == ("memory", 1)
        assert "password" not in answer.text


@pytest.mark.parametrize(
    ("policy", "untried", "cut_off"),
    [
        (ReadyPolicy.IGNORE_BROKER, 200, 200),
        (ReadyPolicy.STARTED, 503, 200),
        (ReadyPolicy.REQUIRE_BROKER, 503, 503),
    ],
)
async def test_readiness_follows_its_policy(
    policy: ReadyPolicy, untried: int, cut_off: int
) -> None:
    bus = FakeBus()
    bus.freeze()
    config = evolve(pod_config(), broker=evolve(FAKE, ready=policy, timeout=5.0))
    async with (
        open_pod(config, keys=KEYS, broker=bus.make) as pod,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        url = f"http://127.0.0.1:{pod.port}/health/ready"
        assert (await http.get(url)).status_code == untried
        bus.thaw()
        await until(lambda: well(pod))
        assert (await http.get(url)).status_code == 200
        bus.kill()
        await until(lambda: not well(pod))
        assert (await http.get(url)).status_code == cut_off


async def test_the_tree_shows_the_link() -> None:
    bus = FakeBus()
    async with two_pods(bus) as (a, _), httpx.AsyncClient(trust_env=False) as http:
        url = f"http://127.0.0.1:{a.port}/_dashboard/api/actors"
        answer = (await http.get(url, headers=MASTER)).json()
        branch = read_tree(answer, Address("http", "localhost", a.port))
        console = Console(width=300, highlight=False)
        with console.capture() as capture:
            console.print(draw(branch, 50), soft_wrap=True)
        [line] = [line for line in capture.get().splitlines() if "link" in line.split()]
        assert "closed" in line


GARBAGE = [
    b"",
    b"\xff\x00",
    b"[" * 5000,
    b'{"v":2,"o":"x","e":1,"r":"tea","m":[]}',
    pack("x", 1, "tea", [(0, "id", "said", 1, 0.0, 0, 0)]),
    pack("x", 1, "tea", [(1, "id", "two words", 1, 0.0, 0, 0)]),
    pack("x", 1, "elsewhere", [(1, "id", "said", 1, 0.0, 0, 0)]),
]


async def test_garbage_on_any_channel_is_counted_and_disturbs_nothing() -> None:
    bus = FakeBus()
    async with two_pods(bus) as (a, b), connected(a) as [ann], connected(b) as [bob]:
        await ann.join("tea")
        await bob.join("tea")
        assert b.link is not None
        for channel in (room_channel("tea"), EVERYONE, pod_channel(b.pod_id)):
            for payload in GARBAGE:
                for listener in bus.listeners(channel):
                    listener.hear(channel, payload)
        assert b.link.state.counters.invalid == 3 * len(GARBAGE)
        stray = orjson.dumps({"v": 1, "o": "x", "p": "nonce"})
        for channel in (room_channel("tea"), EVERYONE):  # it may be for another pod
            for listener in bus.listeners(channel):
                listener.hear(channel, stray)
        for listener in bus.listeners(pod_channel(b.pod_id)):
            listener.hear(pod_channel(b.pod_id), stray)
        assert b.link.state.counters.invalid == 3 * len(GARBAGE) + 1
        await ann.send("emit", room="tea", event="said", data=1, id=1)
        await ann.expect("emit", data=1)
        assert (await ann.expect("receipt", id=1))["data"]["scope"] == "cluster"
        await bob.expect("emit", data=1)
        await quiet(bob)
        assert well(b)
        assert b.link.figures.health()["outages"] == 0


# Collections ---------------------------------------------------------------------------------


@asynccontextmanager
async def shared_collections(
    folder: Path, bus: FakeBus, *, api: bool
) -> AsyncIterator[tuple[Pod, Pod, httpx.AsyncClient]]:
    """Run two pods on one database and the same definitions, and a client of the first.

    `api` is whether the second serves collections itself, or WebSockets alone.
    """
    config = collections_config(folder)
    other = evolve(config, server=evolve(config.server, api_enabled=api))
    async with AsyncExitStack() as stack:
        a, b = await stack.enter_async_context(two_pods(bus, config=config, other=other))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{a.port}", timeout=20, trust_env=False)
        )
        yield a, b, http


@pytest.mark.parametrize("api", [True, False], ids=["api", "websockets alone"])
async def test_changes_are_heard_on_the_other_pod_as_far_as_each_may_read(
    tmp_path: Path, *, api: bool
) -> None:
    script = 'def run(ctx):\n    ctx.hide("secret")\n'
    write_collection(tmp_path, "todos", {}, {"get": script})
    write_collection(tmp_path, "notes", {"access": {"get": "owner", "post": "authenticated"}})
    bus = FakeBus()
    async with (
        shared_collections(tmp_path, bus, api=api) as (a, b, http),
        connected(b, 4) as [todos, everything, ada, ben],
    ):
        for client, user in ((ada, "ada"), (ben, "ben")):
            await client.send("auth", token=b.tokens.sign(user, ttl=60))
            await client.expect("auth")
            await client.join("collection:notes")
        await todos.join("collection:todos")
        await everything.join("collections")
        made = (await http.post("/todos", json={"title": "a", "secret": "s"})).json()
        heard = await todos.expect("emit", event="created", room="collection:todos")
        assert heard["data"]["id"] == made["id"]
        assert "secret" not in heard["data"]
        every = await everything.expect("emit", event="created", room="collections")
        assert every["data"]["collection"] == "todos"
        assert "secret" not in json.dumps(every)
        bearer = {"Authorization": f"Bearer {a.tokens.sign('ada', ttl=60)}"}
        note = await http.post("/notes", json={"title": "mine"}, headers=bearer)
        assert note.status_code in (200, 201)
        mine = await ada.expect("emit", event="created", room="collection:notes")
        assert mine["data"]["title"] == "mine"
        for client in (todos, everything, ada, ben):
            await quiet(client)


@pytest.mark.parametrize(
    "script", [{}, {"get": "def run(ctx):\n    pass\n"}], ids=["plain", "script"]
)
@pytest.mark.parametrize("right", ["anyone", "authenticated"])
async def test_what_is_private_here_is_told_to_nobody_though_the_other_pod_knows_nothing_of_it(
    tmp_path: Path, right: str, script: dict[str, str]
) -> None:
    private = {"properties": {"pin": {"type": "string", "private": True}}, "access": {"get": right}}
    write_collection(tmp_path / "old", "keys", {})
    write_collection(tmp_path / "new", "keys", private, script)
    old, new = collections_config(tmp_path / "old"), collections_config(tmp_path / "new")
    async with (
        two_pods(FakeBus(), config=old, other=new) as (a, b),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{a.port}", trust_env=False) as http,
        connected(b) as [ada],
    ):
        await ada.send("auth", token=b.tokens.sign("ada", ttl=60))
        await ada.expect("auth")
        await ada.join("collection:keys")
        await ada.join("collections")
        made = (await http.post("/keys", json={"pin": "1234", "name": "door"})).json()
        assert made["pin"] == "1234"
        del made["pin"]
        in_all = {"collection": "keys", "type": "created", "data": made}
        heard = [await ada.expect("emit", event="created") for _ in range(2)]  # in either order
        assert {each["room"]: each["data"] for each in heard} == {
            "collection:keys": made,
            "collections": in_all,
        }


async def test_a_pod_without_definitions_tells_nobody_of_changes(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {})
    bus = FakeBus()
    async with (
        two_pods(bus, config=collections_config(tmp_path), other=pod_config()) as (a, b),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{a.port}", trust_env=False) as http,
        connected(b, 2) as [ann, everything],
    ):
        await ann.join("collection:todos")
        await everything.join("collections")
        assert (await http.post("/todos", json={"title": "a"})).status_code in (200, 201)
        await a.hub.send_to_room("after", "said", 1)
        await quiet(ann)
        await quiet(everything)

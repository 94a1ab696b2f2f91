"""The client with real pods in the same loop: restarts, final codes, outages, floods."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from deployd.actors import Member, Refuse, Room, on
from deployd.client import (
    ClientEvent,
    ClosedForGood,
    Degraded,
    Disconnected,
    Gap,
    Healed,
    Refused,
    RoomLost,
    Scope,
    Signal,
    Unread,
    WentDown,
    connect,
)
from deployd.client.client import Client
from deployd.config import Access, Auth, Broker, Config, ReceiptPolicy, Rule, Who
from deployd.supervisors import Pod
from deployd.transport import JSON
from support.clients import PATIENCE, pod_config, running_pod
from support.fake_broker import FakeBus
from support.joined import FAKE, two_pods


def url(pod: Pod) -> str:
    return f"http://127.0.0.1:{pod.port}"


def on_port(port: int, config: Config | None = None) -> Config:
    config = config or pod_config()
    return evolve(config, server=evolve(config.server, port=port))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def hear(client: Client, room: str) -> ClientEvent:
    with trio.fail_after(PATIENCE):
        return await anext(client.events(room))


class Auction(Room[float]):
    async def authorize_join(self, member: Member, params: dict[str, int]) -> bool:
        if params["seat"] > 3:
            raise Refuse("There are three seats.", code="no_such_seat", seats=3)
        self.log.info("somebody sits down", seat=params["seat"])
        member.data = params["seat"]
        return True

    @on("bid")
    def bid(self, member: Member, amount: float) -> dict[str, float]:
        if amount < 5:
            raise Refuse("Bid more.", least=5)
        return {"seat": member.data, "amount": amount}

    @on("leave-me")
    def leave_me(self, member: Member) -> None:
        member.kick("as_asked", "You have asked for it.")


async def test_a_room_answers_refuses_with_data_and_is_told_what_a_client_brings() -> None:
    async with running_pod(rooms={"auction": Auction}) as pod, connect(url(pod)) as ada:
        with pytest.raises(Refused) as refused:
            await ada.join("auction", {"seat": 4})
        assert (refused.value.code, refused.value.data) == ("no_such_seat", {"seats": 3})
        await ada.join("auction", {"seat": 3})
        receipt = await ada.emit("auction", "bid", 6)
        assert (receipt.answer, receipt.scope) == ({"seat": 3, "amount": 6}, Scope.LOCAL)
        with pytest.raises(Refused, match="Bid more") as refused:
            await ada.emit("auction", "bid", 1)
        assert (refused.value.code, refused.value.data) == ("refused", {"least": 5})
        with pytest.raises(Refused, match="the data must be a number, not 'x'") as refused:
            await ada.emit("auction", "bid", "x")
        assert (refused.value.code, refused.value.data) == ("wrong_data", {"path": ""})
        assert (await ada.emit("auction", "leave-me")).answer is None
        with pytest.raises(RoomLost) as lost, trio.fail_after(PATIENCE):
            await anext(ada.events("auction"))
        assert (lost.value.code, lost.value.sentence) == ("as_asked", "You have asked for it.")
        assert ada.rooms == frozenset()


async def test_two_clients_talk_and_each_has_its_receipt() -> None:
    async with running_pod() as pod, connect(url(pod)) as ada, connect(url(pod)) as ben:
        await ada.join("chat")
        await ben.join("chat")
        receipt = await ada.emit("chat", "said", {"text": "hello"})
        assert (receipt.scope, receipt.room) == (Scope.LOCAL, "chat")
        for client in (ada, ben):
            event = await hear(client, "chat")
            assert (event.room, event.name, event.data) == ("chat", "said", {"text": "hello"})
            assert (event.id, event.sequence) == (receipt.id, 1)
        assert ada.id != ben.id
        assert {ada.id, ben.id} == set(pod.members)


async def test_what_is_said_a_thousand_times_comes_a_thousand_times_and_in_order() -> None:
    config = pod_config(message_rate_limit=0, byte_rate_limit=0)
    async with running_pod(config) as pod, connect(url(pod)) as ada, connect(url(pod)) as ben:
        await ben.join("chat")
        await ada.join("chat")
        async with trio.open_nursery() as nursery:

            async def speak() -> None:
                for number in range(1_000):
                    await ada.emit("chat", "said", number)

            nursery.start_soon(speak)
            heard = [(await hear(ben, "chat")).data for _ in range(1_000)]
        assert heard == list(range(1_000))


async def test_a_token_signs_in_and_a_bad_one_is_an_error_of_connect() -> None:
    config = evolve(pod_config(), access=Access(rules={"vip-*": Rule(join=Who.AUTHENTICATED)}))
    async with running_pod(config) as pod:
        async with connect(url(pod)) as nobody:
            with pytest.raises(Refused) as caught:
                await nobody.join("vip-1")
            assert caught.value.code == "auth_required"
            await nobody.sign_in(pod.tokens.sign("ben", ttl=60))
            await nobody.join("vip-1")
        async with connect(url(pod), pod.tokens.sign("ada", ttl=60)) as ada:
            await ada.join("vip-1")
        with pytest.raises(Refused) as caught:
            async with connect(url(pod), "not-a-token"):
                pass
        assert caught.value.code == "bad_token"


async def test_an_expired_token_is_final_and_a_function_gets_another(
    autojump_clock: MockClock,
) -> None:
    async with running_pod() as pod:

        async def token() -> str:
            return pod.tokens.sign("ada", ttl=30)

        async with connect(url(pod), await token()) as ada, connect(url(pod), token) as ben:
            await ada.join("tea")
            await ben.join("tea")
            with pytest.raises(ClosedForGood) as caught:
                await anext(ada.events("tea"))
            assert (caught.value.code, caught.value.reason) == (4500, "your token has expired")
            await trio.sleep(3)
            await ben.ready()
            await ben.emit("tea", "said")


async def test_who_does_not_show_a_token_in_time_is_turned_away_for_good(
    autojump_clock: MockClock,
) -> None:
    config = evolve(pod_config(), auth=Auth(required=True, timeout=5.0))
    async with running_pod(config) as pod, connect(url(pod)) as nobody:
        with pytest.raises(ClosedForGood, match="no 'auth' message in time"):
            await anext(nobody.events())


async def test_it_outlives_a_restart_waits_as_it_was_told_and_is_in_its_rooms_again(
    autojump_clock: MockClock,
) -> None:
    config = on_port(free_port())
    drain = evolve(config.drain, retry_after_min=4.0, retry_after_max=5.0, window=0.0)
    config = evolve(config, drain=drain)
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        await nursery.start(run_until, config, stop)
        async with connect(f"ws://127.0.0.1:{config.server.port}") as c:
            await c.join("tea")
            stopped = trio.current_time()
            stop.set()
            down = [signal async for signal in first(c, WentDown)][-1]
            assert isinstance(down, WentDown)
            assert (down.code, down.final) == (1012, False)
            assert 4 <= down.wait <= 5.5
            with pytest.raises(Disconnected, match=r"retry_after=.*nothing was sent"):
                await c.emit("tea", "said")
            await nursery.start(run_until, config, trio.Event())
            await c.ready(timeout=60)
            assert trio.current_time() - stopped >= 4
            await c.emit("tea", "said", 1)
            assert (await hear(c, "tea")).data == 1
        nursery.cancel_scope.cancel()


async def run_until(config: Config, stop: trio.Event, task_status: trio.TaskStatus[None]) -> None:
    async with running_pod(config):
        task_status.started()
        await stop.wait()


async def first(client: Client, kind: type[Signal]) -> AsyncIterator[Signal]:
    """Yield signals up to the first of a kind."""
    with trio.fail_after(PATIENCE):
        async for signal in client.signals():
            yield signal
            if isinstance(signal, kind):
                return


async def test_no_pod_at_all_is_said_in_time_and_with_the_reason(
    autojump_clock: MockClock,
) -> None:
    with pytest.raises(Disconnected, match=r"No pod at ws://127.0.0.1:1: .*connection refused"):
        async with connect("ws://127.0.0.1:1"):
            pass


async def test_an_address_where_no_websocket_is_is_final(autojump_clock: MockClock) -> None:
    config = evolve(pod_config(), enabled=False)
    async with running_pod(config) as pod:
        with pytest.raises(ClosedForGood) as caught:
            async with connect(url(pod)):
                pass
        assert caught.value.code == 404


async def test_a_server_that_hangs_up_in_the_handshake_is_noticed_at_once() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some(1024)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, hang_up, 0)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(Disconnected, match="ended in the handshake"):
            async with connect(f"ws://127.0.0.1:{port}", timeout=1.0):
                pass
        nursery.cancel_scope.cancel()


async def test_another_server_than_a_pod_is_an_error_and_no_crash() -> None:
    async def chat(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 mail.example ESMTP\r\n")
        await stream.receive_some(1024)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, chat, 0)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(Disconnected, match="No pod at"):
            async with connect(f"ws://127.0.0.1:{port}", timeout=0.5):
                pass
        nursery.cancel_scope.cancel()


async def test_outages_are_told_and_end() -> None:
    bus = FakeBus()
    async with two_pods(bus) as (a, b), connect(url(a)) as ann, connect(url(b)) as bob:
        await ann.join("tea")
        await bob.join("tea")
        assert (await ann.emit("tea", "said", 1)).scope is Scope.CLUSTER
        assert (await hear(bob, "tea")).data == 1
        assert not ann.degraded
        bus.kill("the cable is out")
        with trio.fail_after(PATIENCE):
            degraded = await anext(ann.outages())
        assert isinstance(degraded, Degraded)
        assert degraded.code == "cut_off"
        assert ann.degraded == degraded
        assert (await ann.emit("tea", "said", 2)).scope is Scope.LOCAL
        async with connect(url(a)) as late:  # who comes meanwhile is told too
            with trio.fail_after(PATIENCE):
                assert isinstance(await anext(late.outages()), Degraded)
        bus.start()
        with trio.fail_after(PATIENCE):
            healed = await anext(ann.outages())
        assert isinstance(healed, Healed)
        assert healed.lost == 1
        assert [client.degraded for client in (ann, bob)] == [None, None]
        assert [(await hear(ann, "tea")).data for _ in range(2)] == [1, 2]


async def test_a_hole_in_a_room_is_told_of_that_room() -> None:
    bus = FakeBus()
    async with two_pods(bus) as (a, b), connect(url(a)) as ann, connect(url(b)) as bob:
        for client in (ann, bob):
            await client.join("tea")
        await ann.emit("tea", "said", "heard")
        assert (await hear(bob, "tea")).data == "heard"
        bus.kill()
        with trio.fail_after(PATIENCE):
            await anext(ann.outages())
        await ann.emit("tea", "said", "lost")
        bus.start()
        with trio.fail_after(PATIENCE):
            told = [await anext(bob.outages()) for _ in range(4)]
        assert [type(outage) for outage in told] == [Degraded, Healed, Gap, Gap]
        gap, whole = told[2:]
        assert isinstance(gap, Gap)
        assert isinstance(whole, Gap)
        assert (gap.room, gap.missed, gap.whole_at) == ("tea", 1, None)
        assert whole.whole_at is not None
        assert bob.degraded is None  # it was a room's, not the pod's


async def test_receipts_say_who_has_heard_where_rooms_are_set_so() -> None:
    broker: Broker = evolve(FAKE, receipts={"bids-*": ReceiptPolicy.HEARD})
    async with (
        two_pods(FakeBus(), broker=broker) as (a, b),
        connect(url(a)) as ann,
        connect(url(b)) as bob,
    ):
        await ann.join("bids-1")
        await bob.join("bids-1")
        receipt = await ann.emit("bids-1", "bid", 10)
        assert receipt.scope is Scope.CLUSTER
        assert (receipt.pods, receipt.of, receipt.members) == (2, 2, 2)


class Doorman(Room[None]):
    """Ends on a word, and crashes on another."""

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if event == "end":
            self.stop("closing time")
        if event == "crash":
            raise RuntimeError("as it was told")
        self.broadcast(event, data)


async def test_a_room_that_ends_is_lost_and_can_be_joined_again() -> None:
    async with running_pod(rooms={"bar": Doorman}) as pod, connect(url(pod)) as c:
        await c.join("bar")
        await c.emit("bar", "end")
        with trio.fail_after(PATIENCE), pytest.raises(RoomLost) as caught:
            async for _ in c.events("bar"):
                pass
        assert caught.value.code == "room_closed"
        await c.join("bar")
        await c.emit("bar", "said", 1)
        assert (await hear(c, "bar")).data == 1


async def test_a_crash_on_an_emit_is_an_error_of_that_emit() -> None:
    async with running_pod(rooms={"bar": Doorman}) as pod, connect(url(pod)) as c:
        await c.join("bar")
        with pytest.raises(Refused) as caught:
            await c.emit("bar", "crash")
        assert caught.value.code == "room_crashed"
        await c.emit("bar", "said", 1)


async def test_a_reader_that_does_not_read_costs_no_more_than_was_allowed() -> None:
    config = pod_config(message_rate_limit=0, byte_rate_limit=0)
    async with (
        running_pod(config) as pod,
        connect(url(pod)) as ada,
        connect(url(pod), most_unread=10, unread=Unread.DROP_OLDEST) as ben,
    ):
        for client in (ada, ben):
            await client.join("chat")
        for number in range(200):
            await ada.emit("chat", "said", number)
        while (event := await hear(ben, "chat")).data != 199:
            assert ben.connected
        assert event.data == 199
        assert ben.events("chat").missed >= 1


async def test_too_fast_is_a_refusal_that_says_when_to_come_again() -> None:
    async with (
        running_pod(pod_config(message_rate_limit=5)) as pod,
        connect(url(pod)) as c,
    ):
        await c.join("chat")
        with pytest.raises(Refused) as caught:  # noqa: PT012 - which of them it is depends
            for _ in range(20):
                await c.emit("chat", "said")
        assert caught.value.code == "too_fast"
        assert caught.value.retry_after is not None

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing

from deployd.transport import BrokerRefused, BrokerUnavailable, MessageTooLarge
from deployd.transport.brokers.bridge import receive_queue
from deployd.transport.brokers.bridge.bridge import _CANCELLING, _DRIVER_CLOSE, _JOIN
from deployd.transport.brokers.bridge.bridged import _CLOSE, Bridged, Feed
from deployd.transport.brokers.contract import Channel, Message
from support.inboxes import HANGS, Heard, descriptors, threads, wait_until

ROOM = "room.a"


class Echo:
    """A driver without a server: it hears what it publishes."""

    max_payload = 1000
    endpoint = "echo:1"
    node = "echo"
    routed = False

    def __init__(self) -> None:
        self.channels: set[Channel] = set()
        self.closes = 0
        self.feed: Feed | None = None
        self.tasks: list[asyncio.Task[None]] = []

    async def open(self, feed: Feed) -> None:
        self.feed = feed

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        self.channels.update(channels)

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        await self.subscribe(channels)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        self.channels.difference_update(channels)

    async def publish(self, batch: Sequence[Message]) -> None:
        for channel, payload in batch:
            if channel in self.channels:
                await self.hear(channel, payload)

    async def hear(self, channel: Channel, payload: bytes) -> None:
        assert self.feed is not None
        await self.feed.put(channel, payload)

    async def close(self) -> None:
        self.closes += 1

    def probes(self, channel: Channel) -> Sequence[Channel]:
        return (channel, channel + "2")


@asynccontextmanager
async def bridged(driver: Echo) -> AsyncIterator[tuple[Bridged, Heard]]:
    """The driver behind a connected bridge."""
    broker, heard = Bridged(driver), Heard()
    async with trio.open_nursery() as nursery:
        await broker.connect(heard, nursery)
        try:
            yield broker, heard
        finally:
            await broker.close()


async def test_what_a_driver_hears_arrives_in_order() -> None:
    async with bridged(Echo()) as (broker, heard):
        await broker.subscribe([ROOM])
        sent = [(ROOM, b"%d" % number) for number in range(3000)]
        for start in range(0, 3000, 500):
            await broker.publish(sent[start : start + 500])
        await heard.until_heard(3000)
    assert heard.messages == sent


async def test_what_comes_while_the_pod_is_full_is_kept_and_comes_in_order() -> None:
    class Filling(Heard):
        """Is full after each hundredth message, until somebody lets it go on."""

        def __init__(self) -> None:
            super().__init__()
            self.resume: Callable[[], object] | None = None
            self.times = 0

        def full(self, resume: Callable[[], object]) -> bool:
            if len(self.messages) % 100 == 0:
                self.resume = resume
                self.times += 1
                return True
            return False

    driver, heard = Echo(), Filling()
    broker = Bridged(driver)
    sent = [(ROOM, b"%d" % number) for number in range(5000)]
    async with trio.open_nursery() as nursery:
        await broker.connect(heard, nursery)
        await broker.subscribe([ROOM])

        async def publish() -> None:
            await broker.publish(sent)

        nursery.start_soon(publish)
        await heard.until_heard(100)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert len(heard.messages) == 100  # and the driver waits for room
        with trio.fail_after(HANGS):
            while len(heard.messages) < 5000:
                await trio.lowlevel.checkpoint()
                resume, heard.resume = heard.resume, None
                if resume is not None:
                    resume()
        assert heard.messages == sent
        await broker.close()
    assert heard.times == 50


async def test_a_bridge_that_is_closed_while_the_pod_is_full_delivers_nothing_more() -> None:
    class Full(Heard):
        def full(self, resume: Callable[[], object]) -> bool:
            self.resume = resume
            return True

    heard = Full()
    broker = Bridged(Echo())
    async with trio.open_nursery() as nursery:
        await broker.connect(heard, nursery)
        await broker.subscribe([ROOM])
        await broker.publish([(ROOM, b"1"), (ROOM, b"2")])
        await heard.until_heard(1)
        await broker.close()
        heard.resume()
        await trio.testing.wait_all_tasks_blocked(0.01)
    assert heard.messages == [(ROOM, b"1")]


async def test_the_driver_says_what_it_takes_where_it_is_and_what_proves_it() -> None:
    driver = Echo()
    broker = Bridged(driver)
    assert (broker.max_payload, broker.endpoint) == (1000, "echo:1")
    assert broker.probes(ROOM) == (ROOM, "room.a2")
    driver.max_payload = 10
    assert broker.max_payload == 10


async def test_a_batch_with_a_message_too_large_is_not_sent() -> None:
    async with bridged(Echo()) as (broker, heard):
        await broker.subscribe([ROOM])
        with pytest.raises(MessageTooLarge):
            await broker.publish([(ROOM, b"small"), (ROOM, b"x" * 1001)])
        await broker.publish([(ROOM, b"x" * 1000)])
        await heard.until_heard(1)
    assert [len(payload) for _, payload in heard.messages] == [1000]


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (BrokerRefused("no."), BrokerRefused, "no."),
        (ValueError("secret"), BrokerUnavailable, "echo:1: its client failed with ValueError."),
        (asyncio.CancelledError(), BrokerUnavailable, "cancelled by its client"),
    ],
)
async def test_every_error_of_a_driver_is_a_broker_error(
    raised: BaseException, expected: type[Exception], words: str
) -> None:
    class Failing(Echo):
        async def publish(self, batch: Sequence[Message]) -> None:
            raise raised

    async with bridged(Failing()) as (broker, heard):
        with pytest.raises(expected, match=words) as caught:
            await broker.publish([(ROOM, b"")])
    assert "secret" not in str(caught.value)
    assert heard.losses == []


async def test_a_loss_is_told_once_and_not_after_closing() -> None:
    driver = Echo()
    async with bridged(driver) as (_, heard):
        assert driver.feed is not None
        driver.feed.lost(BrokerUnavailable("first"))
        driver.feed.lost(BrokerUnavailable("second"))
        await heard.until_lost()
        await trio.testing.wait_all_tasks_blocked(0.01)
    driver.feed.lost(BrokerUnavailable("third"))
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert [str(error) for error in heard.losses] == ["first"]


async def test_a_loss_ends_the_calls_that_would_never_be_answered() -> None:
    class Losing(Echo):
        async def publish(self, batch: Sequence[Message]) -> None:
            assert self.feed is not None
            self.feed.lost(BrokerRefused("no permission"))
            await asyncio.sleep(3600)

    async with bridged(Losing()) as (broker, heard):
        for _ in range(2):
            with pytest.raises(BrokerRefused, match="no permission"):
                await broker.publish([(ROOM, b"")])
    assert len(heard.losses) == 1


async def test_an_exception_in_a_forgotten_task_is_a_loss() -> None:
    class Forgetful(Echo):
        async def subscribe(self, channels: Sequence[Channel]) -> None:
            async def fail() -> None:
                raise KeyError("secret")

            asyncio.ensure_future(fail())  # noqa: RUF006 - forgetting it is the point

    async with bridged(Forgetful()) as (broker, heard):
        with suppress(BrokerUnavailable):  # the loss may be faster
            await broker.subscribe([ROOM])
        await heard.until_lost()
    assert "KeyError" in str(heard.losses[0])
    assert "secret" not in str(heard.losses[0])


@pytest.mark.parametrize("how", ["exit", "stop"])
async def test_a_loop_that_ends_by_itself_is_a_loss_and_ends_the_calls(how: str) -> None:
    class Crashing(Echo):
        async def publish(self, batch: Sequence[Message]) -> None:
            if how == "exit":
                raise SystemExit
            asyncio.get_running_loop().stop()
            await asyncio.Event().wait()

    async with bridged(Crashing()) as (broker, heard):
        with pytest.raises(BrokerUnavailable):
            await broker.publish([(ROOM, b"")])
        await heard.until_lost()
        with pytest.raises(BrokerUnavailable):
            await broker.subscribe([ROOM])
    assert len(heard.losses) == 1


class Stubborn(Echo):
    """A driver whose every call hangs, and `close` too; it swallows cancellation."""

    async def _hang(self) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    async def open(self, feed: Feed) -> None:
        await self._hang()

    async def close(self) -> None:
        await self._hang()


async def test_a_call_that_is_cancelled_returns_at_once_whatever_the_driver_does() -> None:
    broker = Bridged(Stubborn())
    async with trio.open_nursery() as nursery:
        with trio.fail_after(HANGS):  # the driver never ends
            with trio.move_on_after(0.05) as patience:
                await broker.connect(Heard(), nursery)
            assert patience.cancelled_caught
            await broker.close()
    assert threads() == []


def test_closing_takes_less_than_a_second_whatever_a_driver_does() -> None:
    """Its time is over before the second is, and what is behind it has less."""
    assert _DRIVER_CLOSE + _CANCELLING + _JOIN < _CLOSE < 1.0


async def test_a_cancelled_call_is_cancelled_on_the_loop() -> None:
    cancelled = threading.Event()

    class Slow(Echo):
        async def publish(self, batch: Sequence[Message]) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                cancelled.set()

    async with bridged(Slow()) as (broker, _):
        with trio.move_on_after(0.02):
            await broker.publish([(ROOM, b"")])
        await wait_until(cancelled.is_set)


async def test_closing_ends_the_calls_that_are_under_way() -> None:
    class Slow(Echo):
        async def publish(self, batch: Sequence[Message]) -> None:
            await asyncio.sleep(3600)

    async with bridged(Slow()) as (broker, heard), trio.open_nursery() as nursery:

        async def publish() -> None:
            with pytest.raises(BrokerUnavailable, match="closed"):
                await broker.publish([(ROOM, b"")])

        nursery.start_soon(publish)
        await trio.testing.wait_all_tasks_blocked()
        await broker.close()
    assert heard.losses == []


async def test_closing_is_allowed_at_any_time_and_twice() -> None:
    driver = Echo()
    await Bridged(driver).close()
    async with bridged(driver) as (broker, _):
        await broker.close()
        await broker.close()
        with pytest.raises(BrokerUnavailable):
            await broker.publish([(ROOM, b"")])
    assert driver.closes == 1


async def test_a_bridge_connects_once() -> None:
    async with bridged(Echo()) as (broker, heard), trio.open_nursery() as nursery:
        with pytest.raises(BrokerUnavailable, match="once"):
            await broker.connect(heard, nursery)


async def test_a_cancelled_nursery_closes_what_nobody_closed() -> None:
    driver = Echo()
    async with trio.open_nursery() as nursery:
        await Bridged(driver).connect(Heard(), nursery)
        nursery.cancel_scope.cancel()
    await wait_until(lambda: driver.closes == 1 and not threads())


async def test_deliveries_after_closing_are_dropped() -> None:
    driver = Echo()
    async with bridged(driver) as (broker, heard):
        await broker.subscribe([ROOM])
    assert driver.feed is not None
    await driver.feed.put(ROOM, b"late")
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert heard.messages == []


async def test_a_flood_waits_for_a_slow_pod() -> None:
    class Flood(Echo):
        put = 0

        async def publish(self, batch: Sequence[Message]) -> None:
            while True:
                await self.hear(ROOM, b"x")
                self.put += 1

    driver = Flood()
    async with bridged(driver) as (broker, heard), trio.open_nursery() as nursery:
        nursery.start_soon(broker.publish, [(ROOM, b"")])
        await heard.until_heard(1)
        before = -1
        while before != driver.put:  # the pod does nothing until the flood stands still
            before = driver.put
            time.sleep(0.05)  # noqa: ASYNC251
        assert 0 < driver.put - len(heard.messages) <= receive_queue.MAX_WAITING_MESSAGES
        await heard.until_heard(before + receive_queue.MAX_WAITING_MESSAGES)
        nursery.cancel_scope.cancel()


async def test_what_waits_is_bounded_by_bytes_too() -> None:
    class Wide(Echo):
        max_payload = 2**20
        put = 0

        async def publish(self, batch: Sequence[Message]) -> None:
            for channel, payload in batch:
                await self.hear(channel, payload)
                self.put += 1

    driver = Wide()
    async with bridged(driver) as (broker, heard), trio.open_nursery() as nursery:
        nursery.start_soon(broker.publish, [(ROOM, bytes(2**20))] * 40)
        await heard.until_heard(1)
        before = -1
        while before != driver.put:
            before = driver.put
            time.sleep(0.05)  # noqa: ASYNC251
        assert 0 < driver.put - len(heard.messages) <= receive_queue.MAX_WAITING_BYTES // 2**20
        await heard.until_heard(40)


async def test_a_blocked_loop_holds_up_nobody_and_closes_when_it_wakes() -> None:
    wake = threading.Event()

    class Blocking(Echo):
        async def open(self, feed: Feed) -> None:
            wake.wait(30)

    before = descriptors()
    broker = Bridged(Blocking())
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(0.05):
            await broker.connect(Heard(), nursery)
        await broker.close()
    assert threads()  # abandoned, and the nursery has not waited for it either
    wake.set()
    await wait_until(lambda: not threads())
    assert descriptors() <= before


async def test_a_silent_name_server_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    wake = threading.Event()

    def look_up(*_: object) -> object:
        wake.wait(30)
        raise socket.gaierror

    class Resolving(Echo):
        async def open(self, feed: Feed) -> None:
            await asyncio.open_connection("nowhere.invalid", 1)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    before = descriptors()
    broker = Bridged(Resolving())
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(0.05):
            await broker.connect(Heard(), nursery)
        with trio.fail_after(HANGS):
            await broker.close()
    assert threads() == []  # it has ended, and was not abandoned
    assert descriptors() <= before
    wake.set()


class Connecting(Echo):
    """A driver that connects to a silent server and forgets to close."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.streams: list[asyncio.StreamWriter] = []

    async def open(self, feed: Feed) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.streams.append(writer)
        writer.write(bytes(10_000_000))  # never read: something is left to send at the end
        await reader.read()


async def test_a_hundred_hung_incarnations_leave_nothing_behind() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        port = server.getsockname()[1]
        await _abandon(Connecting(port))
        # Threads and descriptors that earlier tests have left may end meanwhile: only more is bad.
        before = descriptors()
        for number in range(100):
            await _abandon(Connecting(port) if number % 10 else Stubborn())
        assert threads() == []
        assert descriptors() <= before


async def _abandon(driver: Echo) -> None:
    broker = Bridged(driver)
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(0.01):
            await broker.connect(Heard(), nursery)
        await broker.close()


async def test_no_descriptor_left_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> object:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr("deployd.transport.brokers.bridge.bridge.DisposableLoop", refuse)
    broker = Bridged(Echo())
    async with trio.open_nursery() as nursery:
        with pytest.raises(BrokerUnavailable, match="descriptor"):
            await broker.connect(Heard(), nursery)
    await broker.close()


async def test_no_thread_left_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = descriptors()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    async with trio.open_nursery() as nursery:
        with pytest.raises(BrokerUnavailable, match="thread"):
            await Bridged(Echo()).connect(Heard(), nursery)
    assert descriptors() <= before


def test_a_trio_run_that_ended_ends_the_thread_that_still_calls_back() -> None:
    wake = threading.Event()

    class Late(Echo):
        async def open(self, feed: Feed) -> None:
            await feed.put(ROOM, b"")
            wake.wait(30)
            await feed.put(ROOM, b"late")
            feed.lost(BrokerUnavailable("late"))

    async def pod() -> None:
        with trio.move_on_after(0.05):
            async with trio.open_nursery() as nursery:
                await Bridged(Late()).connect(Heard(), nursery)

    before = descriptors()
    trio.run(pod)
    assert len(threads()) == 1
    wake.set()
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert threads() == []
    assert descriptors() <= before

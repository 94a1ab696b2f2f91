from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from deployd.transport import Outbox, OutboxFailure

CLOSE = b"[close]"


class Pair:
    """An outbox whose kernel buffer is small, and the peer that reads from it."""

    def __init__(
        self,
        max_messages: int = 100,
        max_bytes: int = 1_000_000,
        stall_timeout: float = 60.0,
        kind: type[socket.socket] = socket.socket,
    ) -> None:
        sock, self.peer = socket.socketpair()
        self.sock = kind(fileno=sock.detach())
        self.sock.setblocking(False)
        self.peer.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.failures: list[OutboxFailure] = []
        self.outbox = Outbox(
            self.sock,
            max_messages=max_messages,
            max_bytes=max_bytes,
            stall_timeout=stall_timeout,
            on_failure=self.failures.append,
        )

    def fill(self) -> bytes:
        """Send until the kernel takes no more, leaving nothing in the outbox."""
        sent = b""
        try:
            while True:
                sent += b"f" * self.sock.send(b"f" * 512)
        except BlockingIOError:
            return sent

    def read(self) -> bytes:
        received = b""
        try:
            while data := self.peer.recv(65536):
                received += data
        except (BlockingIOError, ConnectionResetError):
            pass
        return received

    async def read_to_the_end(self) -> bytes:
        received = b""
        while True:
            await trio.lowlevel.wait_readable(self.peer)
            data = self.peer.recv(700)
            if not data:
                return received
            received += data

    def close(self) -> None:
        self.sock.close()
        self.peer.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


@pytest.fixture
def small() -> Iterator[Pair]:
    made = Pair(max_messages=4, max_bytes=100, stall_timeout=10.0)
    yield made
    made.close()


async def test_what_the_kernel_takes_never_waits(pair: Pair) -> None:
    pair.outbox.write(b"hello", 2)
    assert pair.read() == b"hello"
    statistics = pair.outbox.statistics()
    assert (statistics.written_messages, statistics.written_bytes) == (2, 5)
    assert (statistics.waiting_messages, statistics.high_water_messages) == (0, 0)


async def test_no_drain_task_exists_unless_something_waits(
    pair: Pair, nursery: trio.Nursery
) -> None:
    pair.outbox.attach(nursery.start_soon)
    before = len(nursery.child_tasks)
    pair.outbox.write(b"hello")
    assert len(nursery.child_tasks) == before
    pair.fill()
    pair.outbox.write(b"a")
    pair.outbox.write(b"b")
    assert len(nursery.child_tasks) == before + 1
    while pair.outbox.statistics().waiting_messages:
        pair.read()
        await wait_all_tasks_blocked()
    assert len(nursery.child_tasks) == before


async def test_what_waits_is_sent_in_order_when_the_peer_reads(
    pair: Pair, nursery: trio.Nursery
) -> None:
    pair.outbox.attach(nursery.start_soon)
    filled = pair.fill()
    expected = b""
    for number in range(50):
        piece = b"%d," % number * 300
        pair.outbox.write(piece)
        expected += piece
    pair.outbox.end(CLOSE)
    nursery.start_soon(close_when_flushed, pair)
    assert await pair.read_to_the_end() == filled + expected + CLOSE
    statistics = pair.outbox.statistics()
    assert statistics.written_messages == 50
    assert statistics.written_bytes == len(expected + CLOSE)
    assert statistics.high_water_messages == 50
    assert statistics.partial_sends > 0


async def close_when_flushed(pair: Pair) -> None:
    await pair.outbox.flushed()
    pair.outbox.close()


async def test_what_waited_before_the_drain_could_run_is_sent(
    pair: Pair, nursery: trio.Nursery
) -> None:
    filled = pair.fill()
    pair.outbox.write(b"early")
    pair.outbox.attach(nursery.start_soon)
    assert pair.read() == filled
    await pair.outbox.flushed()
    assert pair.read() == b"early"


async def test_too_many_messages_overflow_once(small: Pair) -> None:
    small.fill()
    for _ in range(4):
        small.outbox.write(b"x")
    assert small.failures == []
    small.outbox.write(b"x")
    small.outbox.write(b"x")
    assert small.failures == [OutboxFailure.OVERFLOW]
    assert small.outbox.statistics().failure is OutboxFailure.OVERFLOW


async def test_too_many_bytes_overflow(small: Pair) -> None:
    small.fill()
    small.outbox.write(b"x" * 100)
    assert small.failures == []
    small.outbox.write(b"x")
    assert small.failures == [OutboxFailure.OVERFLOW]


async def test_control_frames_count_by_their_bytes(small: Pair) -> None:
    small.fill()
    for _ in range(50):
        small.outbox.write(b"po", 0)
    assert small.failures == []
    small.outbox.write(b"po", 0)
    assert small.failures == [OutboxFailure.OVERFLOW]


async def test_an_overflow_keeps_only_what_has_begun_to_leave(small: Pair) -> None:
    small.outbox.write(b"begun" * 10_000, 1)
    [failure] = small.failures
    assert failure is OutboxFailure.OVERFLOW
    statistics = small.outbox.statistics()
    assert statistics.waiting_bytes == 50_000 - statistics.written_bytes
    small.outbox.write(b"ignored")
    assert small.outbox.statistics().waiting_bytes == statistics.waiting_bytes


async def test_a_joined_batch_counts_only_the_part_that_waits(pair: Pair) -> None:
    batch = b"0123456789" * 1_000
    pair.outbox.write(batch, 1_000)  # ten times the bound, but the kernel takes a share
    written = pair.outbox.statistics().written_messages
    statistics = pair.outbox.statistics()
    assert statistics.high_water_messages == 1_000 - written
    rest = len(batch) - statistics.written_bytes
    assert statistics.high_water_messages == -(-rest // 10)


async def test_lagging_means_more_than_half_of_a_bound(small: Pair) -> None:
    small.fill()
    small.outbox.write(b"x", 2)
    assert not small.outbox.lagging
    small.outbox.write(b"x", 1)
    assert small.outbox.lagging


async def test_lagging_counts_bytes_too(small: Pair) -> None:
    small.fill()
    small.outbox.write(b"x" * 50)
    assert not small.outbox.lagging
    small.outbox.write(b"x", 0)
    assert small.outbox.lagging


async def test_a_peer_that_takes_nothing_has_stalled(
    small: Pair, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    small.outbox.attach(nursery.start_soon)
    small.fill()
    small.outbox.write(b"x")
    await trio.sleep(9.9)
    assert small.failures == []
    await trio.sleep(0.2)
    assert small.failures == [OutboxFailure.STALLED]
    await trio.sleep(100)
    assert small.failures == [OutboxFailure.STALLED]
    small.outbox.close()


async def test_any_progress_is_no_stall(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    pair = Pair(stall_timeout=10.0)
    pair.outbox.attach(nursery.start_soon)
    for _ in range(40):
        pair.outbox.write(b"x" * 4_000)
    for _ in range(4):
        await trio.sleep(9)
        before = pair.outbox.statistics().written_bytes
        while pair.outbox.statistics().written_bytes == before:
            assert pair.peer.recv(2_000)
            await wait_all_tasks_blocked()
    assert pair.failures == []
    await trio.sleep(11)
    assert pair.failures == [OutboxFailure.STALLED]
    pair.outbox.close()
    pair.close()


async def test_a_broken_socket_is_reported_once_and_never_raises(pair: Pair) -> None:
    pair.peer.close()
    pair.outbox.write(b"x")
    pair.outbox.write(b"x")
    pair.outbox.end(CLOSE)
    assert pair.failures == [OutboxFailure.BROKEN]


async def test_a_socket_that_breaks_while_something_waits_is_reported(
    pair: Pair, nursery: trio.Nursery
) -> None:
    pair.outbox.attach(nursery.start_soon)
    pair.fill()
    pair.outbox.write(b"x")
    pair.peer.close()
    await pair.outbox.flushed()
    assert pair.failures == [OutboxFailure.BROKEN]


async def test_abandon_forgets_what_waits_but_keeps_a_piece_whole(
    pair: Pair, nursery: trio.Nursery
) -> None:
    pair.outbox.attach(nursery.start_soon)
    pair.outbox.write(b"begun" * 10_000)
    pair.outbox.write(b"forgotten")
    pair.outbox.abandon(CLOSE)
    pair.outbox.write(b"too late")
    nursery.start_soon(close_when_flushed, pair)
    assert await pair.read_to_the_end() == b"begun" * 10_000 + CLOSE


async def test_abandon_forgets_everything_that_has_not_begun_to_leave(
    pair: Pair, nursery: trio.Nursery
) -> None:
    pair.outbox.attach(nursery.start_soon)
    filled = pair.fill()
    pair.outbox.write(b"forgotten")
    pair.outbox.end(b"[polite close]")
    pair.outbox.abandon(CLOSE)
    nursery.start_soon(close_when_flushed, pair)
    assert await pair.read_to_the_end() == filled + CLOSE


async def test_abandon_after_an_overflow_still_says_why(small: Pair, nursery: trio.Nursery) -> None:
    small.outbox.attach(nursery.start_soon)
    filled = small.fill()
    small.outbox.write(b"x" * 101)
    assert small.failures == [OutboxFailure.OVERFLOW]
    small.outbox.abandon(CLOSE)
    nursery.start_soon(close_when_flushed, small)
    assert await small.read_to_the_end() == filled + CLOSE


async def test_the_last_frame_may_exceed_the_bounds(small: Pair, nursery: trio.Nursery) -> None:
    small.outbox.attach(nursery.start_soon)
    filled = small.fill()
    small.outbox.write(b"x" * 100)
    small.outbox.end(CLOSE)
    assert small.failures == []
    nursery.start_soon(close_when_flushed, small)
    assert await small.read_to_the_end() == filled + b"x" * 100 + CLOSE


async def test_only_the_first_failure_is_reported(small: Pair, nursery: trio.Nursery) -> None:
    small.outbox.attach(nursery.start_soon)
    small.outbox.write(b"begun" * 10_000)
    small.peer.close()
    await small.outbox.flushed()
    assert small.failures == [OutboxFailure.OVERFLOW]
    assert small.outbox.statistics().waiting_bytes == 0


async def test_a_drain_whose_bytes_were_forgotten_ends_quietly(
    small: Pair, nursery: trio.Nursery
) -> None:
    before = len(nursery.child_tasks)
    small.outbox.attach(nursery.start_soon)
    small.fill()
    small.outbox.write(b"x", 4)
    await wait_all_tasks_blocked()
    small.outbox.write(b"one too many")
    assert small.failures == [OutboxFailure.OVERFLOW]
    assert small.outbox.statistics().waiting_bytes == 0
    small.read()
    await wait_all_tasks_blocked()
    assert len(nursery.child_tasks) == before


async def test_a_socket_that_only_seemed_writable_is_tried_again(nursery: trio.Nursery) -> None:
    class Moody(socket.socket):
        refusals = 3

        def sendmsg(self, *args: Any) -> int:
            self.refusals -= 1
            if self.refusals >= 0:
                raise BlockingIOError
            return super().sendmsg(*args)

    pair = Pair(kind=Moody)
    pair.outbox.attach(nursery.start_soon)
    filled = pair.fill()
    pair.outbox.write(b"patience")
    assert pair.read() == filled
    await pair.outbox.flushed()
    assert pair.read() == b"patience"
    assert pair.failures == []
    pair.close()


async def test_the_last_frame_is_sent_once(pair: Pair) -> None:
    pair.outbox.end(CLOSE)
    pair.outbox.end(CLOSE)
    pair.outbox.abandon(CLOSE)
    pair.outbox.write(b"x")
    assert pair.read() == CLOSE


async def test_a_last_frame_under_way_is_not_cut_in_two(pair: Pair, nursery: trio.Nursery) -> None:
    pair.outbox.attach(nursery.start_soon)
    last = b"long close" * 1_000
    pair.outbox.end(last)
    pair.outbox.abandon(CLOSE)
    nursery.start_soon(close_when_flushed, pair)
    assert await pair.read_to_the_end() == last


async def test_close_wakes_whoever_waits(pair: Pair, nursery: trio.Nursery) -> None:
    pair.outbox.attach(nursery.start_soon)
    pair.fill()
    pair.outbox.write(b"x")
    nursery.start_soon(pair.outbox.flushed)
    nursery.start_soon(pair.outbox.flushed)
    await wait_all_tasks_blocked()
    assert len(nursery.child_tasks) >= 3
    pair.outbox.close()
    pair.outbox.close()
    await wait_all_tasks_blocked()
    assert pair.outbox.closed
    assert pair.failures == []
    assert pair.outbox.statistics().waiting_bytes == 0
    pair.outbox.write(b"ignored")
    pair.outbox.abandon(CLOSE)
    assert pair.outbox.statistics().waiting_bytes == 0


async def test_an_overflow_wakes_whoever_waits_for_a_flush() -> None:
    pair = Pair(max_messages=1)
    pair.outbox.write(b"x" * 10_000)  # partly taken: the rest is kept whole
    async with trio.open_nursery() as waiting:
        waiting.start_soon(pair.outbox.flushed)
        await wait_all_tasks_blocked()
        pair.outbox.write(b"x")
    assert pair.failures == [OutboxFailure.OVERFLOW]
    pair.close()


async def test_closing_with_waiting_bytes_resets_the_connection() -> None:
    for waiting, expected in ((True, ConnectionResetError), (False, None)):
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = socket.create_connection(server.getsockname())
            sock, _ = server.accept()
        sock.setblocking(False)
        outbox = Outbox(
            sock, max_messages=9, max_bytes=1 << 26, stall_timeout=9, on_failure=lambda _: None
        )
        outbox.write(b"x" * ((1 << 25) if waiting else 1))
        assert bool(outbox.statistics().waiting_bytes) is waiting
        outbox.close()
        error = None
        try:
            while peer.recv(1 << 20):
                pass
        except OSError as caught:
            error = type(caught)
        peer.close()
        assert error is expected


@settings(max_examples=50, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 5)), max_size=30),
    reads=st.lists(st.integers(1, 20_000), min_size=1, max_size=10),
)
def test_whatever_the_sizes_every_byte_arrives_once_and_in_order(
    pieces: list[tuple[int, int]], reads: list[int]
) -> None:
    async def main() -> None:
        pair = Pair(max_messages=1_000)
        expected = b"".join(bytes([number]) * size for number, (size, _) in enumerate(pieces))
        async with trio.open_nursery() as nursery:
            pair.outbox.attach(nursery.start_soon)
            for number, (size, messages) in enumerate(pieces):
                pair.outbox.write(bytes([number]) * size, messages)
                statistics = pair.outbox.statistics()
                total = statistics.waiting_bytes + statistics.written_bytes
                assert total == sum(size for size, _ in pieces[: number + 1])
            nursery.start_soon(close_when_flushed, pair)
            received = b""
            for turn in range(1_000_000):
                await trio.lowlevel.wait_readable(pair.peer)
                data = pair.peer.recv(reads[turn % len(reads)])
                if not data:
                    break
                received += data
        assert received == expected
        statistics = pair.outbox.statistics()
        assert statistics.written_messages == sum(messages for _, messages in pieces)
        assert statistics.waiting_messages == 0
        pair.close()

    trio.run(main)

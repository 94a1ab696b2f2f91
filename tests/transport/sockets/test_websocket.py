from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator

import attrs
import pytest
import trio
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, Pong, TextMessage

from deployd.transport import (
    CloseCode,
    Closure,
    Deflater,
    OutboxFailure,
    WebSocket,
    WebSocketLimits,
    text_frame,
)
from deployd.transport.sockets.client_frames import ClientFrames
from support.heard_frames import HeardFrames
from support.raw import opening

HEAD = (
    b"GET /socket.io/?x=1 HTTP/1.1\r\nHost: localhost:2403\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
LIMITS = WebSocketLimits(
    max_message_bytes=65536,
    max_fragments=16,
    max_buffer_messages=50,
    max_buffer_bytes=1 << 20,
    stall_timeout=60.0,
    read_buffer_size=4096,
    close_timeout=2.0,
)


class Mail:
    """An inbox that keeps what it gets; `room` says whether it has room."""

    def __init__(self) -> None:
        self.got: list[tuple[str, int]] = []
        self.failures: list[OutboxFailure] = []
        self.told: Closure | None = None
        self.room = trio.Event()
        self.room.set()

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.got]

    @property
    def full(self) -> bool:
        return not self.room.is_set()

    def put(self, message: str | bytes, nbytes: int) -> None:
        assert isinstance(message, str)
        self.got.append((message, nbytes))

    def ended(self, closure: Closure) -> None:
        self.told = closure

    def outbox_failed(self, failure: OutboxFailure) -> None:
        self.failures.append(failure)


class Dialogue:
    """A WebSocket, its inbox, and a client made of wsproto's own client half."""

    def __init__(
        self, nursery: trio.Nursery, head: bytes = HEAD, limits: WebSocketLimits = LIMITS
    ) -> None:
        self.sock, self.peer = socket.socketpair()
        self.sock.setblocking(False)
        self.peer.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.mail = Mail()
        self.nursery = nursery
        good, rest = opening(head)
        self.websocket = WebSocket(self.sock, good, limits, self.mail, rest=rest)
        self.client = Connection(ConnectionType.CLIENT)
        self.away = False
        self.listened: trio.Event | None = None
        response, _, rest = self.peer.recv(65536).partition(b"\r\n\r\n")
        self.response = response + b"\r\n\r\n"
        self.client.receive_data(rest)

    def start(self) -> Dialogue:
        self.websocket.attach(self.nursery.start_soon)
        self.listen()
        return self

    def listen(self) -> None:
        """Let the owner listen in a task, which `call_away` ends."""
        self.listened = trio.Event()
        self.away = False
        self.nursery.start_soon(self._listen, self.listened)

    async def _listen(self, over: trio.Event) -> None:
        while not (self.away or self.mail.told):
            await self.websocket.listen()
        over.set()

    async def call_away(self) -> None:
        self.away = True
        self.websocket.call_away()
        if self.listened is not None:
            await self.listened.wait()

    async def make_room(self) -> None:
        """Let the inbox have room again, of which the owner is told."""
        self.mail.room.set()
        await self.call_away()
        self.listen()

    async def close(self, code: CloseCode, reason: str = "") -> None:
        await self.call_away()
        await self.websocket.close(code, reason)

    async def abandon(self, code: CloseCode, reason: str) -> None:
        await self.call_away()
        await self.websocket.abandon(code, reason)

    @property
    def closed(self) -> Closure | None:
        """How it ended, when the socket is closed."""
        return self.mail.told or (self.websocket.ended if self.websocket.outbox.closed else None)

    async def say(self, *events: Event) -> None:
        self.peer.send(b"".join(self.client.send(event) for event in events))
        await wait_all_tasks_blocked()

    async def hear(self) -> list[Event]:
        """Return what has come, reading until nothing more does."""
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while data := self.peer.recv(65536):
                self.client.receive_data(data)
                await wait_all_tasks_blocked()
        return list(self.client.events())

    def paused(self) -> bool:
        return self.websocket.paused

    def over(self) -> bool:
        return self.closed is not None

    def fill(self) -> None:
        """Send until something waits in the outbox."""
        while not self.websocket.outbox.statistics().waiting_messages:
            self.websocket.write(text_frame(b"f" * 500))


@pytest.fixture
def unstarted(nursery: trio.Nursery) -> Iterator[Dialogue]:
    made = Dialogue(nursery)
    yield made
    made.sock.close()
    made.peer.close()


@pytest.fixture
async def dialogue(unstarted: Dialogue) -> Dialogue:
    unstarted.start()
    await wait_all_tasks_blocked()
    return unstarted


# The handshake


async def test_the_handshake_is_the_example_of_the_standard(dialogue: Dialogue) -> None:
    lines = dialogue.response.lower().split(b"\r\n")
    assert lines[0].startswith(b"http/1.1 101 ")
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in lines
    assert b"upgrade: websocket" in lines
    assert b"sec-websocket-extensions" not in dialogue.response.lower()


async def test_frames_sent_behind_the_head_are_not_lost(nursery: trio.Nursery) -> None:
    eager = Connection(ConnectionType.CLIENT).send(TextMessage("eager"))
    dialogue = Dialogue(nursery, HEAD + eager[:5]).start()
    dialogue.peer.send(eager[5:])
    await wait_all_tasks_blocked()
    assert dialogue.mail.got == [("eager", 5)]
    dialogue.websocket.abort()
    dialogue.peer.close()


# Messages


async def test_a_message_reaches_the_inbox_with_its_size_in_bytes(dialogue: Dialogue) -> None:
    await dialogue.say(TextMessage("grüße"), TextMessage(""), TextMessage("x"))
    assert dialogue.mail.got == [("grüße", 7), ("", 0), ("x", 1)]


async def test_what_is_written_reaches_the_client_without_a_task_switch(
    dialogue: Dialogue,
) -> None:
    await wait_all_tasks_blocked()
    dialogue.websocket.write(text_frame(b"a") + text_frame(b"b"), 2)
    assert await dialogue.hear() == [TextMessage("a"), TextMessage("b")]
    assert dialogue.websocket.outbox.statistics().written_messages == 2


async def test_an_answer_is_compressed_for_a_client_that_takes_it_alone(
    nursery: trio.Nursery,
) -> None:
    limits = evolve(LIMITS, deflater=Deflater(threshold=100))
    offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    for head, first in ((HEAD, b"\x81"), (HEAD.removesuffix(b"\r\n") + offer, b"\xc1")):
        dialogue = Dialogue(nursery, head, limits)
        with dialogue.sock, dialogue.peer:
            dialogue.websocket.say(b"small")
            dialogue.websocket.say(b"large" * 100)
            small, large = text_frame(b"small"), dialogue.peer.recv(65536)
            assert large.startswith(small + first)
            assert (len(large) > 500) is (first == b"\x81")


async def test_a_pong_waits_behind_what_was_written_before(dialogue: Dialogue) -> None:
    dialogue.fill()
    await dialogue.say(Ping(b"?"))
    heard: list[Event] = []
    while Pong(b"?") not in heard:
        heard += await dialogue.hear()
        await wait_all_tasks_blocked()
    assert heard[-1] == Pong(b"?")
    assert len(heard) > 1


async def test_nothing_is_read_while_the_inbox_has_no_room(dialogue: Dialogue) -> None:
    await wait_all_tasks_blocked()
    assert not dialogue.paused()
    dialogue.mail.room = trio.Event()
    await dialogue.say(TextMessage("first"))
    assert dialogue.mail.texts == ["first"]
    assert dialogue.paused()
    await dialogue.say(TextMessage("second"), Ping())
    assert dialogue.mail.texts == ["first"]
    assert await dialogue.hear() == []
    await dialogue.make_room()
    await wait_all_tasks_blocked()
    assert dialogue.mail.texts == ["first", "second"]
    assert await dialogue.hear() == [Pong()]
    assert not dialogue.paused()


async def test_any_byte_from_the_client_shows_that_it_lives(
    dialogue: Dialogue, autojump_clock: MockClock
) -> None:
    start = trio.current_time()
    await trio.sleep(5)
    assert dialogue.websocket.last_received == start
    dialogue.websocket.ping()
    assert await dialogue.hear() == [Ping()]
    await dialogue.say(Pong())
    assert dialogue.websocket.last_received == start + 5
    await trio.sleep(2)
    dialogue.peer.send(b"\x81")
    await wait_all_tasks_blocked()
    assert dialogue.websocket.last_received == start + 7


async def test_pings_are_answered_as_long_as_they_are_not_a_flood(
    dialogue: Dialogue, autojump_clock: MockClock
) -> None:
    for _ in range(3):
        await dialogue.say(*[Ping()] * 20)
        assert await dialogue.hear() == [Pong()] * 20
        await trio.sleep(1)
    await dialogue.say(*[Ping()] * 21)
    *pongs, close = await dialogue.hear()
    assert pongs == [Pong()] * 20
    assert isinstance(close, CloseConnection)
    assert close.code == CloseCode.POLICY_VIOLATION
    assert close.reason == "Send at most 20 pings and pongs a second."
    dialogue.peer.close()


async def test_a_client_that_never_stops_sending_lets_other_tasks_run(
    dialogue: Dialogue,
) -> None:
    turns = 0
    frame = Connection(ConnectionType.CLIENT).send(TextMessage("x" * 4000))

    async def flood() -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(dialogue.peer))
        for _ in range(200):
            await stream.send_all(frame)

    async with trio.open_nursery() as flooding:
        flooding.start_soon(flood)
        while len(dialogue.mail.got) < 200:
            before = len(dialogue.mail.got)
            await trio.lowlevel.checkpoint()
            assert len(dialogue.mail.got) - before <= 2
            turns += 1
    assert turns > 100


async def test_an_idle_connection_costs_one_task(dialogue: Dialogue) -> None:
    before = len(dialogue.nursery.child_tasks)
    await dialogue.say(TextMessage("x"))
    dialogue.websocket.write(text_frame(b"x"))
    assert len(dialogue.nursery.child_tasks) == before == 1


FRAMES = st.lists(
    st.one_of(
        st.text(max_size=40).map(lambda text: [TextMessage(text)]),
        st.lists(st.text(max_size=9), min_size=2, max_size=9).map(
            lambda parts: [
                TextMessage(part, message_finished=number == len(parts) - 1)
                for number, part in enumerate(parts)
            ]
        ),
    ),
    max_size=8,
)


@given(
    messages=FRAMES,
    pings=st.lists(st.binary(max_size=125), max_size=10),
    cuts=st.lists(st.integers(0, 2000)),
    pipelined=st.integers(0, 50),
)
def test_any_frames_split_at_any_places_give_the_same_messages(
    messages: list[list[TextMessage]], pings: list[bytes], cuts: list[int], pipelined: int
) -> None:
    client = Connection(ConnectionType.CLIENT)
    left = list(pings)
    sent = b""
    for message in messages:
        for part in message:
            sent += client.send(part)
            if left:
                sent += client.send(Ping(left.pop(0)))
    asked = pings[: len(pings) - len(left)]

    heard = HeardFrames(ClientFrames(100_000, 9, clock=lambda: 0.0))
    _, rest = opening(HEAD + sent[:pipelined])
    heard.take(rest)
    rest = sent[pipelined:]
    edges = sorted({0, len(rest), *(cut % (len(rest) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        heard.take(rest[start:end])

    expected = ["".join(part.data for part in message) for message in messages]
    assert heard.messages == [(text, len(text.encode())) for text in expected]
    assert heard.pings == asked
    assert heard.ended is None


# Endings


async def test_the_client_closes(dialogue: Dialogue) -> None:
    await dialogue.say(CloseConnection(1001, "going"))
    assert await dialogue.hear() == [CloseConnection(1001, "going")]
    dialogue.peer.close()
    await wait_all_tasks_blocked()
    assert dialogue.closed == Closure(1001, "going", by_peer=True)
    assert dialogue.websocket.outbox.closed


async def test_a_violation_is_told_to_the_client_before_the_end(dialogue: Dialogue) -> None:
    dialogue.peer.send(b"\x82\x80\0\0\0\0")
    await wait_all_tasks_blocked()
    reason = "Send text messages, not binary."
    assert await dialogue.hear() == [CloseConnection(1003, reason)]
    assert not dialogue.over()
    dialogue.peer.close()
    await wait_all_tasks_blocked()
    assert dialogue.closed == Closure(1003, reason, by_peer=False)


async def test_a_client_that_violates_and_stays_is_cut_off(
    dialogue: Dialogue, autojump_clock: MockClock
) -> None:
    dialogue.peer.send(b"\xff\xff")
    await trio.sleep(1.9)
    assert not dialogue.over()
    await trio.sleep(0.2)
    assert dialogue.closed is not None
    assert dialogue.closed.code == 1002
    assert dialogue.websocket.outbox.closed


async def test_a_client_that_vanishes_is_an_abnormal_end(dialogue: Dialogue) -> None:
    await dialogue.say(TextMessage("last words"))
    dialogue.peer.close()
    await wait_all_tasks_blocked()
    assert dialogue.mail.texts == ["last words"]
    assert dialogue.closed == Closure(1006, "connection lost", by_peer=True)
    assert dialogue.websocket.outbox.closed


async def test_a_reset_is_an_abnormal_end_too(nursery: trio.Nursery) -> None:
    dialogue = Dialogue(nursery)
    dialogue.websocket.write(text_frame(b"never read"))
    dialogue.start()
    await wait_all_tasks_blocked()
    dialogue.peer.close()  # with unread bytes: a reset
    await wait_all_tasks_blocked()
    assert dialogue.closed == Closure(1006, "connection lost", by_peer=True)


async def test_the_pod_closes_and_the_client_answers(
    dialogue: Dialogue, autojump_clock: MockClock
) -> None:
    start = trio.current_time()
    dialogue.websocket.write(text_frame(b"last"))
    async with trio.open_nursery() as closing:
        closing.start_soon(dialogue.close, CloseCode.SERVICE_RESTART, "retry_after=2")
        await wait_all_tasks_blocked()
        assert await dialogue.hear() == [
            TextMessage("last"),
            CloseConnection(1012, "retry_after=2"),
        ]
        await dialogue.say(CloseConnection(1012))
        dialogue.peer.close()
    assert trio.current_time() == start
    assert dialogue.closed == Closure(1012, "retry_after=2", by_peer=False)
    assert dialogue.websocket.outbox.closed


async def test_closing_waits_a_limited_time_for_a_client_that_does_not_answer(
    dialogue: Dialogue, autojump_clock: MockClock
) -> None:
    start = trio.current_time()
    await dialogue.close(CloseCode.GOING_AWAY)
    assert trio.current_time() == start + LIMITS.close_timeout
    assert dialogue.websocket.outbox.closed
    await wait_all_tasks_blocked()
    assert dialogue.closed == Closure(1001, "", by_peer=False)


async def test_closing_again_changes_nothing(dialogue: Dialogue, autojump_clock: MockClock) -> None:
    start = trio.current_time()
    async with trio.open_nursery() as closing:
        closing.start_soon(dialogue.close, CloseCode.NORMAL)
        await wait_all_tasks_blocked()
        closing.start_soon(dialogue.close, CloseCode.ABUSE)
        closing.start_soon(dialogue.abandon, CloseCode.ABUSE, "")
    await dialogue.close(CloseCode.ABUSE)
    await dialogue.abandon(CloseCode.ABUSE, "")
    dialogue.websocket.abort()
    assert trio.current_time() == start + LIMITS.close_timeout
    await wait_all_tasks_blocked()
    assert await dialogue.hear() == [CloseConnection(1000, "")]
    assert dialogue.closed == Closure(1000, "", by_peer=False)


async def test_after_a_close_frame_nothing_more_is_sent(dialogue: Dialogue) -> None:
    async with trio.open_nursery() as closing:
        closing.start_soon(dialogue.close, CloseCode.NORMAL)
        await wait_all_tasks_blocked()
        dialogue.websocket.write(text_frame(b"late"))
        dialogue.websocket.outbox.write(text_frame(b"late"))
        dialogue.websocket.ping()
        await dialogue.say(Ping(b"?"))
        dialogue.peer.setblocking(True)
        assert dialogue.peer.recv(99) == b"\x88\x02\x03\xe8"
        dialogue.peer.close()


async def test_after_a_close_frame_nothing_more_is_delivered(dialogue: Dialogue) -> None:
    async with trio.open_nursery() as closing:
        closing.start_soon(dialogue.close, CloseCode.NORMAL)
        await wait_all_tasks_blocked()
        await dialogue.say(TextMessage("late"), Ping(b"?"), CloseConnection(1000))
        dialogue.peer.close()
    assert dialogue.mail.got == []
    assert dialogue.closed == Closure(1000, "", by_peer=False)


async def test_an_inbox_without_room_does_not_hold_up_the_end(
    dialogue: Dialogue, autojump_clock: MockClock
) -> None:
    start = trio.current_time()
    dialogue.mail.room = trio.Event()
    await dialogue.say(TextMessage("x"))
    assert dialogue.paused()
    async with trio.open_nursery() as closing:
        closing.start_soon(dialogue.close, CloseCode.SERVICE_RESTART)
        await wait_all_tasks_blocked()
        await dialogue.say(TextMessage("y"), CloseConnection(1012))
        dialogue.peer.close()
    assert trio.current_time() == start
    assert dialogue.mail.texts == ["x"]


async def test_abandoning_forgets_what_waits_and_says_why(
    dialogue: Dialogue, autojump_clock: MockClock
) -> None:
    dialogue.fill()
    for _ in range(20):
        dialogue.websocket.write(text_frame(b"forgotten"))
    async with trio.open_nursery() as closing:
        closing.start_soon(dialogue.abandon, CloseCode.SLOW_CONSUMER, "too slow")
        await wait_all_tasks_blocked()
        heard: list[Event] = []
        while not any(isinstance(event, CloseConnection) for event in heard):
            heard += await dialogue.hear()
            await wait_all_tasks_blocked()
        dialogue.peer.close()
    assert TextMessage("forgotten") not in heard
    assert heard[-1] == CloseConnection(4000, "too slow")
    assert dialogue.closed == Closure(4000, "too slow", by_peer=False)


async def test_abandoning_takes_a_limited_time_with_a_client_that_never_reads(
    dialogue: Dialogue, autojump_clock: MockClock
) -> None:
    start = trio.current_time()
    dialogue.fill()
    await dialogue.abandon(CloseCode.DEAD_CLIENT, "you have stopped reading")
    assert trio.current_time() == start + LIMITS.close_timeout
    assert dialogue.websocket.outbox.closed


async def test_a_client_that_does_not_read_is_reported_to_the_inbox(
    dialogue: Dialogue, autojump_clock: MockClock
) -> None:
    for _ in range(200):
        dialogue.websocket.write(text_frame(b"x" * 500))
    assert dialogue.mail.failures == [OutboxFailure.OVERFLOW]
    await dialogue.abandon(CloseCode.SLOW_CONSUMER, "")


async def test_abort_ends_the_run_at_once(dialogue: Dialogue) -> None:
    dialogue.fill()
    await wait_all_tasks_blocked()
    dialogue.websocket.abort()
    await wait_all_tasks_blocked()
    assert dialogue.closed == Closure(1006, "aborted", by_peer=False)
    assert dialogue.websocket.outbox.closed


async def test_who_is_called_away_from_listening_has_the_last_word(
    unstarted: Dialogue, autojump_clock: MockClock
) -> None:
    unstarted.start()
    await wait_all_tasks_blocked()
    await unstarted.call_away()
    assert not unstarted.websocket.outbox.closed
    await unstarted.websocket.close(CloseCode.SERVICE_RESTART)
    assert await unstarted.hear() == [CloseConnection(1012, "")]
    assert unstarted.websocket.outbox.closed


async def test_a_close_that_is_cancelled_closes_the_socket(dialogue: Dialogue) -> None:
    async with trio.open_nursery() as closing:
        closing.start_soon(dialogue.close, CloseCode.SERVICE_RESTART)
        await wait_all_tasks_blocked()
        closing.cancel_scope.cancel()
    assert dialogue.websocket.outbox.closed
    assert await dialogue.hear() == [CloseConnection(1012, "")]


async def test_a_connection_that_never_ran_can_be_closed(unstarted: Dialogue) -> None:
    await unstarted.websocket.close(CloseCode.NORMAL)
    assert await unstarted.hear() == [CloseConnection(1000, "")]
    assert unstarted.websocket.outbox.closed


async def test_a_reason_that_is_too_long_is_cut(
    dialogue: Dialogue, autojump_clock: MockClock
) -> None:
    await dialogue.close(CloseCode.NORMAL, "ä" * 100)
    assert await dialogue.hear() == [CloseConnection(1000, "ä" * 61)]


def test_closing_is_patient_for_two_seconds_unless_told_otherwise() -> None:
    assert attrs.fields(WebSocketLimits).close_timeout.default == 2.0

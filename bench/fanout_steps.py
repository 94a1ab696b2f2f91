"""What each step on the way to a fast fan-out is worth: the ways to tell 200 members the same.

One process writes to 200 TCP connections of loopback, another reads them as clients would, so that
a write also costs what it costs to wake who hears it. What counts is the time until all is with
the kernel. Rounds of all ways alternate, and the median is what to quote: the best of them is
mostly one in which who hears had no processor, so that nobody was woken. `docs/fan-out.md` says
what the figures mean.
"""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection

import orjson
import trio
from _clients import open_clients
from _dialects import DEPLOYD, EVENT, ROOM
from _report import machine, quick
from _serve_deployd import KEYS, SETTINGS
from _server import Settings, raise_file_limit
from attrs import frozen

from deployd.config import Logging, configure_logging, load
from deployd.supervisors import open_pod
from deployd.transport.sockets import Outbox, OutboxFailure, text_frame

MEMBERS = 200
MESSAGES = 128
"""So many messages to every member make a round; what they weigh fits into the kernel's buffers."""
ROUNDS = 15
TEXT = "x" * 20


Way = Callable[[], Awaitable[None]]


@frozen
class Step:
    """A way to tell all members `MESSAGES` messages, and the crowd of members that hears them."""

    name: str
    run: Way
    crowd: int


async def main() -> int:
    """Measure, print, and return the exit code."""
    rounds = 3 if quick("Deliveries a second, for each way to fan out.") else ROUNDS
    raise_file_limit(6 * MEMBERS)
    configure_logging(Logging(format="json", level="ERROR"), tty=False, stream=sys.stderr)
    print(machine())
    print(
        f"{MEMBERS} members on loopback, {MESSAGES} messages of {len(_encoded(0))} bytes a round; "
        f"{rounds} rounds that alternate\n"
    )
    async with AsyncExitStack() as stack:
        audience = stack.enter_context(_audience())
        steps = [*await _by_hand(stack, audience), *await _of_a_pod(stack, audience)]
        taken: dict[str, list[float]] = {step.name: [] for step in steps}
        for _ in range(rounds):
            for step in steps:
                _ask(audience, step.crowd)
                started = time.perf_counter()
                await step.run()
                taken[step.name].append(time.perf_counter() - started)
                audience.recv()
    _print(taken)
    return 0


# The ways ------------------------------------------------------------------------------------


async def _by_hand(stack: AsyncExitStack, audience: Connection) -> list[Step]:
    """Return the ways that need no more than sockets, from the naive one to the fastest."""
    mouths, crowd = stack.enter_context(_connections(audience))
    nursery = await stack.enter_async_context(trio.open_nursery())
    stack.callback(nursery.cancel_scope.cancel)
    streams = [trio.SocketStream(trio.socket.from_stdlib_socket(mouth)) for mouth in mouths]
    outboxes = [_outbox(mouth) for mouth in mouths]
    ways: dict[str, Way] = {
        "encoded for each, awaited in turn": partial(_encoded_for_each, streams),
        "encoded once, awaited in turn": partial(_in_turn, streams),
        "encoded once, a task for each write": partial(_a_task_a_write, streams),
        "encoded once, a queue and a task each": _Queues(streams, nursery).tell_all,
        "encoded once, written without waiting": partial(_at_once, outboxes, 1),
        "the same, 10 joined into a write": partial(_at_once, outboxes, 10),
        "the same, 64 joined into a write": partial(_at_once, outboxes, 64),
    }
    return [Step(name, way, crowd) for name, way in ways.items()]


async def _encoded_for_each(streams: Sequence[trio.SocketStream]) -> None:
    for number in range(MESSAGES):
        for stream in streams:
            await stream.send_all(_encoded(number))


async def _in_turn(streams: Sequence[trio.SocketStream]) -> None:
    for number in range(MESSAGES):
        frame = _encoded(number)
        for stream in streams:
            await stream.send_all(frame)


async def _a_task_a_write(streams: Sequence[trio.SocketStream]) -> None:
    for number in range(MESSAGES):
        frame = _encoded(number)
        async with trio.open_nursery() as writers:
            for stream in streams:
                writers.start_soon(stream.send_all, frame)


async def _at_once(outboxes: Sequence[Outbox], joined: int) -> None:
    for first in range(0, MESSAGES, joined):
        frames = [_encoded(number) for number in range(first, min(first + joined, MESSAGES))]
        piece = b"".join(frames)
        for outbox in outboxes:
            outbox.write(piece, len(frames))


async def _of_a_pod(stack: AsyncExitStack, audience: Connection) -> list[Step]:
    """Return what a room does: names, numbers, ids, mailbox and hooks are in it."""
    unjoined = {"performance.batchMessageProcessing": False}
    return [
        await _room(stack, audience, "a pod's room that joins nothing", unjoined),
        await _room(stack, audience, "a pod's room", {}),
    ]


async def _room(stack: AsyncExitStack, audience: Connection, name: str, settings: Settings) -> Step:
    config = load(None, environ={}, overrides=SETTINGS | dict(settings)).config
    pod = await stack.enter_async_context(open_pod(config, keys=KEYS))

    async def emit() -> None:
        for _ in range(MESSAGES - 1):
            pod.hub.emit_to_room(ROOM, EVENT, TEXT)
        await pod.hub.send_to_room(ROOM, EVENT, TEXT)  # answered when all are written

    crowd = await trio.to_thread.run_sync(partial(_ask, audience, pod.port, of_a_pod=True))
    return Step(name, emit, crowd)


class _Queues:
    """A bounded queue for each member, and a task that writes what it finds there."""

    def __init__(self, streams: Sequence[trio.SocketStream], nursery: trio.Nursery) -> None:
        self._queues = []
        self._left = 0
        self._written = trio.Event()
        for stream in streams:
            send, receive = trio.open_memory_channel[bytes](MESSAGES)
            self._queues.append(send)
            nursery.start_soon(self._write, stream, receive)

    async def tell_all(self) -> None:
        """Leave all messages in the queues and wait until they are written."""
        self._left, self._written = MESSAGES * len(self._queues), trio.Event()
        for number in range(MESSAGES):
            frame = _encoded(number)
            for queue in self._queues:
                queue.send_nowait(frame)
            await trio.lowlevel.checkpoint()  # they come one at a time, as from a mailbox
        await self._written.wait()

    async def _write(
        self, stream: trio.SocketStream, frames: trio.MemoryReceiveChannel[bytes]
    ) -> None:
        async for frame in frames:
            await stream.send_all(frame)
            self._left -= 1
            if not self._left:
                self._written.set()


def _encoded(number: int) -> bytes:
    """Encode a message as a pod would: what it is, where, and its number."""
    message = {
        "type": "emit",
        "event": EVENT,
        "data": TEXT,
        "room": ROOM,
        "meta": {"timestamp": 1764072000123, "id": f"9f3c21aa-{number}", "seq": number},
    }
    return text_frame(orjson.dumps(message))


@contextmanager
def _connections(audience: Connection) -> Iterator[tuple[list[socket.socket], int]]:
    """Let a crowd connect; yield the ends to write to, and which crowd it is."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=MEMBERS))
        crowd = _ask(audience, listener.getsockname()[1], of_a_pod=False)
        mouths = [stack.enter_context(listener.accept()[0]) for _ in range(MEMBERS)]
        for mouth in mouths:
            mouth.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            mouth.setblocking(False)
        yield mouths, crowd


def _outbox(sock: socket.socket) -> Outbox:
    return Outbox(
        sock, max_messages=MESSAGES, max_bytes=1 << 20, stall_timeout=10.0, on_failure=_failed
    )


def _failed(failure: OutboxFailure) -> None:
    raise SystemExit(f"a member did not take it: {failure.value}")


# Who hears it --------------------------------------------------------------------------------


@contextmanager
def _audience() -> Iterator[Connection]:
    """Start the process that hears what is said."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_listen, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        ours.send(None)
        process.join()


def _ask(audience: Connection, number: int, *, of_a_pod: bool | None = None) -> int:
    """Let a crowd connect to a port, or have a crowd hear the next round; return its answer."""
    audience.send((number, of_a_pod))
    answer: int = audience.recv()
    return answer


def _listen(stage: Connection) -> None:
    """Be the members, crowd after crowd; a round is heard when all have all of its messages."""
    with ExitStack() as stack:
        crowds: list[list[socket.socket]] = []
        while (order := stage.recv()) is not None:
            number, of_a_pod = order
            if of_a_pod is None:
                stage.send(number)
                _hear(crowds[number])
                stage.send(number)
                continue
            if of_a_pod:
                clients = stack.enter_context(open_clients(number, DEPLOYD, MEMBERS, room=ROOM))
                crowds.append([client.sock for client in clients])
            else:
                address = ("127.0.0.1", number)
                crowds.append([socket.create_connection(address) for _ in range(MEMBERS)])
            stage.send(len(crowds) - 1)


def _hear(crowd: Sequence[socket.socket]) -> None:
    sign = b'"type":"emit"'
    left = MESSAGES * len(crowd)
    rests = dict.fromkeys(crowd, b"")
    with selectors.DefaultSelector() as selector:
        for ear in crowd:
            selector.register(ear, selectors.EVENT_READ, ear)
        while left:
            for key, _ in selector.select():
                hearer: socket.socket = key.data
                heard = rests[hearer] + hearer.recv(1 << 16)
                left -= heard.count(sign)
                rests[hearer] = heard[1 - len(sign) :]


def _print(taken: dict[str, list[float]]) -> None:
    deliveries = MESSAGES * MEMBERS
    print(f"{'deliveries a second':40}{'median':>12}{'best':>12}{'of one (µs)':>14}")
    for name, rounds in taken.items():
        median = statistics.median(rounds)
        print(
            f"{name:40}{deliveries / median:12,.0f}{deliveries / min(rounds):12,.0f}"
            f"{median / deliveries * 1e6:14.2f}"
        )


if __name__ == "__main__":
    sys.exit(trio.run(main))

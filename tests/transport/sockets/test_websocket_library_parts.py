"""Parts of trio-websocket and wsproto that are not public and that we use: they are still there.

Each fails with a sentence where a new version has changed one; `docs/libraries.md` says what each
is for. What the parts do is tried by `test_websocket` and `test_conformance`.
"""

from __future__ import annotations

import inspect

import pytest
import trio
import trio.testing
from trio_websocket import WebSocketConnection
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection

REPLACED = {
    "_send_channel": trio.MemorySendChannel,
    "_recv_channel": trio.MemoryReceiveChannel,
    "_open_handshake": trio.Event,
    "_close_handshake": trio.Event,
    "_for_testing_peer_closed_connection": trio.Event,
}


async def connection() -> WebSocketConnection:
    stream, _ = trio.testing.memory_stream_pair()
    return WebSocketConnection(stream, WSConnection(ConnectionType.SERVER))


@pytest.mark.parametrize("name", REPLACED)
async def test_what_all_connections_share_one_of_is_still_made_for_each(name: str) -> None:
    made = vars(await connection()).get(name)
    assert isinstance(made, REPLACED[name]), (
        f"trio-websocket's {name} is {made!r}: what `_reader` puts in its place may not fit"
    )


async def test_no_connection_has_another_event_or_channel_that_could_be_shared() -> None:
    kinds = (trio.Event, trio.MemorySendChannel, trio.MemoryReceiveChannel)
    there = {name for name, value in vars(await connection()).items() if isinstance(value, kinds)}
    assert there == set(REPLACED), "`_reader` leaves some to each connection, or replaces too much"


async def test_a_proposal_is_still_kept_that_a_connection_of_ours_does_not_need() -> None:
    assert "_connection_proposal" in vars(await connection()), (
        "trio-websocket has no _connection_proposal; `_reader` sets it for nothing"
    )


def test_the_reader_task_is_still_a_method_without_arguments() -> None:
    reader = getattr(WebSocketConnection, "_reader_task", None)
    assert inspect.iscoroutinefunction(reader), "trio-websocket has no async _reader_task"
    assert list(inspect.signature(reader).parameters) == ["self"], "_reader_task has changed"


def test_the_parser_is_still_a_generator_that_can_be_closed() -> None:
    parser = Connection(ConnectionType.SERVER)._proto._parse_more
    assert inspect.isgenerator(parser), (
        "wsproto's _parse_more is no generator: `GuardedProtocol.stop_reading` closes nothing"
    )

"""What HTTP keeps in memory for clients."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress

import pytest
import trio
import trio.testing

from deployd.transport import Shares
from support.http_server import (
    CHUNKED,
    GET_DEAF,
    SIZED,
    answer_of,
    sample,
    serving,
    until,
)
from support.raw import ask, connect

# -- what is kept in memory for clients ----------------------------------------------------------

HALF_LARGE = SIZED % (b"echo", 400_000) + b"x" * 399_999
GET_LARGE = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("each", "status"), [(1_000_000, b"429"), (0, b"503")], ids=["of one address", "of all"]
)
@pytest.mark.parametrize("rest", [b"x", b"xx"], ids=["sized", "in chunks"])
async def test_bodies_that_are_on_their_way_take_no_more_memory_than_there_is_for_them(
    each: int, status: bytes, rest: bytes
) -> None:
    memory = Shares(1_000_000 if not each else 10_000_000, each)
    half = HALF_LARGE
    if rest == b"xx":
        half = CHUNKED % b"echo" + b"61A80\r\n" + b"x" * 399_999
    async with serving(sample(), memory=memory) as listener, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(await connect(listener)) for _ in range(2)]
        for stream in streams:
            await stream.send_all(half)
        await until(lambda: len(memory) > 600_000)
        async with await connect(listener) as third:
            with suppress(trio.BrokenResourceError):
                await third.send_all(half)
            assert (await third.receive_some()).startswith(b"HTTP/1.1 " + status)
        async with await connect(listener) as small:  # costs nobody anything
            await small.send_all(SIZED % (b"echo", 9) + b"x" * 9)
            assert (await answer_of(small)) == (200, b"9")
        await streams[0].send_all(b"x" if rest == b"x" else b"x\r\n0\r\n\r\n")
        assert (await answer_of(streams[0])) == (200, b"400000")
        await until(lambda: len(memory) < 600_000)
    await until(lambda: not memory)


async def test_answers_that_nobody_reads_take_no_more_memory_than_there_is_for_them() -> None:
    memory = Shares(120_000_000, 60_000_000, reserve=10_000_000)
    async with serving(
        sample(), memory=memory, privileged=lambda scope: scope["path"] == "/large"
    ) as listener:
        async with await connect(listener) as deaf, await connect(listener) as root:
            await deaf.send_all(GET_LARGE)
            await until(lambda: len(memory) > 40_000_000)
            await root.send_all(GET_LARGE)  # and has no share
            await until(lambda: len(memory) > 90_000_000)
            assert b" 503 " in await ask(listener, GET_LARGE)
        await until(lambda: not memory)


async def test_an_address_whose_answers_wait_is_told_to_read_them_first() -> None:
    memory = Shares(120_000_000, 60_000_000)
    async with serving(sample(), memory=memory) as listener:
        async with await connect(listener) as deaf:
            await deaf.send_all(GET_LARGE)
            await until(lambda: len(memory) > 40_000_000)
            answer = await ask(listener, GET_LARGE + GET_DEAF)
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"limits.maxHttpBytes" in answer
            assert answer.count(b"HTTP/1.1 ") == 1
        await until(lambda: not memory)
        async with await connect(listener) as stream:
            await stream.send_all(GET_LARGE)
            read = 0
            while read < 50_000_000:
                read += len(await stream.receive_some())

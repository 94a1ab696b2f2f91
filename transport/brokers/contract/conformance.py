"""What every broker must pass: the promises of `Broker`, as functions for anybody's tests.

Each takes a function that makes a fresh broker object of one deployment, runs on trio, and raises
`ContractBroken` (an `AssertionError`) with the promise that is not kept. `CHECKS` names those
that need nothing else; `check_apart` wants a second deployment on the same server, and
`check_broker` runs all. A broker of several servers should have its objects spread over them::

    @pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
    async def test_my_broker(check):
        await check(lambda: MyBroker(prefix=f"test{uuid4().hex}"))
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

import trio

from ...errors import BrokerUnavailable
from .broker import Broker
from .channels import EVERYONE
from .delivery_checks import (
    check_batches,
    check_concurrent,
    check_full,
    check_idempotent,
    check_limit,
    check_many_channels,
    check_names,
    check_nothing_to_do,
    check_order,
    check_own,
    check_probes,
    check_resubscribed,
    check_subscribed,
    check_taken,
    check_unsubscribed,
    check_whole,
)
from .harness import QUIET, TIMEOUT, ContractBroken, Make, RecordingInbox, connected, expect, fresh

__all__ = [
    "CHECKS",
    "Check",
    "ContractBroken",
    "Make",
    "check_apart",
    "check_batches",
    "check_broker",
]

Check: TypeAlias = Callable[[Make], Awaitable[None]]

_CLOSE: Final = 1.0
"""Seconds that `close` may take; checked with some for a busy machine."""


async def check_not_connected(make: Make) -> None:
    """Expect refusals before `connect` and after `close`, which may come at any time."""
    unused = make()
    await _refuses(unused)
    await unused.close()
    await unused.close()
    async with connected(make) as (broker, _):
        await broker.subscribe([fresh()])
        await broker.close()
        await _refuses(broker)
        await broker.close()


async def _refuses(broker: Broker) -> None:
    calls: Sequence[Callable[[], Awaitable[None]]] = (
        lambda: broker.publish([(fresh(), b"")]),
        lambda: broker.subscribe([fresh()]),
        lambda: broker.resubscribe([fresh()]),
        lambda: broker.unsubscribe([fresh()]),
    )
    for call in calls:
        try:
            with trio.fail_after(TIMEOUT):
                await call()
        except BrokerUnavailable:
            continue
        raise ContractBroken("A call of a broker that is not connected raises BrokerUnavailable.")


async def check_cancelled(make: Make) -> None:
    """Cancel every call, at once and in the middle, and expect `close` to be quick."""
    channel = fresh()
    calls: Sequence[Callable[[Broker], Awaitable[None]]] = (
        lambda broker: broker.publish([(channel, bytes(1000))] * 500),
        lambda broker: broker.subscribe([fresh() for _ in range(500)]),
        lambda broker: broker.resubscribe([channel, *(fresh() for _ in range(500))]),
        lambda broker: broker.unsubscribe([channel]),
    )
    for call in calls:
        for seconds in (0.0, 0.0005):
            async with connected(make) as (broker, _):
                await broker.subscribe([channel])
                with trio.move_on_after(seconds):
                    await call(broker)
                await _closes_quickly(broker)
    for seconds in (0.0, 0.0005, 0.002):
        broker = make()
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(seconds):
                await broker.connect(RecordingInbox(), nursery)
            await _closes_quickly(broker)


async def _closes_quickly(broker: Broker) -> None:
    began = trio.current_time()
    await broker.close()
    expect(trio.current_time() - began < _CLOSE + QUIET, "`close` is done within a second.")


async def check_nothing_left(make: Make) -> None:
    """Expect objects that were closed to leave no thread and no descriptor behind."""
    await _live(make)  # what is made once and for all is made now
    before = _resources()
    for _ in range(10):
        await _live(make)
    after = before
    with suppress(trio.TooSlowError), trio.fail_after(TIMEOUT):
        # Threads end when they can, and tell nobody.
        while not _no_more(after := _resources(), before):  # noqa: ASYNC110
            await trio.sleep(QUIET)
    expect(
        _no_more(after, before),
        f"Nothing is left: {before} descriptors and threads before, {after} after closing.",
    )


async def _live(make: Make) -> None:
    async with connected(make) as (broker, inbox):
        channel = fresh()
        await broker.subscribe([channel])
        await broker.publish([(channel, b"")])
        await inbox.hears([(channel, b"")])


def _resources() -> tuple[int, int]:
    listing = Path("/proc/self/fd")
    return len(os.listdir(listing)) if listing.is_dir() else 0, threading.active_count()


def _no_more(after: tuple[int, int], before: tuple[int, int]) -> bool:
    return all(now <= then for now, then in zip(after, before, strict=True))


async def check_apart(make: Make, make_other: Make) -> None:
    """Expect deployments with different prefixes on one server not to hear each other."""
    channels = [fresh(), EVERYONE]
    async with connected(make) as (one, inbox), connected(make_other) as (other, other_inbox):
        for broker in (one, other):
            await broker.subscribe(channels)
        await one.publish([(channel, b"one") for channel in channels])
        await other.publish([(channel, b"other") for channel in channels])
        await inbox.hears([(channel, b"one") for channel in channels])
        await other_inbox.hears([(channel, b"other") for channel in channels])


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "taken": check_taken,
        "nothing to do": check_nothing_to_do,
        "order": check_order,
        "subscribed": check_subscribed,
        "resubscribed": check_resubscribed,
        "unsubscribed": check_unsubscribed,
        "own messages": check_own,
        "idempotent": check_idempotent,
        "whole": check_whole,
        "limit": check_limit,
        "concurrent": check_concurrent,
        "full": check_full,
        "many channels": check_many_channels,
        "names": check_names,
        "probes": check_probes,
        "not connected": check_not_connected,
        "cancelled": check_cancelled,
        "nothing left": check_nothing_left,
    }
)


async def check_broker(make: Make, make_other: Make) -> None:
    """Run every check; the first that fails raises."""
    for check in CHECKS.values():
        await check(make)
    await check_apart(make, make_other)

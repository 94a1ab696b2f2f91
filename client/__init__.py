"""A client of deployd's pods, for Python programs.

::

    import trio
    from deployd.client import connect

    async def main():
        async with connect("http://localhost:2403", token=token) as c:
            await c.join("chat")
            receipt = await c.emit("chat", "said", {"text": "hello"})
            print(receipt.scope)  # cluster, local, queued, …
            async for event in c.events("chat"):
                print(event.name, event.data)

    trio.run(main)

Scripts that know nothing of trio import `connect` from `deployd.client.sync`: the same, blocking.

**Connections** come and go by themselves. After an end the client waits for a random time below a
bound that doubles from 0.5 to 20 s, and on top of what the pod asks for (`retry_after`); then it
shows its token and joins its rooms again. Close codes from 4500 on are final: everything that waits
raises `ClosedForGood`. What is silent for 25 s is asked whether it is there.

**Nothing is kept for later.** `emit` without a connection raises `Disconnected` at once; wait for
`ready()`. When a connection ends before the receipt, it raises `Unconfirmed`: nobody knows.

**What is not read** is bounded: 1,000 events of a room wait. Beyond that the oldest are dropped and
the next read raises `FellBehind`, unless you take the loss with `Unread.DROP_OLDEST`.

**Losses between pods** are told: `c.degraded` is the outage that is on, `c.outages()` brings
`Degraded`, `Gap` and `Healed`; `c.signals()` everything that befalls this client.

Errors are one tree, see `ClientError`; its classes say whose fault it is.
"""

from ..transport.protocols import (
    JSON,
    ClientEvent,
    Degraded,
    Gap,
    Healed,
    Outage,
    OutageCode,
    Problem,
    Scope,
)
from .client import Client, connect
from .core import Token
from .errors import (
    BadUrl,
    CannotSend,
    ClientClosed,
    ClientError,
    ClosedForGood,
    ConnectionTrouble,
    Disconnected,
    FellBehind,
    Misuse,
    NoAnswer,
    NothingHeard,
    Refused,
    RoomLost,
    TooMuchUnanswered,
    Unconfirmed,
)
from .messages import CameUp, ClientReceipt, RoomEntered, RoomLeft, Signal, WentDown
from .unread import Unread, UnreadQueue

__all__ = [
    "JSON",
    "BadUrl",
    "CameUp",
    "CannotSend",
    "Client",
    "ClientClosed",
    "ClientError",
    "ClientEvent",
    "ClientReceipt",
    "ClosedForGood",
    "ConnectionTrouble",
    "Degraded",
    "Disconnected",
    "FellBehind",
    "Gap",
    "Healed",
    "Misuse",
    "NoAnswer",
    "NothingHeard",
    "Outage",
    "OutageCode",
    "Problem",
    "Refused",
    "RoomEntered",
    "RoomLeft",
    "RoomLost",
    "Scope",
    "Signal",
    "Token",
    "TooMuchUnanswered",
    "Unconfirmed",
    "Unread",
    "UnreadQueue",
    "WentDown",
    "connect",
]

"""Which server is the master: what Redis Sentinel is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ...errors import BrokerError, BrokerRefused, BrokerUnavailable
from ..bridge import first
from .connection import Reply, pack, visit
from .login import Login, ServerAddress
from .node import check_master

__all__ = ["check_named", "find_master"]


async def find_master(sentinels: Sequence[ServerAddress], name: str, login: Login) -> ServerAddress:
    """Return the master that a sentinel names and that says so itself.

    All sentinels are asked at once: one that hangs or is behind the times keeps nobody waiting.
    Raises `BrokerUnavailable` when none knows, `BrokerRefused` when we are not let in.
    """
    return await first(_ask(sentinel, name, login) for sentinel in sentinels)


async def check_named(
    server: ServerAddress, sentinels: Sequence[ServerAddress], name: str, login: Login
) -> None:
    """Raise `BrokerUnavailable` when there is another master than `server` by now.

    It matters for ten seconds: so long a master that was replaced does not know it, and those
    that stay with it and those that found the new one do not hear each other. Sentinels that are
    out of reach change nothing.
    """
    try:
        if await first(_named(sentinel, name, login) for sentinel in sentinels) == server:
            return
        # A sentinel that is behind the times is not believed.
        master = await find_master(sentinels, name, login)
    except BrokerError:
        return
    if master != server:
        raise BrokerUnavailable(f"{server} is the master no longer: sentinels name {master}.")


async def _ask(sentinel: ServerAddress, name: str, login: Login) -> ServerAddress:
    master = await _named(sentinel, name, login)
    async with visit(master, login) as connection:
        await check_master(connection, required=True)
    return master


async def _named(sentinel: ServerAddress, name: str, login: Login) -> ServerAddress:
    """Ask without credentials, as most sentinels have none, and else with the master's."""
    try:
        reply = await _address(sentinel, name, Login(tls=login.tls, ca_file=login.ca_file))
    except BrokerRefused:
        if not login.password:
            raise
        reply = await _address(sentinel, name, attrs.evolve(login, database=0))
    match reply:
        case [bytes(host), bytes(port)]:
            return ServerAddress(host.decode(), int(port))
    raise BrokerUnavailable(
        f"Sentinel {sentinel} does not know the master; correct broker.redis.sentinelMaster."
    )


async def _address(sentinel: ServerAddress, name: str, login: Login) -> Reply:
    async with visit(sentinel, login) as connection:
        question = pack(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name.encode())
        return (await connection.order([question]))[0]

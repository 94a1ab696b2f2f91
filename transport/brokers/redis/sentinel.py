"""Which server is the master: what Redis Sentinel is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ...errors import BrokerError, BrokerRefused, BrokerUnavailable
from ..bridge import addresses, first
from .connection import Reply, pack, visit
from .login import Login, ServerAddress
from .node import check_master, run_id

__all__ = ["Sentinels", "check_named", "find_master"]


@attrs.frozen
class Sentinels:
    """The sentinels that a pod asks, the name they know the master by, and how to sign in.

    `logins` are for the sentinels, the first that is taken; `login` is for the master.
    """

    servers: Sequence[ServerAddress]
    master: str
    logins: Sequence[Login]
    login: Login


async def find_master(sentinels: Sentinels) -> ServerAddress:
    """Return the master that a sentinel names and that says so itself.

    All sentinels are asked at once: one that hangs or is behind the times keeps nobody waiting.
    Raises `BrokerUnavailable` when none knows, `BrokerRefused` when we are not let in.
    """
    return await first(_ask(sentinel, sentinels) for sentinel in sentinels.servers)


async def check_named(server: ServerAddress, run: str, sentinels: Sentinels) -> None:
    """Raise `BrokerUnavailable` when there is another master than `server` by now.

    It matters for ten seconds: so long a master that was replaced does not know it, and those
    that stay with it and those that found the new one do not hear each other. Sentinels that are
    out of reach change nothing, nor do those that call the same server something else: it is known
    by its `run` (its id, empty when unknown) and by its addresses.
    """
    try:
        named = await first(_named(sentinel, sentinels) for sentinel in sentinels.servers)
        if named == server or await _is_same(named, server, run, sentinels.login):
            return
        # A sentinel that is behind the times is not believed.
        master = await find_master(sentinels)
        same = master == server or await _is_same(master, server, run, sentinels.login)
    except BrokerError:
        return
    if not same:
        raise BrokerUnavailable(f"{server} is the master no longer: sentinels name {master}.")


async def _is_same(named: ServerAddress, server: ServerAddress, run: str, login: Login) -> bool:
    if named.port == server.port and await _hosts(named) & await _hosts(server):
        return True
    if not run:
        return False
    async with visit(named, login) as connection:
        return await run_id(connection) == run


async def _hosts(server: ServerAddress) -> set[str]:
    try:
        return set(await addresses(server.host, server.port))
    except (OSError, UnicodeError):
        return set()


async def _ask(sentinel: ServerAddress, sentinels: Sentinels) -> ServerAddress:
    master = await _named(sentinel, sentinels)
    async with visit(master, sentinels.login) as connection:
        await check_master(connection, required=True)
    return master


async def _named(sentinel: ServerAddress, sentinels: Sentinels) -> ServerAddress:
    match await _address(sentinel, sentinels):
        case [bytes(host), bytes(port)]:
            return ServerAddress(host.decode(), int(port))
    raise BrokerUnavailable(
        f"Sentinel {sentinel} does not know the master; correct broker.redis.sentinelMaster."
    )


async def _address(sentinel: ServerAddress, sentinels: Sentinels) -> Reply:
    question = pack(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", sentinels.master.encode())
    refusal: BrokerRefused | None = None
    for login in sentinels.logins:
        try:
            async with visit(sentinel, login) as connection:
                return (await connection.order([question]))[0]
        except BrokerRefused as error:
            refusal = error
    if refusal is not None and "broker.redis.password" in str(refusal):
        raise BrokerRefused(
            f"Sentinel {sentinel} refuses the user or the password; set "
            "broker.redis.sentinelUsername and broker.redis.sentinelPassword."
        ) from refusal
    raise refusal or BrokerUnavailable(f"Sentinel {sentinel} was not asked.")

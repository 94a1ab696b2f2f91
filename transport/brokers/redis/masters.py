"""Which of the addresses of a name is the master: a name may stand for several servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from ...errors import BrokerError, BrokerRefused, BrokerUnavailable
from ..bridge import addresses, gather, within
from .connection import visit
from .errors import translate
from .login import Login, ServerAddress
from .node import check_master, run_id

__all__ = ["Look", "choose", "find_named"]

_STEP: Final = 1.0
"""Seconds that one of several addresses may take: a dead one must not hide the others."""


@frozen
class Look:
    """What was seen at one address: the run of a master (empty: unknown), or why there is none."""

    server: ServerAddress
    run: str = ""
    error: BrokerError | None = None


async def find_named(named: ServerAddress, login: Login) -> ServerAddress:
    """Return the server to connect to: of several addresses the one that is a master's.

    A replica and an address where nobody answers are passed over. Raises `BrokerUnavailable` when
    there are two masters, and the error of whoever most needs somebody when there is none.
    """
    try:
        hosts = await addresses(named.host, named.port)
    except (OSError, UnicodeError) as error:
        raise translate(error, named) from error
    if len(hosts) < 2:
        return named
    servers = [ServerAddress(host, named.port, named.host) for host in hosts]
    return choose(named, await gather(*(_look(server, login) for server in servers)))


def choose(named: ServerAddress, looks: Sequence[Look]) -> ServerAddress:
    """Return the master among what was seen at a name's addresses: pure."""
    masters = [look for look in looks if look.error is None]
    if not masters:
        errors = [look.error for look in looks if look.error is not None]
        raise next((error for error in errors if isinstance(error, BrokerRefused)), errors[0])
    known = {look.run: look.server for look in reversed(masters) if look.run}
    if len(known) > 1:
        # During a failover it is so for a moment; for ever, where a name has several servers.
        raise BrokerUnavailable(
            f"{named} stands for masters that do not hear each other, "
            f"{' and '.join(sorted(map(str, known.values())))}; name one of them, or sentinels."
        )
    return masters[0].server


async def _look(server: ServerAddress, login: Login) -> Look:
    try:
        return Look(server, await within(_STEP, _master(server, login)))
    except BrokerError as error:
        return Look(server, error=error)


async def _master(server: ServerAddress, login: Login) -> str:
    async with visit(server, login) as connection:
        await check_master(connection, required=False)
        return await run_id(connection)

"""Which master of a Redis Cluster serves which slots, as its nodes see it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice
from typing import Final

import attrs
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from ...errors import BrokerUnavailable
from ..contract import Channel
from .connection import RedisConnection, Reply, pack
from .login import ServerAddress
from .node import Names

__all__ = ["Slots", "see_slots"]

_STATE: Final = pack(b"CLUSTER", b"INFO")
_SLOTS: Final = pack(b"CLUSTER", b"SLOTS")
_TRIES: Final = 20 * REDIS_CLUSTER_HASH_SLOTS
"""How many suffixes are tried: a master with one slot is missed once in e^20 times."""


@attrs.frozen
class Slots:
    """Ranges of slots (first, last, id of the master, its address), in order."""

    ranges: tuple[tuple[int, int, str, ServerAddress], ...]

    @property
    def masters(self) -> list[ServerAddress]:
        """All masters that serve slots, each once."""
        return list(dict.fromkeys(master for *_, master in self.ranges))

    def agrees(self, other: Slots) -> bool:
        """Whether the same masters serve the same slots; nodes may know them by other addresses."""
        return [entry[:3] for entry in self.ranges] == [entry[:3] for entry in other.ranges]

    def owners(self) -> list[ServerAddress | None]:
        """Return the master of each slot; None where nobody serves it."""
        owners: list[ServerAddress | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for start, end, _, master in self.ranges:
            owners[start : end + 1] = [master] * (end + 1 - start)
        return owners

    def spread(self, channel: Channel, names: Names) -> Sequence[Channel]:
        """Return variants of a channel, `<channel>-<number>`, one for each master.

        Masters that no channel can reach, as the prefix holds a hash tag `{...}`, are left out.
        """
        owners, missing = self.owners(), set(self.masters)
        found: list[Channel] = []
        for variant in islice((f"{channel}-{number}" for number in count()), _TRIES):
            owner = owners[key_slot(names.name(variant))]
            if owner in missing:
                missing.discard(owner)
                found.append(variant)
            if not missing or not names.spreads:
                break
        return found


async def see_slots(connection: RedisConnection) -> Slots:
    """Ask a node for its view. Raises `BrokerUnavailable` when it holds the cluster for broken."""
    state, ranges = await connection.order([_STATE, _SLOTS])
    if not isinstance(state, bytes) or b"cluster_state:ok" not in state:
        raise BrokerUnavailable(f"{connection.server} says that its cluster is not in order.")
    try:
        return Slots(tuple(sorted(_range(entry, connection.server) for entry in _list(ranges))))
    except (IndexError, TypeError, ValueError) as error:
        raise BrokerUnavailable(
            f"{connection.server} does not tell who serves which slots."
        ) from error


def _range(entry: Reply, asked: ServerAddress) -> tuple[int, int, str, ServerAddress]:
    match entry:
        case [int(start), int(end), [host, int(port), bytes(name), *_], *_]:
            # Without a name the node itself is meant, whatever address led to it.
            known = host.decode() if isinstance(host, bytes) and host != b"?" else ""
            return start, end, name.decode(), ServerAddress(known or asked.host, port)
    raise ValueError(entry)


def _list(reply: Reply) -> list[Reply]:
    if not isinstance(reply, list) or not reply:
        raise ValueError(reply)
    return reply

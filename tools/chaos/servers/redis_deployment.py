"""One server of Redis: what pods are told of it, and what befalls it, here and in larger ones."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import trio

from .deployment import (
    PASSWORD,
    PODS,
    ROOMS,
    Deployment,
    Endpoint,
    Misfortune,
    Undo,
    in_thread,
    pods_of,
    said,
)
from .processes import LOCALHOST
from .redis import CHANNELS, RedisServer
from .redis_console import RedisConsole

__all__ = ["RedisDeployment", "user_arguments", "users"]

NOBODY: Final = 1
"""A port that nobody listens on."""
FULL: Final = 1
"""The least that `maxclients` may be."""


def user_arguments() -> Iterator[str]:
    """Yield what gives each pod a user of its own, after every start."""
    for words in users():
        yield from ("--user", *words)


def users() -> Iterator[Sequence[str]]:
    """Yield the users of pods, each in the words of an ACL."""
    for pod in range(PODS):
        yield (f"pod{pod}", "on", f">{PASSWORD}", "~*", "&*", "+@all")


class RedisDeployment(Deployment):
    """One server. Those of other topologies know more servers, and other masters."""

    kind = "redis"
    impossible: ClassVar[Mapping[str, str]] = {
        "broker.forget": "Redis has no way to end another's subscription but to cut its connection "
        "(broker.cut_slow); what a pod does not hear, a proxy on its way has to swallow "
        "(way.drop).",
        "broker.answer": "Redis publishes and subscribes for pods whatever state it is in; a proxy "
        "would have to answer for it.",
        "broker.disk_full": "Redis stores nothing of what pods say; a folder of limited size takes "
        "root.",
    }

    def __init__(self, topology: str, count: int, folder: Path, rooms: Sequence[str] = ROOMS):
        super().__init__(topology, folder, rooms)
        self.servers: list[RedisServer] = []
        self.count = count
        self.deeds |= {
            "broker.cut_slow": self._cut_slow,
            "broker.deny": self._deny,
            "broker.full": self._fill,
            "broker.password": self._change_passwords,
            "broker.read_only": self._read_only,
        }

    async def begin(self, nursery: trio.Nursery) -> None:
        """Start the server."""
        del nursery
        self.servers.append(RedisServer(self.made("redis-0"), *user_arguments()))
        await self.start_again([0])

    def made(self, name: str) -> Path:
        """Make a folder for a server."""
        folder = self.folder / name
        folder.mkdir()
        return folder

    def settings(
        self, pod: int, *, through: Mapping[Endpoint, Endpoint] | None = None, roam: bool = False
    ) -> dict[str, object]:
        """See `Deployment.settings`."""
        del roam
        ways = [(through or {}).get(each, each) for each in self.addresses]
        login = {"username": f"pod{pod}", "password": PASSWORD}
        return {"type": "redis", "enabled": True, "redis": {**self.where(ways), **login}}

    def where(self, ways: Sequence[Endpoint]) -> dict[str, object]:
        """Return where pods find the servers, for their settings."""
        return {"host": ways[0].host, "port": ways[0].port}

    def dismiss(self, place: int) -> None:
        """SIGTERM."""
        self.servers[place].send(signal.SIGTERM)

    async def on_all(self, do: Callable[[RedisServer], object]) -> None:
        """Do something to those that can answer."""
        for server in self.servers:
            if server.running and not server.frozen:
                await in_thread(lambda s=server: do(s))  # type: ignore[misc]

    async def _cut_slow(self, trouble: Misfortune) -> None:
        """End the connections on which pods hear, as the server does when too much waits."""
        for pod in pods_of(trouble):
            words = ("CLIENT", "KILL", "USER", f"pod{pod}", "TYPE", "pubsub")
            await self.on_all(lambda server, words=words: server.ask(*words))  # type: ignore[misc]

    async def _deny(self, trouble: Misfortune) -> Undo:
        """Let pods publish everywhere but in a room.

        Channels can be allowed alone, so all that differ somewhere are: see `all_but`. What may be
        heard stays, or the server would cut off who hears it.
        """
        pods, room = pods_of(trouble), said(trouble, "room", str)
        patterns = " ".join(f"&{each}" for each in all_but(f"{CHANNELS}room.{room}"))
        selector = f"(+publish +spublish ~* {patterns})"
        words = ("-publish", "-spublish", selector)
        for pod in pods:
            await self.on_all(lambda s, pod=pod: s.order("ACL", "SETUSER", f"pod{pod}", *words))  # type: ignore[misc]
        return lambda: self.on_all(lambda server: reset_users(server, pods))

    async def _change_passwords(self, _: Misfortune) -> Undo:
        """Change them, and cut off who came with the old ones: the server would let them stay."""

        def change(server: RedisServer) -> None:
            for pod in range(PODS):
                server.order("ACL", "SETUSER", f"pod{pod}", "resetpass", f">not {PASSWORD}")
                server.ask("CLIENT", "KILL", "USER", f"pod{pod}")

        await self.on_all(change)
        return lambda: self.on_all(lambda server: reset_users(server, range(PODS)))

    async def _fill(self, _: Misfortune) -> Undo:
        """Take the only connection that servers still allow, and cut all others."""
        consoles: list[RedisConsole] = []

        def fill(server: RedisServer) -> None:
            console = RedisConsole(server)
            consoles.append(console)
            console.order(f"CONFIG SET maxclients {FULL}")
            for pod in range(PODS):
                console.order(f"CLIENT KILL USER pod{pod}")

        await self.on_all(fill)

        async def empty() -> None:
            for console in consoles:
                await in_thread(console.leave)

        return empty

    async def _read_only(self, trouble: Misfortune) -> Undo:
        if said(trouble, "how", str) == "maxmemory":
            await self.on_all(lambda server: server.order("CONFIG", "SET", "maxmemory", "1"))
            return lambda: self.on_all(lambda server: server.order("CONFIG", "SET", "maxmemory", 0))
        server = self.servers[0]
        await in_thread(lambda: server.order("REPLICAOF", LOCALHOST, NOBODY))
        return lambda: self.on_all(lambda server: server.order("REPLICAOF", "NO", "ONE"))


def all_but(name: str) -> Iterator[str]:
    """Yield patterns (`*`, `?`, `[^x]`) that match every name but one."""
    for place, letter in enumerate(name):
        yield f"{name[:place]}[^{letter}]*"
        if place:
            yield name[:place]
    yield f"{name}?*"


def reset_users(server: RedisServer, pods: Sequence[int]) -> None:
    """Let pods do everything, as at first."""
    rights = ("reset", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    for pod in pods:
        server.order("ACL", "SETUSER", f"pod{pod}", *rights)

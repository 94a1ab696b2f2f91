"""NATS, one server or several: what pods are told of it, and what befalls it.

Faults are other lines of the configuration, and SIGHUP.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import ClassVar, Final

import trio
from attrs import define, field

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
from .errors import NotObeyed
from .nats import NatsServer, until_joined
from .processes import LOCALHOST, free_port, wait_until
from .roads import Road

__all__ = ["NatsDeployment"]

ADMIN: Final = "admin"
OCCUPANTS: Final = 8
"""Connections that fill a server beside those of pods: one of nine is left to a pod, of each."""
LAME: Final = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"'
"""30 s is the least that it takes."""
SUBJECTS: Final = "deployd"
NOWHERE: Final = 1
"""A port that nobody listens on."""
STALE: Final = "stale connection"
PINGS: Final = {"ping_interval": '"1s"', "ping_max": "300"}
"""How often servers look at their connections: often, to call them stale when they are to, and as
patient as where nobody has set it, which is five minutes."""


@define
class NatsLines:
    """What is configured, the same on all servers."""

    passwords: list[str] = field(factory=lambda: [PASSWORD] * PODS)
    mute: dict[int, set[str]] = field(factory=dict)
    """What pods may not publish."""
    deaf: dict[int, set[str]] = field(factory=dict)
    """What pods may not subscribe to."""
    others: dict[str, str] = field(factory=lambda: dict(PINGS))

    def __str__(self) -> str:
        """As in a file."""
        users = [f'{{ user: {ADMIN}, password: "{PASSWORD}" }}', *map(self._user, range(PODS))]
        lines = ["authorization { users: [", *users, "] }", LAME]
        return "\n".join((*lines, *(f"{name}: {value}" for name, value in self.others.items())))

    def _user(self, pod: int) -> str:
        mute, deaf = (json.dumps(sorted(each.get(pod, ()))) for each in (self.mute, self.deaf))
        return (
            f'{{ user: pod{pod}, password: "{self.passwords[pod]}", permissions: '
            f"{{ publish: {{ deny: {mute} }}, subscribe: {{ deny: {deaf} }} }} }}"
        )


class NatsDeployment(Deployment):
    """Servers of NATS, pods spread over them."""

    kind = "nats"
    impossible: ClassVar[Mapping[str, str]] = {
        "broker.forget": "NATS tells a client of every subscription that it ends "
        "(broker.unsubscribe); what a pod is not told of, a proxy on its way has to swallow "
        "(way.drop).",
        "broker.disk_full": "NATS without JetStream writes nothing to a disk but its log.",
    }

    def __init__(self, topology: str, count: int, folder: Path, rooms: Sequence[str] = ROOMS):
        super().__init__(topology, folder, rooms)
        self.servers: list[NatsServer] = []
        self._count = 1 if topology == "single" else count
        self._lines = NatsLines()
        self._own: list[str] = []
        self._roads: dict[tuple[int, int], Road] = {}
        if self._count > 1:
            self.deeds["broker.split"] = self._split
        self.deeds |= {
            "broker.answer": self._answer,
            "broker.deny": self._deny,
            "broker.full": self._fill,
            "broker.limit": self._limit,
            "broker.password": self._change_passwords,
            "broker.unsubscribe": self._unsubscribe,
        }

    async def begin(self, nursery: trio.Nursery) -> None:
        """Start all, and return when they carry to each other what is published."""
        ports = [free_port() for _ in range(self._count)]
        for pair in combinations(range(self._count), 2):
            self._roads[pair] = Road(f"n{pair[0]}-n{pair[1]}", ports[pair[1]])
            self._roads[pair].open(nursery)
        for place, port in enumerate(ports):
            folder = self.folder / f"nats-{place}"
            folder.mkdir()
            self._own.append(self._cluster(place, port))
            self.servers.append(NatsServer(folder, f"{self._own[place]}\n{self._lines}"))
        await self.start_again(range(self._count))
        login = json.dumps({"user": ADMIN, "pass": PASSWORD})
        if self._count > 1:
            await in_thread(lambda: until_joined(self.servers, login))

    def _cluster(self, place: int, port: int) -> str:
        """Have each server call those after it, each over a road of its own.

        What they tell each other of where they are would lead round the roads: it leads nowhere.
        """
        if self._count == 1:
            return ""
        roads = [road.port for (caller, _), road in self._roads.items() if caller == place]
        routes = ", ".join(f'"nats-route://{LOCALHOST}:{road}"' for road in roads)
        return (
            f'server_name: "n{place}-{port}"\ncluster {{ name: chaos, no_advertise: true, '
            f'advertise: "{LOCALHOST}:{NOWHERE}", listen: "{LOCALHOST}:{port}", '
            f"routes: [{routes}] }}"
        )

    def settings(
        self, pod: int, *, through: Mapping[Endpoint, Endpoint] | None = None, roam: bool = False
    ) -> dict[str, object]:
        """See `Deployment.settings`; a pod is on the server of its number, round and round."""
        ways = [(through or {}).get(each, each) for each in self.addresses]
        own = ways[pod % self._count]
        others = [str(each) for each in ways if each != own] if roam else []
        login = {"username": f"pod{pod}", "password": PASSWORD}
        where = {"host": own.host, "port": own.port, "servers": others}
        return {"type": "nats", "enabled": True, "nats": {**where, **login}}

    def dismiss(self, place: int) -> None:
        """Have it say that it will end, and take nobody any more."""
        self.servers[place].send(signal.SIGUSR2)

    async def restore(self) -> None:
        """See `Deployment.restore`."""
        await super().restore()
        self._lines = NatsLines()
        await self._reload()

    async def _deny(self, trouble: Misfortune) -> Undo:
        """Let pods publish nothing in a room."""
        return await self._forbid(self._lines.mute, trouble)

    async def _unsubscribe(self, trouble: Misfortune) -> None:
        """Forbid subscriptions, which ends them and is told, and allow them again."""
        await (await self._forbid(self._lines.deaf, trouble))()

    async def _forbid(self, whom: dict[int, set[str]], trouble: Misfortune) -> Undo:
        pods, subject = pods_of(trouble), f"{SUBJECTS}.room.{said(trouble, 'room', str)}"
        for pod in pods:
            whom.setdefault(pod, set()).add(subject)
        await self._reload()

        async def allow() -> None:
            for pod in pods:
                whom[pod].discard(subject)
            await self._reload()

        return allow

    async def _limit(self, trouble: Misfortune) -> None:
        await self._with({"max_payload": str(said(trouble, "size", int))})

    async def _fill(self, _: Misfortune) -> Undo:
        """Leave room for one connection on each server, which one that is no pod's most likely has.

        A server closes whichever it likes, and pods may have one each: then none would be cut.
        """
        ports = [server.port for server in self.servers if server.running]
        occupants = [await _occupy(port) for port in ports for _ in range(OCCUPANTS)]
        undo = await self._with({"max_connections": "1"})

        async def empty() -> None:
            for occupant in occupants:
                await trio.aclose_forcefully(occupant)
            await undo()

        return empty

    async def _with(self, lines: Mapping[str, str]) -> Undo:
        before = {name: self._lines.others.get(name) for name in lines}
        self._lines.others |= lines
        await self._reload()

        async def without() -> None:
            for name, value in before.items():
                if value is None:
                    self._lines.others.pop(name, None)
                else:
                    self._lines.others[name] = value
            await self._reload()

        return without

    def objection(self, trouble: Misfortune) -> str | None:
        """Of all the errors there is one that is given on demand."""
        if trouble.name == "broker.answer" and said(trouble, "error", str).lower() != STALE:
            return f"NATS says nothing on demand but {STALE.title()!r}."
        return None

    async def _answer(self, _: Misfortune) -> Undo:
        """Call every connection stale that was silent for a moment."""
        return await self._with({"ping_interval": '"1ms"', "ping_max": "-1"})

    async def _split(self, trouble: Misfortune) -> Undo:
        """Swallow what two servers tell each other."""
        first, second = sorted(
            said(trouble, each, int) % self._count for each in ("server", "other")
        )
        road = self._roads[first, second]
        road.cut()
        await trio.lowlevel.checkpoint()

        async def mend() -> None:
            road.mend()
            await trio.lowlevel.checkpoint()

        return mend

    async def _change_passwords(self, _: Misfortune) -> Undo:
        self._lines.passwords = [f"not {PASSWORD}"] * PODS
        await self._reload()

        async def back() -> None:
            self._lines.passwords = [PASSWORD] * PODS
            await self._reload()

        return back

    async def _reload(self) -> None:
        """Have all servers read their lines; those that do not run will when they start."""
        awake = []
        for server, own in zip(self.servers, self._own, strict=True):
            server.configure(f"{own}\n{self._lines}")
            if server.running and not server.frozen:
                awake.append((server, server.log.count(RELOADED)))
                server.send(signal.SIGHUP)
        for server, before in awake:
            await in_thread(lambda s=server, b=before: self._until_reloaded(s, b))  # type: ignore[misc]

    @staticmethod
    def _until_reloaded(server: NatsServer, before: int) -> None:
        wait_until(
            lambda: server.log.count(RELOADED) > before,
            lambda: NotObeyed(f"NATS does not reload; its log ends so:\n{server.log[-1000:]}"),
        )


RELOADED: Final = "Reloaded server configuration"
"""What a server logs when it has, whatever was different."""


async def _occupy(port: int) -> trio.SocketStream:
    """Return a connection that takes a place on a server, and says nothing."""
    stream = await trio.open_tcp_stream(LOCALHOST, port)
    signed_in = {"user": f"pod{PODS - 1}", "pass": PASSWORD, "verbose": False}
    await stream.send_all(b"CONNECT %s\r\nPING\r\n" % json.dumps(signed_in).encode())
    heard = b""
    while b"PONG" not in heard:
        some = await stream.receive_some()
        if not some:
            raise NotObeyed("A server of NATS takes no connection, so it cannot be filled.")
        heard += some
    return stream

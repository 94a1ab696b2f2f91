"""RabbitMQ, one server or several: what pods are told of it, and what befalls it.

Faults are told to the servers in Erlang, as `rabbitmqctl eval` would.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import ClassVar

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
from .errors import DoesNotForm
from .processes import PATIENCE
from .rabbitmq import Epmd, RabbitServer, node_name
from .rabbitmq_operator import LOOKED, RabbitOperator
from .rabbitmq_words import (
    ALARMS,
    CONNECTIONS,
    DENIED,
    EXCHANGES,
    FORCED,
    LIMIT,
    LOWERED,
    QUEUES,
    RAISED,
    RUNNING,
    USERS,
    binary,
    exchange,
    users,
)

__all__ = ["RabbitDeployment"]


class RabbitDeployment(Deployment):
    """Servers of RabbitMQ, pods spread over them."""

    kind = "rabbitmq"
    impossible: ClassVar[Mapping[str, str]] = {
        "broker.unsubscribe": "RabbitMQ tells a pod of nothing less than its queue "
        "(broker.forget_queue); a binding goes in silence (broker.forget).",
        "broker.confirm_late": "Nothing in RabbitMQ holds confirms back; a proxy on the way has to "
        "(delay_frames of basic.ack).",
        "broker.disk_full": "A folder of limited size takes root; the alarm of a disk that is full "
        "is broker.alarm.",
    }

    def __init__(self, topology: str, count: int, folder: Path, rooms: Sequence[str] = ROOMS):
        super().__init__(topology, folder, rooms)
        self.servers: list[RabbitServer] = []
        self._count = 1 if topology == "single" else count
        self._epmd: Epmd | None = None
        self._operator: RabbitOperator | None = None
        self.deeds |= {
            "broker.alarm": self._alarm,
            "broker.answer": self._answer,
            "broker.deny": self._deny,
            "broker.forget": self._forget,
            "broker.forget_exchange": self._forget_exchange,
            "broker.forget_queue": self._forget_queue,
            "broker.full": self._fill,
            "broker.limit": self._limit,
            "broker.password": self._change_passwords,
            "broker.refuse": self._refuse,
        }
        if self._count > 1:
            self.deeds |= {
                "broker.forget_bindings": self._forget_bindings,
                "broker.split": self._split,
            }

    async def begin(self, nursery: trio.Nursery) -> None:
        """Start all, and return when they are one cluster and know pods' users."""
        del nursery
        self._epmd = epmd = Epmd(self._made("epmd"))
        await in_thread(epmd.start)
        names = [node_name() for _ in range(self._count)]
        cookie = secrets.token_hex(12).upper()
        for place, name in enumerate(names):
            folder = self._made(f"rabbitmq-{place}")
            # The first has nobody to wait for.
            peers = names[: place + 1] if self._count > 1 else ()
            self.servers.append(
                RabbitServer(folder, epmd=epmd, name=name, cookie=cookie, peers=peers)
            )
        self._operator = RabbitOperator(self.servers, self._made("console"))
        # The first makes the cluster, and the others find one that is there.
        await self.start_again([0])
        await self.start_again(range(1, self._count))
        await self._until_formed()
        await self.tell(self._users(range(PODS)))

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    async def _until_formed(self) -> None:
        with trio.move_on_after(PATIENCE):
            for place in range(self._count):
                while await self.tell(RUNNING, place) != str(self._count):  # noqa: ASYNC110
                    await trio.sleep(LOOKED)  # they tell nobody
            return
        raise DoesNotForm("The servers of RabbitMQ make no cluster.")

    @property
    def _present_operator(self) -> RabbitOperator:
        assert self._operator is not None  # noqa: S101 - it is there with the servers
        return self._operator

    async def end(self) -> None:
        """End all processes."""
        if self._operator is not None:
            await in_thread(self._operator.end)
        await super().end()
        if self._epmd is not None:
            await in_thread(self._epmd.kill)

    def settings(
        self, pod: int, *, through: Mapping[Endpoint, Endpoint] | None = None, roam: bool = False
    ) -> dict[str, object]:
        """See `Deployment.settings`; a pod is on the server of its number, round and round."""
        del roam
        own = self.addresses[pod % self._count]
        way = (through or {}).get(own, own)
        login = {"username": f"pod{pod}", "password": PASSWORD}
        where = {"host": way.host, "port": way.port}
        return {"type": "rabbitmq", "enabled": True, "rabbitmq": {**where, **login}}

    def dismiss(self, place: int) -> None:
        """SIGTERM."""
        self.servers[place].send(signal.SIGTERM)

    async def restore(self) -> None:
        """See `Deployment.restore`."""
        await super().restore()
        await self.tell(self._users(range(PODS)))
        await self._on_all(f"application:set_env(rabbit, max_message_size, {LIMIT}).")

    async def tell(self, words: str, place: int | None = None) -> str:
        """Have a server evaluate Erlang, as `RabbitOperator.tell` does."""
        return await self._present_operator.tell(words, place)

    async def _on_all(self, words: str) -> None:
        await self._present_operator.tell_all(words)

    def objection(self, trouble: Misfortune) -> str | None:
        """Of all the errors there are two are given on demand."""
        if trouble.name == "broker.answer":
            error = said(trouble, "error", str)
            if error not in (FORCED, DENIED):
                return f"RabbitMQ answers {FORCED} and {DENIED} on demand, and not {error!r}."
        return None

    # Users and connections.

    @staticmethod
    def _users(pods: Sequence[int], password: str = PASSWORD, write: str = ".*") -> str:
        return USERS.format(users=users(pods), password=password, write=write)

    async def _deny(self, trouble: Misfortune) -> Undo:
        """Let pods publish in no room, from now on: channels remember what was allowed once."""
        pods = pods_of(trouble)
        await self._allow(pods, r"^(?!deployd\\.room$)")
        return lambda: self._allow(pods)

    async def _allow(self, pods: Sequence[int], write: str = ".*") -> None:
        await self.tell(self._users(pods, write=write))
        await self._on_all(
            f"Users = [{users(pods)}], [sys:replace_state(Channel, fun(State) -> "
            "erase(permission_cache), State end) || Channel <- rabbit_channel:list_local(), "
            "lists:member(proplists:get_value(user, rabbit_channel:info(Channel, [user])), Users)]."
        )

    async def _change_passwords(self, _: Misfortune) -> Undo:
        """Change them, and cut off who came with the old ones: the server would let them stay."""
        await self.tell(self._users(range(PODS), f"not {PASSWORD}"))
        await self._close(range(PODS))

        async def back() -> None:
            await self.tell(self._users(range(PODS)))

        return back

    async def _close(self, pods: Sequence[int]) -> None:
        words = 'rabbit_networking:close_connections(Theirs, <<"chaos">>).'
        await self.tell(CONNECTIONS.format(users=users(pods)) + words)

    async def _fill(self, _: Misfortune) -> Undo:
        await self.tell(
            'rabbit_vhost_limit:set(<<"/">>, [{<<"max-connections">>, 0}], <<"chaos">>).'
        )
        await self._close(range(PODS))

        async def empty() -> None:
            await self.tell('rabbit_vhost_limit:clear(<<"/">>, <<"chaos">>).')

        return empty

    async def _answer(self, trouble: Misfortune) -> Undo:
        """Close whatever connection there is, again and again; or let nobody write anything."""
        if said(trouble, "error", str) == DENIED:
            await self._allow(range(PODS), "^$")
            return lambda: self._allow(range(PODS))
        closing = (
            "register(chaos_closer, spawn(fun Loop() -> "
            '[rabbit_networking:close_connection(P, <<"chaos">>) '
            "|| P <- rabbit_networking:local_connections()], "
            "receive stop -> ok after 200 -> Loop() end end))."
        )
        await self._on_all(closing)
        return lambda: self._on_all("catch chaos_closer ! stop.")

    # What the server has.

    async def _alarm(self, trouble: Misfortune) -> Undo:
        what = said(trouble, "of", str)
        await self.tell(f"{ALARMS[what].format(RAISED[what])}.", 0)

        async def over() -> None:
            if self.servers[0].running:
                await self.tell(f"{ALARMS[what].format(LOWERED[what])}.", 0)

        return over

    async def _limit(self, trouble: Misfortune) -> None:
        size = said(trouble, "size", int)
        await self._on_all(f"application:set_env(rabbit, max_message_size, {size}).")

    async def _refuse(self, trouble: Misfortune) -> Undo:
        """Bind a queue that takes nothing to a share of the rooms: what it refuses is refused."""
        share = said(trouble, "share", float)
        chosen = self.rooms[: ceil(len(self.rooms) * share)]
        queue = 'rabbit_misc:r(<<"/">>, queue, <<"chaos.full">>)'
        arguments = (
            '[{<<"x-max-length">>, long, 0}, {<<"x-overflow">>, longstr, <<"reject-publish">>}]'
        )
        bound = ", ".join(
            f"rabbit_binding:add({{binding, {exchange(EXCHANGES['rooms'])}, {binary(room)}, "
            f'{queue}, []}}, <<"chaos">>)'
            for room in chosen
        )
        await self.tell(
            f'rabbit_amqqueue:declare({queue}, false, false, {arguments}, none, <<"chaos">>), '
            f"{bound}."
        )

        async def over() -> None:
            await self.tell(
                f"case rabbit_amqqueue:lookup({queue}) of {{ok, Q}} -> "
                'rabbit_amqqueue:delete(Q, false, false, <<"chaos">>); _ -> gone end.'
            )

        return over

    # What it forgets.

    async def _forget(self, trouble: Misfortune) -> None:
        room = binary(said(trouble, "room", str))
        await self.tell(
            QUEUES.format(users=users(pods_of(trouble)))
            + "Names = [amqqueue:get_name(Q) || Q <- Queues], "
            '[rabbit_binding:remove(B, <<"chaos">>) || {binding, _, Key, Name, _} = B <- '
            f"rabbit_binding:list_for_source({exchange(EXCHANGES['rooms'])}), "
            f"Key =:= {room}, lists:member(Name, Names)]."
        )

    async def _forget_queue(self, trouble: Misfortune) -> None:
        await self.tell(
            QUEUES.format(users=users(pods_of(trouble)))
            + '[rabbit_amqqueue:delete(Q, false, false, <<"chaos">>) || Q <- Queues].'
        )

    async def _forget_exchange(self, trouble: Misfortune) -> None:
        which = exchange(EXCHANGES[said(trouble, "of", str)])
        await self.tell(f'rabbit_exchange:delete({which}, false, <<"chaos">>).')

    async def _forget_bindings(self, trouble: Misfortune) -> None:
        """Take what is bound on another server out of one's own copy of the table of routes."""
        place, other = self._pair(trouble)
        name = self.servers[other].name
        await self.tell(
            'Names = [amqqueue:get_name(Q) || Q <- rabbit_amqqueue:list(<<"/">>), '
            f"node(amqqueue:get_pid(Q)) =:= '{name}'], "
            "[ets:match_delete(rabbit_route, {route, {binding, '_', '_', Name, '_'}, '_'}) "
            "|| Name <- Names].",
            place,
        )

    async def _split(self, trouble: Misfortune) -> Undo:
        """Let a node hold another's cookie for wrong, and their connection end.

        Neither lets the other in then, whoever calls. RabbitMQ sees at once that the other is gone,
        as when a network says so; one that swallows everything it would notice after a minute.
        """
        place, other = self._pair(trouble)
        name, cookie = self.servers[other].name, self.servers[other].cookie
        await self.tell(
            f"erlang:set_cookie('{name}', 'split'), erlang:disconnect_node('{name}').", place
        )

        async def join() -> None:
            if self.servers[place].running:  # one that has started again has forgotten it
                await self.tell(f"erlang:set_cookie('{name}', '{cookie}').", place)

        return join

    def _pair(self, trouble: Misfortune) -> tuple[int, int]:
        first, second = (said(trouble, each, int) for each in ("server", "other"))
        return first % self._count, second % self._count

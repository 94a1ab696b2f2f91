"""Two pods on a real broker, a proxy before each, and a conversation that is judged afterwards."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final
from uuid import uuid4

import attrs
import trio

from deployd.config import Broker
from deployd.supervisors import Pod, open_pod
from deployd.tools.chaos.proxy import DOWNSTREAM, FaultProxy, Stream, Toxic, fault_proxy

from .clients import KEYS, Client, connected, pod_config, until
from .crossing import Heard, Said, Verdict, gaps, judge
from .joined import well

__all__ = [
    "FAST",
    "STANDARD",
    "Scene",
    "broker_settings",
    "in_thread",
    "on",
    "scene",
]

STANDARD: Final = Broker(enabled=True, notice_window=0.0)
"""The settings of a pod whose operator has changed nothing."""

FAST: Final = attrs.evolve(STANDARD, canary_interval=0.2, timeout=0.6, max_backoff=0.3, linger=0.0)
SILENCE: Final = ("did not answer within", "did not bring back a probe within")
"""What a link says that has found out by itself, when its time was over."""

PERIOD: Final = 0.01
"""Seconds from one word of the conversation to the next."""

BEHIND: Final = 60
"""Words that Ann may say until her own pod's clients hear one: as many take longer than the link
waits for anything, and a busy machine slows those who speak and those who hear alike."""

ON_ITS_WAY: Final = 3.0
"""Seconds that the last words may be under way to the other pod, or its outage unnoticed."""

_NAMESPACE: Final = {"redis": "prefix", "nats": "subject", "rabbitmq": "exchange"}


def broker_settings(kind: str, server: Any, base: Broker = FAST, **changes: Any) -> Broker:
    """Return a pod's settings for a server; `changes` are of the broker's own section."""
    return attrs.evolve(base, type=kind, **{kind: attrs.evolve(server.settings(), **changes)})


@attrs.define
class Talk:
    """What Ann says on one pod, what Lea hears beside her, and what Bob hears on the other."""

    said: dict[int, float] = attrs.Factory(dict)
    receipts: dict[int, list[tuple[str, float]]] = attrs.Factory(dict)
    lea: dict[int, int] = attrs.Factory(dict)
    """How many words Ann had said when Lea heard each."""
    bob: list[int] = attrs.Factory(list)
    told: list[tuple[str, dict[str, Any], float]] = attrs.Factory(list)
    """Of outages, to Bob: the event, its data and when it came; unix seconds, as all times here."""
    period: float = PERIOD
    over: bool = False

    async def speak(self, ann: Client) -> None:
        while not self.over:
            number = len(self.said)
            self.said[number] = time.time()
            await ann.send("emit", room="tea", event="said", data=number, id=number)
            await trio.sleep(self.period)

    async def listen(self, name: str, client: Client) -> None:
        while True:
            message = json.loads(await client.socket.recv())  # raises when disconnected
            if message["type"] == "receipt":
                receipt = (message["data"]["scope"], time.time())
                self.receipts.setdefault(message["id"], []).append(receipt)
            elif message.get("room") == "tea" and not message["event"].startswith("system:"):
                self._hear(name, message["data"])
            else:
                self._note(name, message)

    def _hear(self, name: str, number: int) -> None:
        if name == "lea":
            assert number not in self.lea
            self.lea[number] = len(self.said)
        elif name == "bob":
            self.bob.append(number)

    def _note(self, name: str, message: dict[str, Any]) -> None:
        assert message["event"] in ("system:degraded", "system:healed"), message
        if name == "bob":
            self.told.append((message["event"], message["data"], time.time()))

    def settled(self) -> bool:
        """Whether all that was said has its receipt and was heard beside Ann."""
        return len(self.receipts) == len(self.lea) == len(self.said)

    def judge(self) -> None:
        """Fail when anything was promised that is not so."""
        assert list(self.lea) == list(self.said)
        behind = max(said - number for number, said in self.lea.items())
        assert behind < BEHIND, f"a word was heard on its own pod when {behind} more were said"
        assert sorted(self.receipts) == list(self.said)
        assert [n for n, got in self.receipts.items() if len(got) != 1] == []
        verdict = self.verdict()
        assert verdict.clean, f"{verdict}; gaps {gaps(self.told)}"

    def verdict(self) -> Verdict:
        """Compare what Ann said, and was answered, with what Bob heard and was told."""
        said = [
            Said("tea", number, self.said[number], at, scope)
            for number, [(scope, at), *_] in self.receipts.items()
        ]
        return judge(said, [Heard("tea", number) for number in self.bob], gaps(self.told))


@attrs.define
class Scene:
    """What a test does to the pods: `fault` begins, `detected`, the end of it, `healed`."""

    server: Any
    proxies: Sequence[FaultProxy]
    pods: Sequence[Pod]
    talk: Talk
    namespace: str
    """What their names begin with on the server."""
    began: float = 0.0

    @property
    def far(self) -> FaultProxy:
        """The proxy of the pod that Bob is on."""
        return self.proxies[1]

    def trips(self) -> list[int]:
        """How often each pod's link has failed."""
        return [pod.link.state.counters.trips for pod in self.pods if pod.link is not None]

    async def fault(self, *faults: Callable[[], object]) -> None:
        """Begin a fault, after some conversation."""
        await self.hears_more()
        self.began = trio.current_time()
        for begin in faults:
            await trio.lowlevel.checkpoint()
            begin()

    async def detected(self, *, silent: bool = False, pods: Sequence[int] = (0, 1)) -> None:
        """Return when the pods' breakers are open.

        Fails when a pod had to wait until its time was over although the fault was not `silent`:
        then its own connection has told it, at once. And when it was told of a silent one.
        """
        await until(lambda: all(self._away(self.pods[index]) for index in pods))
        for index in pods:
            why = self._first_reason(self.pods[index])
            assert any(sign in why for sign in SILENCE) is silent, why

    async def healed(self) -> None:
        """Return when both pods are joined and Bob hears Ann."""
        await until(lambda: all(map(well, self.pods)))
        await self.hears_more()

    async def hears_more(self) -> None:
        """Return when Bob has heard what Ann says from now on."""
        number = len(self.talk.said) + 2
        await until(lambda: bool(self.talk.bob) and self.talk.bob[-1] >= number)

    def _away(self, pod: Pod) -> bool:
        assert pod.link is not None
        return pod.link.state.counters.trips > 0

    def _first_reason(self, pod: Pod) -> str:
        """Say why a pod's link was first given up after it had been joined."""
        assert pod.link is not None
        return pod.link.state.history.each()[0].reason


@asynccontextmanager
async def scene(
    kind: str,
    server: Any,
    base: Broker = FAST,
    other: Any = None,
    *,
    frames: bool = False,
    period: float = PERIOD,
    **changes: Any,
) -> AsyncIterator[Scene]:
    """Join two pods and let Ann talk; judge what everybody heard when the block has ended.

    `other` is the server of the second pod, where it is another one. With `frames` the proxies
    read what they carry, so that toxics may choose some. `period` is seconds from word to word.
    """
    namespace = f"t{uuid4().hex}"
    changes = {_NAMESPACE[kind]: namespace, **changes}
    # What thousands of tests have left takes a full collection 0.4 s, in which no pod notices
    # anything; the pods end this when they end.
    gc.collect()
    gc.freeze()
    async with AsyncExitStack() as stack:
        proxies, pods = [], []
        for place in (server, other or server):
            protocol = kind if frames else ""
            proxy = await stack.enter_async_context(fault_proxy(place.port, protocol=protocol))
            broker = broker_settings(kind, place, base, port=proxy.port, **changes)
            config = attrs.evolve(pod_config(message_rate_limit=100_000.0), broker=broker)
            pods.append(await stack.enter_async_context(open_pod(config, keys=KEYS)))
            proxies.append(proxy)
        for pod in pods:
            await until(partial(well, pod))
        ann, lea = await stack.enter_async_context(connected(pods[0], 2))
        [bob] = await stack.enter_async_context(connected(pods[1]))
        for client in (ann, lea, bob):
            await client.join("tea")
        it = Scene(server, proxies, pods, Talk(period=period), namespace)
        async with trio.open_nursery() as nursery:
            for name, client in (("ann", ann), ("lea", lea), ("bob", bob)):
                nursery.start_soon(it.talk.listen, name, client)
            nursery.start_soon(it.talk.speak, ann)
            yield it
            it.talk.over = True
            await until(it.talk.settled)
            with trio.move_on_after(ON_ITS_WAY):
                await until(lambda: not it.talk.verdict().false_cluster)
            nursery.cancel_scope.cancel()
        it.talk.judge()


def on(proxy: FaultProxy, toxic: Toxic, stream: Stream = DOWNSTREAM) -> Callable[[], object]:
    """Return what puts a toxic on the way of a pod: as bytes come to it, unless said otherwise."""
    return partial(proxy.toxics.put, toxic, stream=stream)


async def in_thread(function: Callable[[], object]) -> None:
    """Start or stop a server, which waits for it, beside the pods."""
    await trio.to_thread.run_sync(function)

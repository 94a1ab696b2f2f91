"""The parent of several pods: what it starts, what its signals mean, and when it ends."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

import trio
from attrs import frozen

from ...config import Config, get_logger
from ...supervisors import ChildSpec, Service, Supervisor
from ...transport import Listener
from ..process import ServiceManager, Signals
from .own_nats import OwnNats
from .process import PodProcess

__all__ = ["Arbiter"]

BOOT: Final = 60.0
"""Seconds in which a pod has to be ready."""
SLACK: Final = 10.0
"""Seconds beyond its drain that a pod may take to end."""

Run: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]

_log = get_logger("serve")


class ReplacementAsked:
    """Whether something was asked for since it was last begun: however often, it is done once."""

    def __init__(self) -> None:
        self._asked = trio.Event()

    def ask(self) -> None:
        """Ask for it."""
        self._asked.set()

    async def wait(self) -> None:
        """Return when it is asked for; what is asked from now on is another time."""
        await self._asked.wait()
        self._asked = trio.Event()


@frozen
class Arbiter:
    """The settings, the pods, a broker of their own if any, and where their metrics are told."""

    config: Config
    pods: Sequence[PodProcess]
    nats: OwnNats | None
    metrics: Listener | None
    port: int

    async def run(self, signals: Signals, manager: ServiceManager) -> None:
        """Run all until a signal says to stop; then let them drain."""
        root = Supervisor("pods", [*self._children()])
        up, ended, asked = trio.Event(), trio.Event(), ReplacementAsked()
        signals.on(signal.SIGHUP, asked.ask)
        for number in (signal.SIGUSR1, signal.SIGQUIT):
            signals.on(number, partial(self._pass_on, number))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(manager.feed_watchdog)
            nursery.start_soon(_supervised, root, up, ended)
            nursery.start_soon(self._replace_when_asked, asked)
            nursery.start_soon(self._announce, up, manager)
            await signals.wait()
            assert signals.first is not None  # noqa: S101 - it is what was waited for
            _log.info("stopping", signal=signals.first.name, pods=len(self.pods))
            manager.stopping(signals.first.name)
            root.request_stop(signals.first.name)
            await ended.wait()
            nursery.cancel_scope.cancel()

    async def _announce(self, up: trio.Event, manager: ServiceManager) -> None:
        await up.wait()
        names = [pod.plan.name for pod in self.pods]
        _log.info("serving with several pods", port=self.port, pods=names)
        manager.ready(f"{len(names)} pods serve on port {self.port}")

    def _children(self) -> Sequence[ChildSpec]:
        drain = self.config.drain
        patience = drain.delay + drain.deadline + SLACK
        children = [
            ChildSpec(
                pod.plan.name,
                partial(_itself, pod),
                shutdown=patience,
                startup=BOOT,
                tireless=True,
            )
            for pod in self.pods
        ]
        if self.metrics is not None:
            children.append(_service("metrics", self.metrics.run))
        # The first, so that it is the last that stops.
        return [_service("nats", self.nats.run), *children] if self.nats else children

    async def _replace_when_asked(self, asked: ReplacementAsked) -> None:
        """Replace one pod after another, so that the port is always served; and that again."""
        drain = self.config.drain
        while True:
            await asked.wait()
            _log.info("replacing the pods one by one", pods=len(self.pods))
            patience = drain.delay + drain.deadline + SLACK + BOOT
            for pod in self.pods:
                if not await pod.replace(patience):
                    break  # what keeps this one from being ready would keep the others too
            else:
                _log.info("all pods are replaced", pods=len(self.pods))

    def _pass_on(self, number: signal.Signals) -> None:
        for pod in self.pods:
            pod.send(number)


def _service(name: str, run: Run) -> ChildSpec:
    return ChildSpec(name, lambda path: Service(path, run), tireless=True)


def _itself(pod: PodProcess, path: str) -> PodProcess:
    del path
    return pod


async def _supervised(root: Supervisor, up: trio.Event, ended: trio.Event) -> None:
    try:
        await root.run(up.set)
    finally:
        ended.set()

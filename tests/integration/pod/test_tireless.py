"""Which children of a pod end it when they fail again and again: those without which it is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from attrs import evolve

from deployd.actors import Heartbeat, LinkActor, Notices
from deployd.actors.clients.errands import Errands
from deployd.config import Config, Metrics
from deployd.documents.collections import CollectionActor, Discovery
from deployd.documents.store import DatabaseStore
from deployd.supervisors import DynamicSupervisor, IntensityExceeded, Node, Watchdog
from deployd.supervisors.observe import Views
from deployd.supervisors.pod.janitor import Janitor
from deployd.supervisors.pod.rooms import Everyone
from deployd.transport import Listener, TlsTerminator
from support import collections_config, connected, find_node, running_pod, write_collection
from support.certificates import issued
from support.fake_broker import FakeBus

FAILURES = 6
"""More than the three restarts in five seconds that a pod allows for."""

TIRELESS: dict[str, tuple[type, str]] = {
    "watchdog": (Watchdog, "run"),
    "janitor": (Janitor, "run"),
    "broker/link": (LinkActor, "on_start"),
    "broker/notices": (Notices, "run"),
    "everyone": (Everyone, "on_start"),
    "store": (DatabaseStore, "open"),
    "collections/todos": (CollectionActor, "on_start"),
    "discovery": (Discovery, "scan"),
    "metrics": (Listener, "run"),
    "tls": (TlsTerminator, "run"),
    "views": (Views, "sample"),
    "errands": (Errands, "run"),
    "heartbeat": (Heartbeat, "beat"),
    "stress": (DynamicSupervisor, "run"),
}
VITAL: dict[str, tuple[type, str]] = {
    "rooms": (DynamicSupervisor, "run"),
    "collections": (DynamicSupervisor, "run"),
    "connections": (DynamicSupervisor, "run"),
    "listener": (Listener, "run"),
}


def everything(folder: Path, *, tls: bool = False) -> Config:
    """Return a configuration with which a pod has all the children that it can have."""
    write_collection(folder, "todos", {"properties": {}})
    config = evolve(
        collections_config(folder),
        metrics=Metrics(bind="127.0.0.1:0"),
        # The link is known by the broker that the test passes.
    )
    return evolve(config, tls=issued(folder)) if tls else config


def names_in(node: Node) -> set[str]:
    return {child.path.removeprefix("pod/") for child in node.children}


def break_child(monkeypatch: pytest.MonkeyPatch, name: str, place: tuple[type, str]) -> None:
    """Let a method raise what is no `Exception`, where it is called for the child of this name."""
    owner, method = place
    works = getattr(owner, method)

    def is_meant(self: Any) -> bool:
        if owner is Listener:  # the metrics' has a port of its own
            return (name == "metrics") == (self is listeners[0])
        return owner is not DynamicSupervisor or self.path == f"pod/{name}"

    listeners: list[Any] = []
    makes = Listener.__init__

    def note(self: Any, *args: Any, **kwargs: Any) -> None:
        listeners.append(self)
        makes(self, *args, **kwargs)

    monkeypatch.setattr(Listener, "__init__", note)

    def fails(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_meant(self):
            raise SystemExit(f"{name} fails")
        return works(self, *args, **kwargs)

    monkeypatch.setattr(owner, method, fails)


@pytest.mark.parametrize("name", TIRELESS)
async def test_a_child_that_always_fails_is_tried_again_and_harms_nobody(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = everything(tmp_path, tls=name == "tls")
    break_child(monkeypatch, name, TIRELESS[name])
    with structlog.testing.capture_logs():
        async with running_pod(config, broker=FakeBus().make) as pod:
            await tried(lambda: find_node(pod.tree(), f"pod/{name}"))
            if name == "tls":
                return
            async with connected(pod) as [client]:
                await client.send("join", room="tea", id=1)
                await client.send("emit", room="tea", event="said", id=2)
                awaited = {("join", None), ("emit", "said"), ("receipt", None)}
                while awaited:  # the link may be away, of which clients are told
                    message = await client.receive()
                    awaited.discard((message["type"], message.get("event")))
            assert find_node(pod.tree(), "pod/connections").incarnation == 1


@pytest.mark.parametrize("name", VITAL)
async def test_a_pod_ends_without_one_that_it_needs(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    break_child(monkeypatch, name, VITAL[name])

    async def run() -> None:
        async with running_pod(everything(tmp_path), broker=FakeBus().make):
            with trio.fail_after(20):
                await trio.sleep_forever()

    with structlog.testing.capture_logs(), pytest.raises(IntensityExceeded, match=name):
        await run()


async def test_every_child_of_a_pod_is_one_or_the_other(tmp_path: Path) -> None:
    async with running_pod(everything(tmp_path, tls=True), broker=FakeBus().make) as pod:
        broker = {f"broker/{name}" for name in ("link", "notices")}
        assert names_in(find_node(pod.tree(), "pod/broker")) == broker
        assert names_in(pod.tree()) == {
            *(name for name in (*TIRELESS, *VITAL) if "/" not in name),
            "broker",  # which is its two children, and fails no more than they do
        }


async def tried(node: Callable[[], Node]) -> None:
    """Return when a child has failed so often that a vital one would have been given up."""
    with trio.fail_after(20):
        while node().incarnation < FAILURES:  # noqa: ASYNC110
            await trio.sleep(0.02)

"""A pod that runs: its tree from the start to the end, and what the outside sees of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import trio

from ...actors import Affinity, Exit, Room
from ...config import Config, Secrets, bind_log_context, get_logger, read_again
from ...transport import JSON, Event, encode_data, shortage
from ..description import Node
from ..observe import snapshot_of
from .assemble import Parts

__all__ = ["Pod"]

_log = get_logger("realtime")

HANDOVER: Final = 2.0
"""Seconds that rooms may take for `on_drain`, all together."""
LOST: Final = "system:lost"
MOST_NAMED: Final = 1000
"""Ids of lost events that clients are told; of more they are told how many there are."""
LOST_REASON: Final = (
    "This pod stops while the other pods are out of reach; what was 'queued' under these ids is "
    "heard nowhere else. Say it again."
)


class Pod:
    """One pod: `hub` to say something, `bind_room` to add room classes, `tree` to look inside.

    `chaos` gives it faults, where `chaos.enabled` allows that; else it is None.

    Made and run by `open_pod`. `parts` are all that it is made of; nothing of them is exchanged
    while it runs.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.pod_id = parts.basis.pod_id
        self.tokens = parts.basis.tokens
        self.members = parts.basis.members
        self.meters = parts.basis.meters
        self.rooms = parts.watched.rooms
        self.link = parts.watched.link
        self.hub = parts.hub
        self.chaos = parts.watched.chaos
        self._affinity = Affinity()
        self._cut_off = trio.CancelScope()
        self._stopping: str | None = None
        self._stop_asked = trio.Event()

    # What the outside sees -----------------------------------------------------------------

    @property
    def name(self) -> str:
        """What other pods and operators know this one by."""
        return self.parts.watched.name

    @property
    def config(self) -> Config:
        """The settings in force."""
        return self.parts.basis.in_force.config

    @property
    def port(self) -> int:
        """The port the pod listens on."""
        return self.parts.tree.listener.address[1]

    @property
    def metrics_port(self) -> int | None:
        """The port of `metrics.bind`, if there is one."""
        metrics = self.parts.tree.metrics
        return None if metrics is None else metrics.address[1]

    def tree(self) -> Node:
        """Describe every live actor: the answer to "what are you doing?"."""
        return self.parts.root.describe()

    def connections(self) -> int:
        """Count the live WebSocket connections."""
        return len(self.members)

    def bind_room(self, pattern: str, room_class: type[Room[Any]]) -> None:
        """Let rooms whose names match the pattern be of this class, before all other bindings."""
        self._affinity.check("Pod.bind_room")
        self.rooms.bind(pattern, room_class)

    def adopt(self, config: Config, keys: Secrets) -> None:
        """Go on with the live settings of another configuration (`read_again`), and other secrets.

        Clients stay; those that other rules keep out of a room leave it. Who has signed in with
        tokens of an older secret is signed in as long as it stays. The certificate is read anew.
        """
        self._affinity.check("Pod.adopt")
        parts = self.parts
        parts.basis.in_force.change(read_again(self.config, config).config)
        parts.basis.tokens.change_secret(keys.jwt_secret)
        parts.keyring.change_master_key(keys.master_key)
        if parts.tree.tls is not None:
            parts.tree.tls.renew()

    def snapshot(self) -> None:
        """Write what the pod is doing into its log: its tree, where its tasks wait, its links."""
        self._affinity.check("Pod.snapshot")
        shown = snapshot_of(self.parts.watched)
        for what, value in shown.items():
            _log.warning("snapshot of the pod", **{what: value})

    def show_stacks(self) -> None:
        """Have all threads' stacks logged, also while the loop stands still; from anywhere."""
        self.parts.basis.watchdog.show_stacks()

    # Life ------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Run the tree until `request_stop`.

        Raises `AddressInUse` or `ListenError` when the port cannot be had, before anything else
        has started, and `IntensityExceeded` when the tree gives up.
        """
        bind_log_context(pod=self.pod_id, pod_name=self.name)
        tree, root = self.parts.tree, self.parts.root
        short = shortage(self.config.limits.max_connections, 1 if tree.tls is None else 3)
        if short is not None:
            _log.warning("there are fewer files than limits.maxConnections", remedy=short)
        if self.chaos is not None:
            _log.warning(
                "chaos is on: root may break this pod on purpose",
                remedy="leave out --chaos, or unset chaos.enabled, where anybody relies on it",
            )
        tree.listener.open()
        if tree.metrics is not None:
            tree.metrics.open()
        hints = self.parts.hints
        if hints is not None:
            hints.claim()
        try:
            with self._cut_off:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._drain)
                    await root.run(started)
                    nursery.cancel_scope.cancel()
        finally:
            root.terminated(Exit.shutdown("pod stopped"))
            if hints is not None:  # the link has left what it could not say
                hints.release()
            tree.listener.close()
            if tree.metrics is not None:
                tree.metrics.close()

    def request_stop(self, reason: str) -> None:
        """Stop: not ready from now on, and after `drain.delay` let everybody go.

        Rooms hand over what they want to (`on_drain`), then the tree stops in reverse order of
        start: no more accepts, clients closed paced, rooms last, what was said handed to the
        broker. What still runs `drain.deadline` seconds after the delay is cancelled.
        """
        self._affinity.check("Pod.request_stop")
        if self._stopping is None:
            drain = self.config.drain
            self._stopping = reason
            self.parts.health.stop()
            self._cut_off.deadline = trio.current_time() + drain.delay + drain.deadline
            self._stop_asked.set()

    def _own_up(self) -> None:
        """Tell clients what was `queued` and will never be said, while they are still there."""
        if self.link is None or self.link.state.breaker.closed:
            return
        lost = self.link.ended()
        if not lost:
            return
        basis = self.parts.basis
        data: JSON = {"ids": [*lost[:MOST_NAMED]], "count": len(lost), "reason": LOST_REASON}
        event = Event(None, LOST, encode_data(data), basis.event_ids(), 0, basis.wall())
        for member in list(self.members.values()):
            member.say(event)

    async def _drain(self) -> None:
        await self._stop_asked.wait()
        drain = self.config.drain
        await trio.sleep(drain.delay)
        await self.rooms.drain(min(HANDOVER, drain.deadline / 2))
        self._own_up()
        self.parts.root.request_stop(self._stopping or "")

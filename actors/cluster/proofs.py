"""Whether each subscription still lives: pure. Probes that are to come back, and what if not.

A channel is proven by a probe that is heard on it: this pod's own, and one from a pod on each other
server of the broker, for servers tell each other of subscriptions in their own time. A subscription
that a broker has lost (an exchange, a binding, a slot, a permission) brings none: it is made anew,
and the connection goes on.
"""

from __future__ import annotations

import heapq
import random
import secrets
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import define, frozen

from ...transport.brokers import ask_echo, probe
from ...transport.brokers.contract import Channel, Message, pod_channel

__all__ = ["Proofs", "Steps"]

TOGETHER: Final = 16
"""Channels that are proven of those that were subscribed at once: the last ones, for a broker takes
subscriptions in their order."""
FIRST_WAIT: Final = 0.05
LONGEST_WAIT: Final = 0.5
"""Seconds, doubled each time, until a probe that has not come back is said again."""
DOUBT: Final = 0.8
"""Seconds without any probe after which a subscription is made anew; and again, as often."""
SILENT: Final = 20.0
"""Seconds, and up to a quarter more, in which nothing came on a channel: it is proven again. Where
the broker has other servers, whatever came: what is said on this one shows nothing of those."""
MOST_TRIALS: Final = 64
MOST_WAITING: Final = 16_384
"""Channels that wait to be proven; of more the oldest are left to the next look at silent ones."""


@define
class _Trial:
    """Channels under proof, each with the pods whose probe is awaited there."""

    nonce: str
    awaited: dict[Channel, set[str]]
    group: tuple[Channel, ...]
    began: float
    wait: float = FIRST_WAIT
    again_at: float = 0.0
    renewed_at: float = 0.0


@frozen
class Steps:
    """What is to be done: messages to say, and subscriptions to make anew."""

    messages: Sequence[Message]
    renew: Sequence[Channel]


class Proofs:
    """Which channels are under proof. `now` is steady seconds; `witnesses` are one pod a server."""

    def __init__(self, pod_id: str) -> None:
        self._pod_id = pod_id
        self.sounds: dict[Channel, float] = {}
        """When something last came on each channel that is looked after."""
        self._trials: dict[str, _Trial] = {}
        self._under: dict[Channel, _Trial] = {}
        self._waiting: dict[Channel, None] = {}
        self._lost: dict[Channel, None] = {}
        self._looks: list[tuple[float, Channel]] = []  # a heap, by when they are due
        self._looked_after: set[Channel] = set()

    def begin(self, channels: Sequence[Channel], now: float, witnesses: Sequence[str]) -> None:
        """Prove channels that have just been subscribed together."""
        proven = channels[-TOGETHER:]
        self._try(proven, tuple(channels), now, witnesses)
        for channel in channels:
            self.sounds[channel] = now
            self._look_at(channel, now)

    def watch(self, channel: Channel, now: float) -> None:
        """Look after a channel that is subscribed since long, and prove it now."""
        self.sounds[channel] = now
        self._look_at(channel, now)
        self.doubt([channel])

    def doubt(self, channels: Iterable[Channel]) -> None:
        """Prove these again, soon: something that was said there has not come."""
        for channel in channels:
            if channel not in self._under and len(self._waiting) < MOST_WAITING:
                self._waiting[channel] = None

    def renew(self, channels: Iterable[Channel]) -> None:
        """Make these anew, soon: what others said there has not come, whatever a probe shows."""
        for channel in channels:
            if len(self._lost) < MOST_WAITING:
                self._lost[channel] = None

    def forget(self, channels: Iterable[Channel]) -> None:
        """Look after these no more."""
        for channel in channels:
            self.sounds.pop(channel, None)
            self._looked_after.discard(channel)
            self._waiting.pop(channel, None)
            self._lost.pop(channel, None)
            trial = self._under.get(channel)
            if trial is not None:
                self._pass(trial, channel)
                if not trial.awaited:  # who came with it waits all the same
                    self.doubt(other for other in trial.group if other in self.sounds)

    def clear(self) -> None:
        """Begin anew: the connection is another one."""
        for table in (self.sounds, self._trials, self._under, self._waiting, self._lost):
            table.clear()
        self._looks.clear()
        self._looked_after.clear()

    @property
    def done(self) -> bool:
        """Whether everything that was to be proven is."""
        return not self._under and not self._waiting

    def under_proof(self, channel: Channel) -> bool:
        """Whether a channel is not proven at this moment."""
        return channel in self._under or channel in self._waiting

    def hears(self, channel: Channel, origin: str, nonce: str) -> tuple[Channel, ...]:
        """Take a probe; return the channels that are proven by it, all that were subscribed so."""
        trial = self._trials.get(nonce)
        return () if trial is None else self._came(trial, channel, origin)

    def unsayable(self, channels: Iterable[Channel]) -> tuple[Channel, ...]:
        """Note where this pod may not speak: its own probe proves nothing there.

        Returns the channels that are proven without it, as `hears` does.
        """
        proven: list[Channel] = []
        for channel in channels:
            trial = self._under.get(channel)
            if trial is not None:
                proven += self._came(trial, channel, self._pod_id)
        return tuple(proven)

    def next_step(self) -> float:
        """Return when there is something to do at the latest, or infinity."""
        times = [trial.again_at for trial in self._trials.values()]
        return min(times, default=float("inf"))

    def step(self, now: float, witnesses: Sequence[str]) -> Steps:
        """Say what is to be done by now."""
        self._look(now, bool(witnesses))
        if self._waiting and len(self._trials) < MOST_TRIALS:
            channels = list(self._waiting)[:TOGETHER]
            for channel in channels:
                del self._waiting[channel]
            self._try(channels, tuple(channels), now, witnesses)
        messages: list[Message] = []
        renew, self._lost = list(self._lost), {}
        for trial in self._trials.values():
            if trial.again_at > now:
                continue
            messages += self._probes(trial, witnesses)
            trial.again_at = now + trial.wait
            trial.wait = min(LONGEST_WAIT, 2 * trial.wait)
            if now - max(trial.began, trial.renewed_at) >= DOUBT:
                trial.renewed_at = now
                renew += trial.awaited
        return Steps(messages, renew)

    # Inside ----------------------------------------------------------------------------------

    def _try(
        self,
        channels: Sequence[Channel],
        group: tuple[Channel, ...],
        now: float,
        witnesses: Sequence[str],
    ) -> None:
        for channel in channels:  # a younger trial takes the place of an older one
            before = self._under.get(channel)
            if before is not None:
                group = (*group, *before.group)
                self._end(before)
        awaited = {channel: {self._pod_id, *witnesses} for channel in channels}
        trial = _Trial(secrets.token_hex(8), awaited, tuple(dict.fromkeys(group)), now)
        trial.again_at = now
        self._trials[trial.nonce] = trial
        for channel in channels:
            self._under[channel] = trial

    def _probes(self, trial: _Trial, witnesses: Sequence[str]) -> list[Message]:
        """Return what asks for the probes that have not come, of pods that are still there."""
        there = {self._pod_id, *witnesses}
        asked: dict[str, list[Channel]] = {}
        for channel, awaited in trial.awaited.items():
            if not awaited <= there:
                awaited.clear()
                awaited.update(there)
            for pod in sorted(awaited):
                asked.setdefault(pod, []).append(channel)
        own = probe(self._pod_id, trial.nonce)
        messages = [(channel, own) for channel in asked.pop(self._pod_id, ())]
        for pod, channels in asked.items():
            messages.append((pod_channel(pod), ask_echo(self._pod_id, trial.nonce, channels)))
        return messages

    def _came(self, trial: _Trial, channel: Channel, origin: str) -> tuple[Channel, ...]:
        awaited = trial.awaited.get(channel)
        if awaited is None:
            return ()
        awaited.discard(origin)
        if awaited:
            return ()
        self._pass(trial, channel)
        return () if trial.awaited else trial.group

    def _pass(self, trial: _Trial, channel: Channel) -> None:
        trial.awaited.pop(channel, None)
        self._under.pop(channel, None)
        if not trial.awaited:
            self._trials.pop(trial.nonce, None)

    def _end(self, trial: _Trial) -> None:
        for channel in list(trial.awaited):
            self._pass(trial, channel)
        self._trials.pop(trial.nonce, None)

    def _look_at(self, channel: Channel, now: float) -> None:
        if channel not in self._looked_after:
            self._looked_after.add(channel)
            due = now + SILENT * random.uniform(1, 1.25)  # noqa: S311 - chance, not secrecy
            heapq.heappush(self._looks, (due, channel))

    def _look(self, now: float, several: bool) -> None:
        """Prove again where nothing has come for long, or where there are several servers."""
        while self._looks and self._looks[0][0] <= now:
            _, channel = heapq.heappop(self._looks)
            if channel not in self._looked_after:
                continue
            self._looked_after.discard(channel)
            sound = self.sounds.get(channel, now)
            if several or sound <= now - SILENT:
                self.doubt([channel])
                sound = now
            self._look_at(channel, sound)

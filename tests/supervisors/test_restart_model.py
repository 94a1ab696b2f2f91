"""`decide` against a small model of OTP's supervisor, written down from its manual."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from deployd.actors import EnvironmentFailure, Exit
from deployd.supervisors import (
    Backoff,
    Decision,
    Intensity,
    Restart,
    RestartState,
    Strategy,
    Subject,
    came_up,
    decide,
)

ENDS = {
    "normal": Exit.normal(),
    "shutdown": Exit.shutdown(),
    "killed": Exit.killed(),
    "bug": Exit.crashed(ValueError()),
    "refused": Exit.crashed(EnvironmentFailure()),
}


class ModelChild:
    def __init__(self, name: str, kind: Restart) -> None:
        self.name = name
        self.kind = kind
        self.running = True
        self.up_at: float | None = None
        self.failures = 0


class Model:
    """OTP's rules, imperative and with no regard for speed.

    Beyond OTP: waits, environment failures, and temporary children that have not been up yet.
    """

    def __init__(
        self, kinds: list[Restart], strategy: Strategy, intensity: Intensity, backoff: Backoff
    ) -> None:
        self.children = [ModelChild(str(i), kind) for i, kind in enumerate(kinds)]
        self.strategy = strategy
        self.intensity = intensity
        self.backoff = backoff
        self.restarts: list[float] = []
        self.given_up = False
        self.stopped: list[str] = []
        self.started: list[str] = []
        self.delay = 0.0

    def exit(self, child: ModelChild, how: str, now: float) -> None:
        self.stopped, self.started, self.delay = [], [], 0.0
        child.running = False
        quiet = child.up_at is not None and now - child.up_at >= self.backoff.reset_after
        child.up_at = None
        if child.kind is Restart.TEMPORARY:
            self.children.remove(child)
        elif child.kind is Restart.TRANSIENT and how in ("normal", "shutdown"):
            child.failures = 0
        else:
            self.restart(child, how, now, quiet=quiet)

    def restart(self, child: ModelChild, how: str, now: float, *, quiet: bool) -> None:
        if how != "refused":
            self.restarts = [t for t in self.restarts if t + self.intensity.period >= now] + [now]
            if len(self.restarts) > self.intensity.restarts:
                self.terminate([c for c in self.children if c is not child])
                self.given_up = True
                return
        if quiet:
            child.failures = 0
        if child.failures or how == "refused" or not self.backoff.immediate:
            wait = self.backoff.base * self.backoff.factor**child.failures
            self.delay = min(self.backoff.cap, wait)
        child.failures += 1
        if self.strategy is Strategy.ONE_FOR_ONE:
            group = [child]
        elif self.strategy is Strategy.REST_FOR_ONE:
            group = self.children[self.children.index(child) :]
        else:
            group = list(self.children)
        self.terminate(group)
        for member in group:
            if member in self.children:
                member.running = True
                self.started.append(member.name)

    def terminate(self, group: list[ModelChild]) -> None:
        for member in reversed(group):
            if member.running:
                member.running = False
                self.stopped.append(member.name)
            if member.kind is Restart.TEMPORARY and member.up_at is not None:
                self.children.remove(member)
            member.up_at = None


class DecideAgainstModel(RuleBasedStateMachine):
    @initialize(
        kinds=st.lists(st.sampled_from(Restart), min_size=1, max_size=5),
        strategy=st.sampled_from(Strategy),
        restarts=st.integers(0, 6),
        period=st.sampled_from([1.0, 5.0]),
        immediate=st.booleans(),
    )
    def begin(
        self,
        kinds: list[Restart],
        strategy: Strategy,
        restarts: int,
        period: float,
        immediate: bool,
    ) -> None:
        backoff = Backoff(base=0.25, cap=4.0, reset_after=8.0, immediate=immediate)
        intensity = Intensity(restarts, period)
        self.now = 0.0
        self.model = Model(kinds, strategy, intensity, backoff)
        self.state = RestartState(
            tuple(Subject(str(i), kind, backoff) for i, kind in enumerate(kinds)),
            strategy,
            intensity,
        )

    def running(self) -> list[ModelChild]:
        return [child for child in self.model.children if child.running]

    def starting(self) -> list[ModelChild]:
        return [child for child in self.running() if child.up_at is None]

    # Quarters of seconds are exact in binary, so both sides see the same boundaries.
    @rule(quarters=st.integers(0, 40))
    def time_passes(self, quarters: int) -> None:
        self.now += quarters / 4

    @precondition(lambda self: self.starting() and not self.model.given_up)
    @rule(data=st.data())
    def a_child_comes_up(self, data: st.DataObject) -> None:
        child = data.draw(st.sampled_from(self.starting()), label="child")
        child.up_at = self.now
        self.state = came_up(self.state, child.name, self.now)

    @precondition(lambda self: self.running() and not self.model.given_up)
    @rule(data=st.data(), how=st.sampled_from(sorted(ENDS)))
    def a_child_ends(self, data: st.DataObject, how: str) -> None:
        child = data.draw(st.sampled_from(self.running()), label="child")
        was_running = {c.name for c in self.running()} - {child.name}
        self.model.exit(child, how, self.now)
        self.state, decision = decide(self.state, child.name, ENDS[how], self.now, lambda: 1.0)
        self.compare(decision, was_running)

    def compare(self, decision: Decision, was_running: set[str]) -> None:
        assert [name for name in decision.stop if name in was_running] == self.model.stopped
        assert list(decision.start) == self.model.started
        assert (decision.escalate is not None) == self.model.given_up
        if decision.start:
            assert decision.due - self.now == pytest.approx(self.model.delay)

    @invariant()
    def both_know_the_same_children(self) -> None:
        if hasattr(self, "model") and not self.model.given_up:
            assert [(c.name, c.failures, c.up_since) for c in self.state.children] == [
                (c.name, c.failures, c.up_at) for c in self.model.children
            ]


TestDecideAgainstModel = DecideAgainstModel.TestCase
TestDecideAgainstModel.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)

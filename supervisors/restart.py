"""Which children stop and which start when one of them ends: decided here, done elsewhere.

The semantics are those of OTP's supervisor (https://www.erlang.org/doc/apps/stdlib/supervisor),
"Restart intensity and period", "Child specification", "Supervision principles". Three differences,
on purpose: restarts wait for a backoff, and neither an `EnvironmentFailure` nor a child that is
`tireless` ever uses up the intensity.
"""

import enum
from collections.abc import Callable, Iterable
from typing import Final

import attrs

from ..actors import EnvironmentFailure, Exit
from .backoff import Backoff
from .errors import InvalidSpec

__all__ = [
    "Decision",
    "Intensity",
    "Restart",
    "RestartState",
    "Strategy",
    "Subject",
    "came_up",
    "decide",
    "is_environment_failure",
]

_BACKOFF = Backoff()

LONGEST_WAIT: Final = 3600.0
"""Seconds that a failure may ask for."""


class Restart(enum.Enum):
    """When a child that ended is started again: always, after a crash, never."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Strategy(enum.Enum):
    """Who is restarted with a child: nobody, those started after it, everyone."""

    ONE_FOR_ONE = "one_for_one"
    REST_FOR_ONE = "rest_for_one"
    ONE_FOR_ALL = "one_for_all"


@attrs.frozen
class Intensity:
    """How many restarts are allowed within `period` seconds; one more and it is a bug."""

    restarts: int = 3
    period: float = 5.0

    def __attrs_post_init__(self) -> None:
        if self.restarts < 0 or self.period <= 0:
            raise InvalidSpec(f"{self}: give 0 restarts or more and a period above 0 s.")


@attrs.frozen
class Subject:
    """What a decision needs to know of a child. `up_since` is None while it is not up."""

    name: str
    restart: Restart = Restart.PERMANENT
    backoff: Backoff = _BACKOFF
    tireless: bool = False
    failures: int = 0
    up_since: float | None = None


@attrs.frozen
class RestartState:
    """What a supervisor remembers: its children in start order, its restarts' recent times."""

    children: tuple[Subject, ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: Intensity = Intensity()
    recent: tuple[float, ...] = ()

    def subject(self, name: str) -> Subject:
        """Return the child of that name; raises `KeyError` when it was forgotten."""
        for child in self.children:
            if child.name == name:
                return child
        raise KeyError(name)

    def replacing(self, changed: Iterable[Subject]) -> "RestartState":
        """Return the state with these children in the places of their namesakes."""
        by_name = {child.name: child for child in changed}
        children = tuple(by_name.get(child.name, child) for child in self.children)
        return attrs.evolve(self, children=children)

    def without(self, names: Iterable[str]) -> "RestartState":
        """Return the state with these children forgotten."""
        gone = frozenset(names)
        return attrs.evolve(self, children=tuple(c for c in self.children if c.name not in gone))


@attrs.frozen
class Decision:
    """What to do: stop, in this order; then start, in this order, at `due`.

    `forget` names temporary children that will not live again. `escalate` says why the
    supervisor must give up; then `stop` names everyone else and nobody starts.
    """

    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    due: float = 0.0
    forget: tuple[str, ...] = ()
    escalate: str | None = None


def came_up(state: RestartState, name: str, now: float) -> RestartState:
    """Return the state after a child said that it is up. From here its quiet time counts."""
    return state.replacing([attrs.evolve(state.subject(name), up_since=now)])


def decide(
    state: RestartState,
    name: str,
    exit: Exit,  # noqa: A002 - OTP's word
    now: float,
    random: Callable[[], float],
) -> tuple[RestartState, Decision]:
    """Return what follows from the exit of a child that nobody asked to stop.

    A start that fails is an exit like any other. `now` is in seconds on any steady clock,
    `random` gives numbers in [0, 1).
    """
    child = state.subject(name)
    if child.restart is Restart.TEMPORARY:
        return state.without([name]), Decision(forget=(name,))
    if child.restart is Restart.TRANSIENT and not exit.abnormal:
        return state.replacing([attrs.evolve(child, failures=0, up_since=None)]), Decision()
    environment = is_environment_failure(exit.error)
    if not environment and not child.tireless:
        state = _counting(state, now)
        if len(state.recent) > state.intensity.restarts:
            return state, _give_up(state, name)
    failures = _failures_before(child, now)
    # The world does not heal at once: `immediate` is for bugs.
    backoff = attrs.evolve(child.backoff, immediate=child.backoff.immediate and not environment)
    due = now + max(backoff.delay(failures, random), _asked_for(exit.error))
    child = attrs.evolve(child, failures=failures + 1, up_since=None)
    return _restart(state.replacing([child]), name, due)


def is_environment_failure(error: BaseException | None) -> bool:
    """Whether the world is broken and not the code, also when nurseries wrapped it in groups."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_environment_failure(inner) for inner in error.exceptions)
    return isinstance(error, EnvironmentFailure)


def _asked_for(error: BaseException | None) -> float:
    """Return the wait (seconds) that the failure itself asks for, where that makes sense."""
    if isinstance(error, BaseExceptionGroup):
        return max(map(_asked_for, error.exceptions))
    if not isinstance(error, EnvironmentFailure):
        return 0.0
    try:  # whoever raised it is not ours, and a wait without an end would be a silent end
        asked = float(error.retry_after)
    except (TypeError, ValueError):
        return 0.0
    return asked if 0.0 <= asked <= LONGEST_WAIT else 0.0


def _counting(state: RestartState, now: float) -> RestartState:
    horizon = now - state.intensity.period
    recent = (*(time for time in state.recent if time >= horizon), now)
    return attrs.evolve(state, recent=recent)


def _failures_before(child: Subject, now: float) -> int:
    # Quiet is time spent up: a child that takes a minute to fail to start has not been well.
    if child.up_since is not None and now - child.up_since >= child.backoff.reset_after:
        return 0
    return child.failures


def _give_up(state: RestartState, name: str) -> Decision:
    others = tuple(child.name for child in reversed(state.children) if child.name != name)
    intensity = state.intensity
    why = (
        f"'{name}' ended {len(state.recent)} times within {intensity.period:g} s "
        f"and {intensity.restarts} restarts are allowed"
    )
    return Decision(stop=others, escalate=why)


def _restart(state: RestartState, name: str, due: float) -> tuple[RestartState, Decision]:
    group = _affected(state, name)
    # A temporary child that never came up has not had its one life yet.
    forget = tuple(
        c.name for c in group if c.restart is Restart.TEMPORARY and c.up_since is not None
    )
    decision = Decision(
        stop=tuple(child.name for child in reversed(group) if child.name != name),
        start=tuple(child.name for child in group if child.name not in forget),
        due=due,
        forget=forget,
    )
    down = (attrs.evolve(child, up_since=None) for child in group)
    return state.replacing(down).without(forget), decision


def _affected(state: RestartState, name: str) -> tuple[Subject, ...]:
    names = [child.name for child in state.children]
    match state.strategy:
        case Strategy.ONE_FOR_ONE:
            return (state.subject(name),)
        case Strategy.REST_FOR_ONE:
            return state.children[names.index(name) :]
        case Strategy.ONE_FOR_ALL:
            return state.children

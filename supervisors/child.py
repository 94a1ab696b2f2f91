"""What can be supervised, and how: anything that lives once when it is run."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs
import trio

from ..actors import Exit
from .backoff import Backoff
from .errors import InvalidSpec
from .restart import Restart

__all__ = ["Child", "ChildSpec", "Service"]

_BACKOFF = Backoff()  # frozen, so all specifications may share it


class Child(Protocol):
    """What can be supervised: an `ActorCell`, a `Service`, another supervisor."""

    @property
    def path(self) -> str:
        """Where it hangs in the tree: names joined by slashes."""

    async def run(self, started: Callable[[], None]) -> None:
        """Live once. Call `started` when up; return for a normal exit, raise for a crash."""

    def request_stop(self, reason: str) -> None:
        """Ask the running incarnation to end soon; `run` then returns."""

    def terminated(self, exit: Exit) -> None:  # noqa: A002 - OTP's word
        """Learn that there will be no other incarnation."""


@attrs.frozen
class ChildSpec:
    """How to start, restart and stop one child. Times are seconds.

    `factory` is called once, with the child's path: the object survives restarts, its `run` is
    called again. A child that is not up after `startup` is killed and counts as crashed; one
    that still runs `shutdown` after it was asked to stop is killed. A supervisor's own
    specification needs a `shutdown` above the sum of its children's, or `math.inf`.

    A `tireless` child is never given up, however often it crashes, and so never takes its siblings
    with it: they can do without it, and its backoff bounds what its crashes cost.
    """

    name: str
    factory: Callable[[str], Child]
    restart: Restart = Restart.PERMANENT
    shutdown: float = 5.0
    backoff: Backoff = _BACKOFF
    startup: float = 30.0
    tireless: bool = False

    def __attrs_post_init__(self) -> None:
        if not self.name:
            raise InvalidSpec("A child's name is empty; its path needs one.")
        if self.shutdown < 0 or self.startup <= 0:
            raise InvalidSpec(f"'{self.name}': give shutdown 0 s or more and startup above 0 s.")


class Service:
    """A child made from a coroutine function that is not an actor.

    The function gets `started` and must call it when it is up. `request_stop` cancels it, which
    is a normal exit.
    """

    __slots__ = ("_run", "_scope", "path")

    def __init__(self, path: str, run: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self.path = path
        self._run = run
        self._scope: trio.CancelScope | None = None

    async def run(self, started: Callable[[], None]) -> None:
        """Run the function once."""
        with trio.CancelScope() as self._scope:
            await self._run(started)

    def request_stop(self, reason: str) -> None:
        """Cancel the function."""
        if self._scope is not None:
            self._scope.cancel()

    def terminated(self, exit: Exit) -> None:  # noqa: A002
        """Do nothing: nobody monitors a service."""

"""Stress tests of the pod itself: what root may ask for, one at a time, and how they went."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import frozen

from ...config import Config, InForce
from ...transport import JSON
from ..child import ChildSpec
from ..dynamic import DynamicSupervisor
from ..errors import NotRunning
from ..restart import Restart
from .stress_process import StressTest

__all__ = ["StressRunner"]

SLACK: Final = 60.0
"""Seconds that a test may take for its connections, beside its duration."""
REMEMBERED: Final = 10
DEFAULTS: Final[Mapping[str, float]] = {
    "connections": 100,
    "messagesPerSecond": 100,
    "duration": 30,
    "rooms": 10,
}
COUNTS: Final = ("connections", "rooms")
Answer = tuple[int, Mapping[str, object]]


@frozen
class _TurnedDown(Exception):
    """A test that is not to be: the status, and the sentence that says why."""

    status: int
    sentence: str


@frozen
class _Load:
    """What a test asks of the pod; `rate` is of all clients together, messages a second."""

    connections: int
    rate: float
    duration: float
    rooms: int

    def options(self) -> list[str]:
        return [
            "--connections", str(self.connections),
            "--rate", f"{self.rate:g}",
            "--duration", f"{self.duration:g}",
            "--rooms", str(self.rooms),
        ]  # fmt: skip


class StressRunner:
    """Runs one test at a time, below a supervisor; remembers what the last few came to.

    `command` is the program that runs one, without its arguments; None where nobody gave one.
    `url` and `sign` give the pod's own address and a token of root for so many seconds; `tell`
    is told of the progress each second.
    """

    def __init__(
        self,
        in_force: InForce,
        command: Sequence[str] | None,
        *,
        url: Callable[[], str],
        sign: Callable[[float], str],
        tell: Callable[[str, JSON], None],
    ) -> None:
        self.supervisor = DynamicSupervisor("pod/stress", max_children=1)
        self._in_force = in_force
        self._command = command
        self._url = url
        self._sign = sign
        self._tell = tell
        self._tests: OrderedDict[str, StressTest] = OrderedDict()

    # What the routes ask ---------------------------------------------------------------------

    def start(self, wanted: Mapping[str, object]) -> Answer:
        """Start a test: 202 with its id, or why not."""
        try:
            command = self._allowed()
            load = _load(wanted, self._in_force.config)
            test_id = secrets.token_hex(4)
            arguments = [
                *command, "--json", "--url", self._url(), "--prefix", f"stress-{test_id}",
                *load.options(),
            ]  # fmt: skip
            seconds = load.duration + SLACK
            test = StressTest(test_id, arguments, self._sign(seconds), seconds, self._tell)
            self.supervisor.start_child(
                ChildSpec(test_id, lambda _: test, restart=Restart.TEMPORARY)
            )
        except _TurnedDown as refused:
            return refused.status, {"error": refused.sentence}
        except NotRunning:
            return 503, {"error": "The pod is stopping; ask another."}
        self._tests[test_id] = test
        while len(self._tests) > REMEMBERED:
            self._tests.popitem(last=False)
        return 202, {"id": test_id, "look": f"/_admin/test/websocket/stress/{test_id}"}

    def recent(self) -> Sequence[Mapping[str, object]]:
        """Show the last tests, the newest first."""
        return [test.shown() for test in reversed(self._tests.values())]

    def look(self, test_id: str) -> Answer:
        """Show the last that a test said of itself."""
        test = self._tests.get(test_id)
        if test is None:
            return 404, {"error": f"There is no stress test '{test_id[:60]}'; the last are kept."}
        return 200, test.shown()

    async def stop(self, test_id: str) -> Answer:
        """Kill a test that runs; show what it came to."""
        test = self._tests.get(test_id)
        if test is not None and self.supervisor.stop_child(test_id, "stopped by root"):
            await test.ended()
        return self.look(test_id)

    # Inside ------------------------------------------------------------------------------------

    def _allowed(self) -> Sequence[str]:
        """Return the command of the one test that may run now."""
        if not self._in_force.config.stress.enabled:
            raise _TurnedDown(
                403, "Stress tests are switched off here; set stress.enabled to allow them."
            )
        if self._in_force.config.tls.cert_file:
            raise _TurnedDown(
                501, "This pod encrypts by itself; run 'deployd stress' with its public name."
            )
        if self._command is None:
            raise _TurnedDown(501, "This pod cannot start one; run 'deployd stress' against it.")
        for running in self.supervisor.children:
            raise _TurnedDown(
                409, f"The test {running} runs; wait for its end, or stop it with DELETE."
            )
        return self._command


def _load(wanted: Mapping[str, object], config: Config) -> _Load:
    """Read what is wanted; raise `_TurnedDown` with the limit where it goes beyond one."""
    limits, stress = config.limits, config.stress
    most = {
        "connections": min(stress.max_connections, limits.max_connections),
        "messagesPerSecond": stress.max_messages_per_second,
        "duration": stress.max_duration,
        "rooms": stress.max_connections,
    }
    for key in sorted(set(wanted) - set(most)):
        raise _TurnedDown(400, f"There is no '{key[:60]}' here; send {', '.join(most)}.")
    numbers = {key: _number(key, wanted.get(key, DEFAULTS[key]), most[key]) for key in most}
    load = _Load(
        connections=int(numbers["connections"]),
        rate=numbers["messagesPerSecond"],
        duration=numbers["duration"],
        rooms=int(numbers["rooms"]),
    )
    each = load.rate / load.connections
    if limits.message_rate_limit and each > limits.message_rate_limit:
        raise _TurnedDown(
            400,
            f"That is {each:g} messages a second of each client, and the pod takes "
            f"{limits.message_rate_limit:g} (limits.messageRateLimit); use more connections.",
        )
    return load


def _number(key: str, value: object, most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= most:
        raise _TurnedDown(400, f"Let {key} be a number above 0 and of at most {most:g}.")
    if key in COUNTS and not float(value).is_integer():
        raise _TurnedDown(400, f"Let {key} be a whole number of at most {most:g}.")
    return value

"""Stress tests of the pod itself, each in a process of its own: it measures the pod, not itself."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson
import trio
from attrs import field, mutable

from ..config import Config, get_logger
from ..transport import JSON

__all__ = ["StressRunner"]

SLACK: Final = 60.0
"""Seconds that a test may take for its connections, beside its duration."""
REMEMBERED: Final = 10
LONGEST_LINE: Final = 64 * 1024
EXPECTED: Final = (0, 1)
"""How `deployd stress` exits: all was well, or the clients had errors, which it tells itself."""
DEFAULTS: Final = {
    "connections": 100.0,
    "messagesPerSecond": 100.0,
    "duration": 30.0,
    "rooms": 10.0,
}
COUNTS: Final = ("connections", "rooms")
Answer = tuple[int, Mapping[str, object]]

_log = get_logger("realtime")


@mutable
class _Test:
    """One test: what it says last of itself, and how to end it."""

    arguments: Sequence[str]
    progress: dict[str, JSON]
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    running: bool = True


class StressRunner:
    """Runs one test at a time, as a service; remembers what the last few came to.

    `command` is the program that runs one, without its arguments; None where nobody gave one.
    `url` and `sign` give the pod's own address and a token of root for so many seconds; `tell`
    is told of the progress each second.
    """

    def __init__(
        self,
        config: Config,
        command: Sequence[str] | None,
        *,
        url: Callable[[], str],
        sign: Callable[[float], str],
        tell: Callable[[str, JSON], None],
    ) -> None:
        self._config = config
        self._command = command
        self._url = url
        self._sign = sign
        self._tell = tell
        self._tests: OrderedDict[str, _Test] = OrderedDict()
        self._nursery: trio.Nursery | None = None

    async def run(self, started: Callable[[], None]) -> None:
        """Run what is started until cancelled; what runs then is killed."""
        try:
            async with trio.open_nursery() as self._nursery:
                started()
                await trio.sleep_forever()
        finally:
            self._nursery = None

    # What the routes ask ---------------------------------------------------------------------

    def start(self, wanted: Mapping[str, object]) -> Answer:
        """Start a test: 202 with its id, or why not."""
        refusal = self._refusal(wanted)
        if refusal is not None:
            return refusal[0], {"error": refusal[1]}
        numbers = {**DEFAULTS, **{key: float(str(value)) for key, value in wanted.items()}}
        test_id = secrets.token_hex(4)
        arguments = [
            *(self._command or ()), "--json", "--url", self._url(),
            "--prefix", f"stress-{test_id}",
            "--connections", f"{numbers['connections']:.0f}",
            "--rate", f"{numbers['messagesPerSecond']:g}",
            "--duration", f"{numbers['duration']:g}",
            "--rooms", f"{numbers['rooms']:.0f}",
        ]  # fmt: skip
        test = self._tests[test_id] = _Test(arguments, {"id": test_id, "done": False})
        while len(self._tests) > REMEMBERED:
            self._tests.popitem(last=False)
        seconds = numbers["duration"] + SLACK
        assert self._nursery is not None  # noqa: S101 - `_refusal` has looked
        self._nursery.start_soon(self._carry_out, test, seconds)
        return 202, {"id": test_id, "look": f"/_admin/test/websocket/stress/{test_id}"}

    def look(self, test_id: str) -> Answer:
        """Show the last that a test said of itself."""
        test = self._tests.get(test_id)
        if test is None:
            return 404, {"error": f"There is no stress test '{test_id[:60]}'; the last are kept."}
        return 200, {**test.progress, "running": test.running}

    def stop(self, test_id: str) -> Answer:
        """Kill a test that runs; show what it came to."""
        test = self._tests.get(test_id)
        if test is not None:
            test.scope.cancel()
        return self.look(test_id)

    # Inside ------------------------------------------------------------------------------------

    def _refusal(self, wanted: Mapping[str, object]) -> tuple[int, str] | None:
        if not self._config.stress.enabled:
            return 403, "Stress tests are switched off here; set stress.enabled to allow them."
        if self._config.tls.cert_file:
            return 501, "This pod encrypts by itself; run 'deployd stress' with its public name."
        if self._command is None or self._nursery is None:
            return 501, "This pod cannot start one; run 'deployd stress' against it."
        running = next((test_id for test_id, test in self._tests.items() if test.running), None)
        if running is not None:
            return 409, f"The test {running} runs; wait for its end, or stop it with DELETE."
        problem = self._problem(wanted)
        return None if problem is None else (400, problem)

    def _problem(self, wanted: Mapping[str, object]) -> str | None:
        limits, stress = self._config.limits, self._config.stress
        most = {
            "connections": float(min(stress.max_connections, limits.max_connections)),
            "messagesPerSecond": float(stress.max_messages_per_second),
            "duration": stress.max_duration,
            "rooms": float(stress.max_connections),
        }
        unknown = sorted(set(wanted) - set(most))
        if unknown:
            return f"There is no '{unknown[0][:60]}' here; send {', '.join(most)}."
        for key, limit in most.items():
            value = wanted.get(key, DEFAULTS[key])
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < float(str(value)) <= limit:
                return f"Let {key} be a number above 0 and of at most {limit:g}."
            if key in COUNTS and not float(str(value)).is_integer():
                return f"Let {key} be a whole number of at most {limit:g}."
        numbers = {**DEFAULTS, **wanted}
        each = float(str(numbers["messagesPerSecond"])) / float(str(numbers["connections"]))
        if limits.message_rate_limit and each > limits.message_rate_limit:
            return (
                f"That is {each:g} messages a second of each client, and the pod takes "
                f"{limits.message_rate_limit:g} (limits.messageRateLimit); use more connections."
            )
        return None

    async def _carry_out(self, test: _Test, seconds: float) -> None:
        try:
            with test.scope, trio.move_on_after(seconds):
                await self._attend(test, seconds)
        except OSError as error:
            test.progress["error"] = f"The test could not be started: {error.strerror}."
            _log.warning("a stress test could not be started", reason=error.strerror)
        finally:
            test.running = False
            test.progress["done"] = True

    async def _attend(self, test: _Test, seconds: float) -> None:
        """Hear the process out; it is killed when this is cancelled."""
        process = await trio.lowlevel.open_process(
            list(test.arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**_environment(), "DEPLOYD_STRESS_TOKEN": self._sign(seconds)},
        )
        try:
            rest = b""
            if process.stdout is not None:
                async for data in process.stdout:
                    *lines, rest = (rest + data).split(b"\n")
                    rest = rest[-LONGEST_LINE:]
                    for line in lines:
                        self._heard(test, line)
            code = await process.wait()
            if code not in EXPECTED:
                test.progress["error"] = (
                    f"The test failed (exit {code}); run 'deployd stress' here."
                )
                _log.warning("a stress test failed", code=code)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                if process.stdout is not None:
                    await process.stdout.aclose()

    def _heard(self, test: _Test, line: bytes) -> None:
        try:
            progress = orjson.loads(line)
        except orjson.JSONDecodeError:
            return
        if isinstance(progress, dict):
            test.progress.update(progress)
            self._tell("stress", dict(test.progress))


def _environment() -> dict[str, str]:
    """Return what a program needs to start; none of the pod's secrets."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}

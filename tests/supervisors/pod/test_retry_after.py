"""What a failure of the world asks of its supervisor: a wait, and silence about what was said."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from deployd.actors import EnvironmentFailure, Exit
from deployd.supervisors import (
    Backoff,
    ChildSpec,
    Intensity,
    Restart,
    RestartState,
    Service,
    Strategy,
    Subject,
    Supervisor,
    came_up,
    decide,
)

BACKOFF = Backoff(base=0.05, cap=2.0)


def due(error: Exception) -> float:
    subject = Subject("link", Restart.PERMANENT, BACKOFF)
    state = RestartState((subject,), Strategy.ONE_FOR_ONE, Intensity(5, 10.0))
    state = came_up(state, "link", 100.0)
    return decide(state, "link", Exit.crashed(error), 100.0, lambda: 0.5)[1].due


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EnvironmentFailure("refused"), 100.025),
        (EnvironmentFailure("refused", retry_after=30.0), 130.0),
        (EnvironmentFailure("refused", retry_after=0.001), 100.025),
        (ExceptionGroup("", [EnvironmentFailure(retry_after=3.0), EnvironmentFailure()]), 103.0),
        (ExceptionGroup("", [ValueError(), EnvironmentFailure(retry_after=3.0)]), 103.0),
        (ValueError("a bug"), 100.0),
    ],
)
def test_the_longer_wait_counts(error: Exception, expected: float) -> None:
    assert due(error) == pytest.approx(expected)


class Bare(EnvironmentFailure):
    def __init__(self) -> None:
        """Do not call the one above, as happens."""


@pytest.mark.parametrize(
    "asked", [float("inf"), float("nan"), -1.0, 1e300, "soon", None, [], 3600.5], ids=repr
)
def test_a_wait_that_makes_no_sense_is_not_waited_for(asked: Any) -> None:
    assert due(EnvironmentFailure("refused", retry_after=asked)) == pytest.approx(100.025)
    assert due(Bare()) == pytest.approx(100.025)


@pytest.mark.parametrize(("told", "lines"), [(True, 0), (False, 1)])
async def test_what_has_been_told_is_not_told_again(
    autojump_clock: trio.testing.MockClock, told: bool, lines: int
) -> None:
    starts: list[float] = []

    async def fail(path: str) -> None:
        starts.append(trio.current_time())
        raise EnvironmentFailure("refused", retry_after=30.0, told=told)

    def service(path: str) -> Service:
        async def run(started: object) -> None:
            await fail(path)

        return Service(path, run)

    supervisor = Supervisor("pod", [ChildSpec("link", service, backoff=BACKOFF)])
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            await nursery.start(_started, supervisor)
            await trio.sleep(29)
            assert len(starts) == 1
            await trio.sleep(3)
            assert len(starts) == 2
            nursery.cancel_scope.cancel()
    crashes = [line for line in logs if line["event"].startswith("child")]
    assert len(crashes) == 2 * lines


async def _started(
    supervisor: Supervisor, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    await supervisor.run(task_status.started)

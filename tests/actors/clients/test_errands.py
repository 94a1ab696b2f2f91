"""Tasks that connections need now and then."""

from __future__ import annotations

from functools import partial

import structlog
import trio
from trio.testing import wait_all_tasks_blocked

from deployd.actors.clients.errands import Errands
from deployd.transport import Outbox
from support import connected, running_pod
from support.clients import until


async def test_what_is_begun_while_nothing_runs_waits_until_it_does() -> None:
    errands, done = Errands(), list[str]()

    async def errand(name: str) -> None:
        done.append(name)

    errands.start(partial(errand, "first"))
    for name in ("second", "third"):  # as when it was restarted
        async with trio.open_nursery() as nursery:
            await nursery.start(_run, errands)
            errands.start(partial(errand, name))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        errands.start(partial(errand, f"behind the {name}"))
    assert done == ["first", "second", "behind the second", "third"]


async def _run(errands: Errands, task_status: trio.TaskStatus[None]) -> None:
    await errands.run(task_status.started)


async def test_an_errand_that_fails_ends_the_connection_that_it_is_for_and_no_other() -> None:
    with structlog.testing.capture_logs() as logs:
        async with running_pod() as pod, connected(pod, 2) as [ann, bob]:
            members = list(pod.members.values())
            sink = members[0].sink
            assert isinstance(sink, Outbox)
            assert sink._spawn is not None

            async def fail() -> None:
                raise ValueError("a bug of ours")

            sink._spawn(fail)
            code, _ = await ann.closed()
            await until(lambda: len(pod.members) == 1)
            await bob.join("tea")
    assert code == 1011
    assert any("child crashed" in str(line["event"]) for line in logs)

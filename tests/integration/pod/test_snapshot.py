"""What a pod writes into its log about itself when it is asked to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

import trio

from deployd.actors import Member, Room
from deployd.supervisors import Pod
from deployd.transport import JSON
from support import connected, running_pod
from support.clients import until
from support.logs import Logged, logged


class Stuck(Room[None]):
    """Waits for ever, or holds the loop until `held` says that it is enough."""

    held: ClassVar[Callable[[], bool]] = staticmethod(lambda: False)

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if event == "wait":
            await trio.sleep_forever()
        while type(self).held():
            time.sleep(0.01)  # noqa: ASYNC251 - the loop stands still meanwhile


def taken(pod: Pod, log: Logged, what: str) -> list[Any]:
    """Have a snapshot taken, and return one part of all that were."""
    pod.snapshot()
    return [line[what] for line in log.lines(event="snapshot of the pod") if what in line]


async def test_its_tree_its_tasks_and_its_links_are_told() -> None:
    with logged() as log:
        async with running_pod(rooms={"stuck": Stuck}) as pod, connected(pod, 3) as clients:
            await clients[0].join("stuck")
            await clients[0].send("emit", room="stuck", event="wait")
            await until(
                lambda: any(
                    "/stuck, Stuck, running, waiting 0, in " in str(line)
                    for line in taken(pod, log, "tree")
                )
            )
            (tasks,) = taken(pod, log, "tasks")[-1:]
            (links,) = taken(pod, log, "links")[-1:]
        assert any("on_message" in str(one["stack"]) for one in tasks)
        assert any(one["tasks"] >= 3 for one in tasks)  # the clients' are alike
        assert links[0]["type"] == "memory"


async def test_of_many_clients_few_are_told() -> None:
    with logged() as log:
        async with running_pod() as pod, connected(pod, 25):
            (tree,) = taken(pod, log, "tree")
        assert sum("pod/connections/" in line for line in tree) == 20
        assert "    and 5 more" in tree


async def test_stacks_are_shown_while_the_loop_stands_still() -> None:
    with logged() as log:
        async with running_pod() as pod, connected(pod) as (client,):

            class Holding(Stuck):
                held = staticmethod(lambda: not log.lines(event="snapshot of the threads"))

            pod.bind_room("stuck", Holding)
            await client.join("stuck")
            pod.show_stacks()
            await client.ask("emit", room="stuck", event="hold", id=1)
        (line,) = log.lines(event="snapshot of the threads")
        assert "deployd-watchdog" in line["stack"]

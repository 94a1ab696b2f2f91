"""The plugin that pytest loads by its entry point: options, fixtures, nothing that takes time.

It is loaded in every project where deployd is installed, so it imports pytest alone; what a
fixture needs is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..actors import RoomFactory
    from ..config import Config
    from ..supervisors import Pod
    from .faults import Faults
    from .history import History
    from .holding import Holder
    from .pods import Clients, Cluster

__all__ = [
    "client",
    "cluster",
    "deployd_config",
    "deployd_rooms",
    "faults",
    "history",
    "holder",
    "pod",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take `--rooms` and `--seeds`."""
    group = parser.getgroup("deployd", "rooms of deployd")
    group.addoption(
        "--rooms",
        choices=("alone", "pod", "simulator"),
        default="alone",
        help="where `open_room` runs rooms: alone; in pods on free ports, with clients on sockets; "
        "or once for each of many seeds, which the order of tasks follows",
    )
    group.addoption(
        "--seeds",
        type=int,
        default=100,
        metavar="N",
        help="with --rooms=simulator: so many seeds; DEPLOYD_SEED=7 in the environment is one",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Run rooms where that was chosen."""
    rooms = config.getoption("--rooms")
    if rooms == "alone":
        return
    from .whereabouts import CHOICE, RoomsAt

    CHOICE.now = RoomsAt(rooms)
    if CHOICE.now is RoomsAt.SIMULATOR:
        from .seeds import SeededRuns

        seeds = config.getoption("--seeds")
        if seeds < 1:
            raise pytest.UsageError("--seeds takes a number of 1 or more.")
        config.pluginmanager.register(SeededRuns(seeds), "deployd-seeds")


@pytest.fixture
def deployd_config() -> Config:
    """Return the settings of the test's pods; override it for others."""
    from .pods import config_for_tests

    return config_for_tests()


@pytest.fixture
def deployd_rooms() -> Mapping[str, RoomFactory]:
    """Return the room classes of the test's pods by pattern; override it with yours."""
    return {}


@pytest.fixture(name="deployd_holder")
async def holder() -> AsyncIterator[Holder]:
    """Keep what the other fixtures open until the test is over."""
    from .holding import holding

    async with holding() as made:
        yield made


@pytest.fixture
async def pod(
    deployd_holder: Holder, deployd_config: Config, deployd_rooms: Mapping[str, RoomFactory]
) -> Pod:
    """Run a pod in the test's loop, on a free port."""
    from .pods import pod_block

    return await deployd_holder.hold(pod_block(deployd_config, deployd_rooms))


@pytest.fixture
async def cluster(
    deployd_holder: Holder, deployd_config: Config, deployd_rooms: Mapping[str, RoomFactory]
) -> Cluster:
    """Give what opens pods that hear each other.

    As in `one, two = await cluster(2)`.
    """
    from .pods import Cluster

    return Cluster(deployd_holder, deployd_config, deployd_rooms)


@pytest.fixture
async def client(deployd_holder: Holder) -> Clients:
    """Give what connects clients.

    As in `ann = await client(pod)`.
    """
    from .pods import Clients

    return Clients(deployd_holder)


@pytest.fixture
async def faults(deployd_holder: Holder) -> AsyncIterator[Faults]:
    """Break pods and ways, as in `faults.inject(pod, "actor.hang", path="pod/rooms/chat")`."""
    from .faults import Faults

    made = Faults(deployd_holder)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
async def history(deployd_holder: Holder) -> AsyncIterator[History]:
    """Write down what clients are told; the test calls `history.check()`."""
    import trio

    from .history import History

    async with trio.open_nursery() as nursery:
        yield History(nursery)
        nursery.cancel_scope.cancel()

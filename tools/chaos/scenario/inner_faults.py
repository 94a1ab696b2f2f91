"""What may be done to pods, their clients and their store."""

from typing import Final, Literal

from attrs import frozen

from ....config.fields import setting
from .broker_faults import BROKER_FAULTS
from .faults import Trouble
from .way_faults import WAY_FAULTS

__all__ = ["FAULTS"]


@frozen
class OfPods(Trouble):
    """What is done to pods."""

    pods: tuple[int, ...] = setting((0,), help="The pods; an empty list is all of them.")


@frozen
class OfClients(Trouble):
    """What clients do that is not what clients do. They are counted over all pods in turn."""

    clients: tuple[int, ...] = setting((0,), help="The clients; an empty list is all of them.")


@frozen
class PodKill(OfPods):
    """A pod is killed, and started again when it is over; its clients come back to it."""

    name = "pod.kill"

    clock: float = setting(0.0, unit="seconds", help="How wrong its clock is then.")


@frozen
class PodStop(OfPods):
    """A pod stops as it is told to, and is started again when it is over."""

    name = "pod.stop"

    clock: float = setting(0.0, unit="seconds", help="How wrong its clock is then.")


@frozen
class PodPause(OfPods):
    """A pod does nothing, its connections open."""

    name = "pod.pause"


@frozen
class PodBlock(OfPods):
    """A handler does not yield: nothing else of the pod's loop runs."""

    name = "pod.block"


@frozen
class PodClock(OfPods):
    """The clock of a pod jumps, and back when it is over."""

    name = "pod.clock"

    seconds: float = setting(3600.0, unit="seconds", help="How far.")


@frozen
class PodRaise(OfPods):
    """The code of a room raises."""

    name = "pod.raise"

    room: str = setting("plain", help="The room.")
    share: float = setting(0.01, gt=0, le=1, help="At how many of its events.")


@frozen
class PodStarve(OfPods):
    """A pod has no descriptors left, or no processor to itself."""

    name = "pod.starve"

    of: Literal["descriptors", "processor"] = setting("descriptors", help="What it has none of.")


@frozen
class PodMemory(OfPods):
    """A pod is killed for its memory, and started again when it is over."""

    name = "pod.memory"


@frozen
class ClientStall(OfClients):
    """A client does not read."""

    name = "client.stall"


@frozen
class ClientVanish(OfClients):
    """A client is gone without a word, and comes again when it is over."""

    name = "client.vanish"


@frozen
class ClientHerd(OfClients):
    """Clients are cut off, and come back all at once."""

    name = "client.herd"
    momentary = True

    clients: tuple[int, ...] = setting((), help="The clients; an empty list is all of them.")


@frozen
class ClientSilence(Trouble):
    """Nobody says anything; where nothing comes after it, not before the last words."""

    name = "client.silence"


@frozen
class ClientLarge(OfClients):
    """A client says something large, once."""

    name = "client.large"
    momentary = True

    room: str = setting("plain", help="Where.")
    size: int = setting(2000, unit="bytes", ge=1, help="How large.")


@frozen
class ClientFlood(OfClients):
    """A client says more than it may."""

    name = "client.flood"

    rate: float = setting(1000.0, unit="words a second", gt=0, help="How much.")


@frozen
class ClientRubbish(OfClients):
    """A client sends what is no frame of ours, and comes again if it is cut off for that."""

    name = "client.rubbish"


@frozen
class StoreStop(Trouble):
    """The database is stopped, and started again when it is over."""

    name = "store.stop"


@frozen
class StoreLock(Trouble):
    """Somebody has locked the database."""

    name = "store.lock"


@frozen
class StoreFull(Trouble):
    """The disk of the database is full."""

    name = "store.full"


_ALL: Final[tuple[type[Trouble], ...]] = (
    *BROKER_FAULTS,
    *WAY_FAULTS,
    *(PodKill, PodStop, PodPause, PodBlock, PodClock, PodRaise, PodStarve, PodMemory),
    *(ClientStall, ClientVanish, ClientHerd, ClientSilence, ClientLarge, ClientFlood),
    *(ClientRubbish, StoreStop, StoreLock, StoreFull),
)
FAULTS: Final[dict[str, type[Trouble]]] = {kind.name: kind for kind in _ALL}
"""All that may go wrong, by name."""

"""What goes wrong in a test: in its pods, and on the ways to servers. All of it ends with it."""

from __future__ import annotations

from typing import Final

from ..supervisors import Pod
from ..supervisors.chaos import ActiveFault
from ..tools.chaos.proxy import FaultProxy, fault_proxy
from .holding import Holder

__all__ = ["Faults"]

SECONDS: Final = 600.0
"""Seconds that a fault lasts that no test ends: as long as one may."""


class Faults:
    """Breaks pods from inside, and ways to servers."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self._pods: dict[Pod, None] = {}

    def inject(self, pod: Pod, fault: str, **wanted: object) -> ActiveFault:
        """Let a fault begin in a pod: `faults.inject(pod, "actor.hang", path="pod/rooms/*")`.

        What there is and takes says `deployd chaos inject --help`. It lasts for `seconds`, by
        default until the test is over. Raises `BadFault`.
        """
        if pod.chaos is None:
            raise ValueError("This pod takes no faults: set chaos.enabled in its configuration.")
        self._pods[pod] = None
        return pod.chaos.inject(fault, **{"seconds": SECONDS, **wanted})

    def stop(self, pod: Pod | None = None) -> None:
        """End what was begun in a pod, or in all of them."""
        for one in [pod] if pod is not None else list(self._pods):
            if one.chaos is not None:
                one.chaos.stop_all()

    async def proxy(self, upstream: str, *, protocol: str = "") -> FaultProxy:
        """Return a proxy before a server: `await faults.proxy("127.0.0.1:6379")`.

        It listens on a free port; its `toxics` are what it does. With a `protocol` (`redis`,
        `nats`, `rabbitmq`) it knows messages apart.
        """
        return await self._holder.hold(fault_proxy(upstream, protocol=protocol))

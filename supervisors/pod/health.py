"""Whether a pod is to get new clients, and how its links to the others are: `/health/…`."""

from __future__ import annotations

from collections.abc import Mapping

from ...actors import Link
from ...config import ReadyPolicy
from ...transport import JSON
from ..observe import Documented

__all__ = ["Health"]


class Health:
    """What load balancers and orchestrators ask. `policy` is `broker.ready`; nothing here waits.

    `link` is None for a pod that is alone: it is its own memory broker. `documents` is None where
    no new client depends on them.
    """

    def __init__(
        self,
        pod_id: str,
        policy: ReadyPolicy,
        link: Link | None,
        documents: Documented | None = None,
    ) -> None:
        self.pod_id = pod_id
        self._policy = policy
        self._link = link
        self._documents = documents
        self._stopping = False

    def stop(self) -> None:
        """Be not ready from now on."""
        self._stopping = True

    def unready(self) -> str | None:
        """Say why no new clients should be sent here, or None.

        Everybody may read it: why the broker is away stands where root looks, and of the database
        there is one word.
        """
        if self._stopping:
            return "it is stopping"
        if self._documents is not None and self._documents.store_trouble is not None:
            return f"the database cannot be written ({self._documents.store_trouble.kind})"
        return self._unlinked()

    def _unlinked(self) -> str | None:
        if self._link is None or self._policy is ReadyPolicy.IGNORE_BROKER:
            return None
        if self._policy is ReadyPolicy.STARTED and self._link.state.tried:
            return None
        return None if self._link.state.breaker.closed else "the broker is away"

    def links(self) -> list[Mapping[str, JSON]]:
        """Show how each link to the other pods is, without secrets."""
        if self._link is not None:
            return [self._link.figures.health()]
        return [{"type": "memory", "active": "memory", "state": "closed", "history": []}]

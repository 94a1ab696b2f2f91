"""The part of a pod's tree that leads to the other pods: the link, and who tells of its outages."""

from collections.abc import Callable
from typing import Any, Final

from ...actors import ActorCell, DeadLetters, Exit, Link, LinkActor, Listeners, Notices
from ...config import Config
from ...transport.brokers.contract import Broker
from ..backoff import Backoff
from ..child import ChildSpec, Service
from ..supervisor import Supervisor

__all__ = ["broker_branch"]

SHUTDOWN: Final = 4.0
"""Seconds for the link to hand over what was said last, and to close."""

FIRST_WAIT: Final = 0.05
STEADY: Final = 30.0


def broker_branch(
    config: Config,
    link: Link,
    listeners: Listeners,
    notices: Notices,
    make_broker: Callable[[], Broker],
    dead_letters: DeadLetters,
) -> ChildSpec:
    """Return the specification of the broker's supervisor."""
    cap = max(FIRST_WAIT, config.broker.max_backoff)
    backoff = Backoff(base=FIRST_WAIT, cap=cap, reset_after=STEADY)
    joined = config.performance.batch_message_processing

    def ended(_: Exit) -> None:
        link.ended()

    def cell(path: str) -> ActorCell[Any]:
        return ActorCell(
            path,
            lambda: LinkActor(link, listeners, make_broker, joined=joined),
            mailbox=link.outbox,
            dead_letters=dead_letters,
            on_terminated=ended,
        )

    # No bug of a link may take the pod's own clients down with it.
    children = [
        ChildSpec("link", cell, backoff=backoff, shutdown=SHUTDOWN, tireless=True),
        ChildSpec("notices", lambda path: Service(path, notices.run), tireless=True),
    ]
    return ChildSpec("broker", lambda path: Supervisor(path, children), shutdown=2 * SHUTDOWN)

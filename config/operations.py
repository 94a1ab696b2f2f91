"""The sections of those who run pods: what may be measured, and how hard a pod may be tested."""

import attrs

from . import formats
from .fields import setting


@attrs.frozen
class Metrics:
    """Who may read `/metrics`, and where."""

    token: str = setting(
        "",
        secret=True,
        help="Bearer token that lets a scraper read /metrics, and nothing else; empty is none.",
        live=True,
    )
    bind: str = setting(
        "",
        check=formats.bind,
        help='A second address, "host:port", that answers /metrics and /health/… to whoever '
        "reaches it, and nothing else; empty is none.",
    )


@attrs.frozen
class Chaos:
    """Faults that root may give the pod while it runs, `POST /_dashboard/api/chaos`."""

    enabled: bool = setting(
        False,
        help="Let root crash, hang and slow actors, disturb the link, fail the store and skew the "
        "clock, for a while each: not for pods that somebody relies on (also `serve --chaos`).",
    )


@attrs.frozen
class Stress:
    """What `POST /_admin/test/websocket/stress` may do to the pod."""

    enabled: bool = setting(True, help="Let root start stress tests.")
    max_connections: int = setting(2000, unit="connections", ge=1, help="Clients of one test.")
    max_messages_per_second: int = setting(
        10_000,
        unit="messages/s",
        ge=1,
        help="What the clients of one test may send, all together.",
    )
    max_duration: float = setting(600.0, unit="seconds", gt=0, help="Length of one test.")

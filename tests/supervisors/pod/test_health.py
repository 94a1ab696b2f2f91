"""When a pod is to get new clients: decided from what its link has come to."""

from __future__ import annotations

import pytest

from deployd.actors import Link
from deployd.config import Config, ReadyPolicy
from deployd.documents import StoreUnavailable
from deployd.supervisors.pod.health import Health

AWAY, STOPPING = "the broker is away", "it is stopping"


def a_link(*happened: str) -> Link:
    """Return a link to which this has happened, a second each."""
    link = Link.of("pod-a", Config().broker, 60.0, lambda: 0.0, lambda: 0.0)
    for now, what in enumerate(happened, 1):
        if what == "proven":
            link.state.attempted(now)
            while not link.state.breaker.closed:
                link.state.proven(now, now, 0.0)
        else:
            link.state.tripped(now, now, "it went")
    return link


STARTING, CLOSED, FAILED, LOST = (
    (),
    ("proven",),
    ("tripped",),
    ("proven", "tripped"),
)


@pytest.mark.parametrize(
    ("policy", "happened", "reason"),
    [
        (ReadyPolicy.IGNORE_BROKER, STARTING, None),
        (ReadyPolicy.IGNORE_BROKER, LOST, None),
        (ReadyPolicy.STARTED, STARTING, AWAY),
        (ReadyPolicy.STARTED, FAILED, None),
        (ReadyPolicy.STARTED, CLOSED, None),
        (ReadyPolicy.STARTED, LOST, None),
        (ReadyPolicy.REQUIRE_BROKER, STARTING, AWAY),
        (ReadyPolicy.REQUIRE_BROKER, FAILED, AWAY),
        (ReadyPolicy.REQUIRE_BROKER, CLOSED, None),
        (ReadyPolicy.REQUIRE_BROKER, LOST, AWAY),
    ],
)
def test_a_pod_is_ready_as_its_policy_says_of_the_broker(
    policy: ReadyPolicy, happened: tuple[str, ...], reason: str | None
) -> None:
    assert Health("pod-a", policy, a_link(*happened)).unready() == reason


@pytest.mark.parametrize("policy", ReadyPolicy)
def test_a_pod_alone_needs_no_broker(policy: ReadyPolicy) -> None:
    health = Health("pod-a", policy, None)
    assert health.unready() is None
    assert [(link["type"], link["state"]) for link in health.links()] == [("memory", "closed")]


@pytest.mark.parametrize("link", [None, a_link(*CLOSED), a_link(*LOST)])
@pytest.mark.parametrize("policy", ReadyPolicy)
def test_a_pod_that_stops_is_not_ready_whatever_the_broker_does(
    policy: ReadyPolicy, link: Link | None
) -> None:
    health = Health("pod-a", policy, link)
    health.stop()
    assert health.unready() == STOPPING


def test_the_link_is_shown_as_it_is() -> None:
    health = Health("pod-a", ReadyPolicy.STARTED, a_link(*LOST))
    assert [link["state"] for link in health.links()] == ["open"]


class Documents:
    def __init__(self, trouble: StoreUnavailable | None) -> None:
        self.store_trouble = trouble


def test_a_pod_whose_documents_cannot_be_written_is_not_ready_and_says_why_in_a_word() -> None:
    secret = "postgresql://somebody:secret@host"
    away = Documents(StoreUnavailable(secret, kind="read_only", lasting=True))
    health = Health("pod-a", ReadyPolicy.IGNORE_BROKER, None, away)
    assert health.unready() == "the database cannot be written (read_only)"
    away.store_trouble = None
    assert health.unready() is None

"""What each of several pods is told, and why there cannot be several."""

from __future__ import annotations

import pytest
from attrs import evolve

from deployd.config import Broker, Config, Secrets, Store, load
from deployd.tools.arbiter import CannotShare
from deployd.tools.arbiter.plan import planned, refuse_sharing

KEYS = Secrets("k" * 24, "j" * 40)
JOINED = Config(broker=Broker(type="nats", enabled=True))


def test_each_has_a_name_and_a_folder_of_its_own_and_the_secrets_of_all() -> None:
    config = evolve(JOINED, server=evolve(JOINED.server, name="shop", data="kept"))
    one, two = planned(config, KEYS, 8080, ["127.0.0.1:1", "127.0.0.1:2"], {})
    assert (one.name, two.name) == ("shop-1", "shop-2")
    for plan, number in ((one, 1), (two, 2)):
        told = load(None, environ=plan.environ).config
        assert told.server.name == plan.name
        assert told.server.data == f"kept/pods/{number}"
        assert (told.server.port, told.server.share_port) == (8080, True)
        assert told.metrics.bind == plan.look == f"127.0.0.1:{number}"
        assert plan.environ["DEPLOYD_MASTER_KEY"] == KEYS.master_key
        assert plan.environ["DEPLOYD_JWT_SECRET"] == KEYS.jwt_secret


def test_without_a_name_they_are_called_by_their_host() -> None:
    names = [plan.name for plan in planned(JOINED, KEYS, 1, ["a:1", "a:2", "a:3"], {})]
    assert len({name.rpartition("-")[0] for name in names}) == 1
    assert [name.rpartition("-")[2] for name in names] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("config", "joined", "documents", "told"),
    [
        (Config(), False, False, "--with-nats"),
        (Config(broker=Broker(type="nats", enabled=False)), False, False, "broker.enabled"),
        (Config(broker=Broker(enabled=True)), False, False, "broker.type"),
        (JOINED, False, True, "store.url"),
        (Config(), True, True, "store.url"),
    ],
)
def test_pods_that_would_be_apart_are_refused_with_what_to_set(
    config: Config, joined: bool, documents: bool, told: str
) -> None:
    with pytest.raises(CannotShare, match=told):
        refuse_sharing(config, joined=joined, documents=documents)


def test_pods_that_are_joined_may_share_a_port() -> None:
    refuse_sharing(JOINED, joined=False, documents=False)
    refuse_sharing(Config(), joined=True, documents=False)
    postgres = evolve(JOINED, store=Store(url="postgresql://host/name"))
    refuse_sharing(postgres, joined=False, documents=True)

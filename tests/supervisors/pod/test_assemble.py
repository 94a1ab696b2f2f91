"""How a pod is put together: what there is before anything runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, fields
from attrs.exceptions import FrozenInstanceError

from deployd.actors import Room
from deployd.config import Chaos, Config, Drain, Metrics
from deployd.supervisors import NotRunning, Pacing, Status
from deployd.supervisors.pod.assemble import Parts, assemble
from deployd.transport import DASHBOARD
from support import KEYS, collections_config, pod_config, write_collection
from support.certificates import issued
from support.fake_broker import FakeBus

ARCHITECTURE = Path(__file__).resolve().parents[3] / "docs" / "architecture.md"


class Own(Room[None]):
    """Somebody's room class."""


def everything(folder: Path) -> Config:
    write_collection(folder, "todos", {"properties": {}})
    config = evolve(collections_config(folder), metrics=Metrics(bind="127.0.0.1:0"))
    return evolve(config, tls=issued(folder), chaos=Chaos(enabled=True))


def children(parts: Parts) -> list[str]:
    return list(parts.root.children)


def names_drawn() -> list[str]:
    """Return the children of the tree that the documentation draws, in their order."""
    return re.findall(r"^[├└]── (\w+)", ARCHITECTURE.read_text(), re.MULTILINE)


async def test_the_tree_is_the_one_that_the_documentation_draws(tmp_path: Path) -> None:
    parts = assemble(everything(tmp_path), KEYS, {}, broker=FakeBus().make)
    assert children(parts) == names_drawn()


async def test_what_a_pod_does_not_need_is_not_in_its_tree() -> None:
    only_where_needed = {"broker", "store", "collections", "discovery", "metrics", "tls", "chaos"}
    config = pod_config()
    config = evolve(config, server=evolve(config.server, api_enabled=False))
    expected = [name for name in names_drawn() if name not in only_where_needed]
    assert children(assemble(config, KEYS, {})) == expected


@pytest.mark.parametrize("folder", ["there", "missing"])
@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("served", [True, False])
async def test_collections_are_known_where_they_are_served_or_their_changes_heard(
    served: bool, joined: bool, folder: str, tmp_path: Path
) -> None:
    config = collections_config(tmp_path)
    if folder == "there":
        write_collection(tmp_path, "todos", {"properties": {}})
    config = evolve(config, server=evolve(config.server, api_enabled=served))
    parts = assemble(config, KEYS, {}, broker=FakeBus().make if joined else None)
    known = served or (joined and folder == "there")
    assert (parts.tree.collections is not None) == known
    assert parts.watched.rooms.is_bound("collection:todos") == (known or joined)
    assert parts.watched.rooms.is_bound("collections") == (known or joined)


async def test_nothing_runs_and_no_port_is_open_yet() -> None:
    parts = assemble(pod_config(), KEYS, {})
    assert {child.status for child in parts.root.describe().children} == {Status.STOPPED}
    with pytest.raises(NotRunning):
        parts.watched.rooms.open("tea")
    assert parts.watched.refused() == {}


async def test_a_pods_own_rooms_come_before_all_others() -> None:
    bindings: dict[str, type[Room[Any]]] = {"*": Own, "tea": Room}
    rooms = assemble(pod_config(), KEYS, bindings, broker=FakeBus().make).watched.rooms
    assert rooms.pattern_of(DASHBOARD) == DASHBOARD
    assert rooms.pattern_of("collections") == "collections"
    assert rooms.pattern_of("collection:todos") == "collection:*"
    assert rooms.pattern_of("tea") == "*"  # the others in the order in which they were given


async def test_the_parts_are_frozen() -> None:
    parts = assemble(pod_config(), KEYS, {})
    for part in (parts, parts.basis, parts.watched, parts.tree):
        for field in fields(type(part)):
            with pytest.raises(FrozenInstanceError):
                setattr(part, field.name, None)


async def test_what_is_seen_of_a_pod_is_its_own_tree() -> None:
    parts = assemble(pod_config(), KEYS, {})
    assert parts.watched.root() is parts.root
    assert parts.watched.room_tree is parts.root.children["rooms"]
    assert parts.watched.clients is parts.root.children["connections"]


async def test_clients_are_let_go_as_the_configuration_says() -> None:
    config = evolve(pod_config(), drain=Drain(window=3.0, deadline=9.0))
    clients = assemble(config, KEYS, {}).tree.clients
    assert clients.connections().shutdown == 9.0
    assert clients.supervisor._pacing == Pacing(window=3.0)


@pytest.mark.parametrize(("proxies", "proxied"), [((), False), (("10.0.0.0/8",), True)])
async def test_a_pod_knows_whether_proxies_stand_before_it(
    proxies: tuple[str, ...], proxied: bool
) -> None:
    config = pod_config()
    config = evolve(config, server=evolve(config.server, trusted_proxies=proxies))
    assert assemble(config, KEYS, {}).basis.premises.proxied == proxied

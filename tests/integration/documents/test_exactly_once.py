"""Many clients write at once: every listener hears of each change exactly once, in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
import trio
from attrs import evolve

from deployd.config import Config
from support import collections_config, connected, running_collections, write_collection
from support.changes import Listener, listening, verdict_of, write_all
from support.history import Verdict

CLIENTS, WRITES = 20, 1000

SCRIPTS: Mapping[str, Mapping[str, str]] = {
    "plain": {},
    "scripted": {"validate": "async def run(ctx):\n    ctx.data['seen'] = True\n"},
}


def roomy(folder: Path) -> Config:
    """Return a configuration for listeners who may lag behind a flood."""
    config = collections_config(folder)
    limits = evolve(config.limits, message_buffer_size=20_000, max_buffer_bytes=64 * 2**20)
    return evolve(config, limits=limits)


@pytest.mark.parametrize("kind", SCRIPTS)
async def test_every_listener_hears_each_change_once_in_the_order_of_the_commits(
    tmp_path: Path, kind: str
) -> None:
    write_collection(tmp_path, "todos", {}, SCRIPTS[kind])
    async with (
        running_collections(tmp_path, roomy(tmp_path)) as (pod, http),
        connected(pod, 4) as clients,
    ):
        rooms = ["collection:todos"] * 2 + ["collections"] * 2
        listeners = [
            Listener(client, room, "todos") for client, room in zip(clients, rooms, strict=True)
        ]
        for listener in listeners:
            await listener.client.join(listener.room)

        async def fence() -> None:
            assert (await http.post("/todos", json={"id": "fence", "n": 0})).status_code == 200

        with trio.fail_after(60):
            async with listening(listeners, fence):
                authors = await write_all(http, "todos", clients=CLIENTS, writes=WRITES)
        assert [answer for author in authors for answer in author.refused] == []
        assert sum(len(author.writes) for author in authors) == WRITES
        assert verdict_of(authors, listeners) == Verdict()
        assert all(listener.heard == listeners[0].heard for listener in listeners)
        found = (await http.get("/todos?$limit=1000")).json()
        there = {id_: n for author in authors for id_, n in author.there.items()}
        assert {one["id"]: one["n"] for one in found} == {**there, "fence": 0}
    with closing(sqlite3.connect(tmp_path / "data" / "documents.db")) as database:
        assert database.execute("SELECT count(*) FROM changes").fetchone() == (0,)

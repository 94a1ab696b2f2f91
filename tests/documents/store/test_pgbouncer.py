"""A store behind PgBouncer, which lends each transaction another connection."""

from __future__ import annotations

import trio

from deployd.config import Store as StoreSettings
from deployd.documents.store import Query
from support.documents import TODOS, change_of, increment, opened, shown

MANY = 12
"""Of each statement, more than a driver waits for before it prepares one."""


async def test_a_store_works_behind_a_pooler_of_every_mode(pgbouncer_url: str) -> None:
    patient = StoreSettings(busy_timeout=60.0)
    async with (
        opened(pgbouncer_url, settings=patient) as one,
        opened(pgbouncer_url, pod="pod-b", settings=patient) as two,
    ):
        async with trio.open_nursery() as nursery:
            for _ in range(MANY):
                for store in (one, two):
                    nursery.start_soon(change_of, store, increment("a"))
                    nursery.start_soon(store.find, TODOS, Query())
        (found,) = shown(await one.find(TODOS, Query()))
        assert found["age"] == 2 * MANY
        await one.probe()


async def test_its_time_outs_hold_behind_a_pooler_too(pgbouncer_url: str) -> None:
    settings = StoreSettings(statement_timeout=7.0, busy_timeout=3.0)
    async with opened(pgbouncer_url, settings=settings) as store:
        for _ in range(3):
            with store._engine.begin() as connection:
                show = connection.exec_driver_sql
                assert show("SHOW statement_timeout").scalar() == "7s"
                assert show("SHOW lock_timeout").scalar() == "3s"

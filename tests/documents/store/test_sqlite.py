"""SQLite in a file: how the file is made, and what a store does when the world hurts it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio
from sqlalchemy import Engine, event
from trio.testing import wait_all_tasks_blocked

from deployd.config import Definition, Property, PropertyType, Store
from deployd.documents.errors import StoreUnavailable
from deployd.documents.store import Equal, Query, database_url
from deployd.documents.store.database_file import DatabaseFile
from deployd.documents.store.engine import make_engine
from support.documents import TODOS, change_of, document, kinds, opened, put, shown


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "documents.db"


@pytest.fixture
def url(file: Path) -> str:
    return database_url(Store(), file.parent)


@contextmanager
def another(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a connection of somebody else's."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


# -- the file --------------------------------------------------------------------------------


async def test_the_file_and_its_folder_are_for_their_owner_alone(file: Path, url: str) -> None:
    async with opened(url) as store:
        await change_of(store, put("a"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    names = {"documents.db", "documents.db-wal", "documents.db-shm", "documents.db-pod"}
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["a b", "c?d=e", "%41#", "ключ"])
async def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    async with opened(database_url(Store(), tmp_path / name)):
        assert (tmp_path / name / "documents.db").exists()


def test_a_database_that_is_set_comes_before_the_file(tmp_path: Path) -> None:
    elsewhere = "postgresql://host/name"
    assert database_url(Store(url=elsewhere), tmp_path) == elsewhere


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("normal", 1)])
def test_durability_is_what_was_set(tmp_path: Path, durability: str, synchronous: int) -> None:
    engine = make_engine(database_url(Store(), tmp_path), Store(durability=durability))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


async def test_an_index_is_made_and_dropped_and_those_of_others_are_left_alone(
    file: Path, url: str
) -> None:
    def indexes() -> list[str]:
        with another(file) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%INDEX%'")
            return sorted(name.partition("_")[0] for (name,) in rows)

    async with opened(url) as store:
        with another(file) as connection:
            connection.execute("CREATE INDEX mine ON collection_todos (updated_at, id)")
        assert indexes() == ["ix", "ix", "lookup", "mine", "unique"]
        await store.prepare(type(TODOS)("todos"))
        assert indexes() == ["ix", "ix", "mine"]


# -- faults ----------------------------------------------------------------------------------


async def test_a_locked_database_is_unavailable_for_writes_until_it_is_free(
    file: Path, url: str
) -> None:
    async with opened(url, settings=Store(busy_timeout=0.3)) as store:
        await change_of(store, put("a"))
        with another(file) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked"):
                await store.commit(TODOS, [put("b")])
            assert await store.get(TODOS, "a") == document("a")
        assert (await change_of(store, put("b"))).type == "created"


@contextmanager
def limited_to(pages: int) -> Iterator[None]:
    """Give new connections a disk that is full when the database has so many pages."""

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


async def fill(url: str) -> list[str]:
    """Write until there is no room; return the ids that were written, after trying once more."""
    written: list[str] = []
    async with opened(url) as store:
        with pytest.raises(StoreUnavailable, match="disk") as caught:  # noqa: PT012
            while len(written) < 10_000:
                ids = [f"{len(written) + number:05}" for number in range(10)]
                outcomes = await store.commit(TODOS, [put(each, text="x" * 1000) for each in ids])
                assert kinds(outcomes) == ["created"] * 10
                written += ids
        assert "xxx" not in str(caught.value.__cause__)
        page = await store.find(TODOS, Query())
        assert [each["id"] for each in shown(page)] == written
    return written


async def assert_whole(url: str, written: list[str]) -> None:
    """There is what was written, each with its entry in the outbox, and more can be."""
    async with opened(url) as store:
        assert [each["id"] for each in shown(await store.find(TODOS, Query()))] == written
        outbox = await store.claim_outbox(TODOS, 20_000)
        assert [change.document["id"] for change in outbox] == written
        assert (await change_of(store, put("more", text="x" * 5000))).type == "created"


async def test_a_full_disk_loses_the_call_that_met_it_and_nothing_else(url: str) -> None:
    with limited_to(60):
        written = await fill(url)
    assert written
    await assert_whole(url, written)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)):
        pytest.skip("only root may mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def mount(*arguments: str) -> bool:
    program = shutil.which("mount")
    return (
        program is not None
        and not subprocess.run([program, *arguments], check=False, capture_output=True).returncode
    )


async def test_a_disk_that_is_really_full_is_no_different(small_disk: Path) -> None:
    url = database_url(Store(), small_disk)
    written = await fill(url)
    assert written
    assert mount("-o", "remount,size=8m", str(small_disk))
    await assert_whole(url, written)


@pytest.fixture
def no_database(file: Path) -> bytes:
    file.parent.mkdir()
    file.write_bytes(b"this is no database " * 500)
    return file.read_bytes()


async def test_a_file_that_is_no_database_is_told_in_a_sentence(
    no_database: bytes, file: Path, url: str
) -> None:
    with pytest.raises(StoreUnavailable, match="damaged"):
        async with opened(url):
            pass
    assert await trio.Path(file).read_bytes() == no_database


def damage(file: Path) -> None:
    """Overwrite all but the first page, which says that it is a database."""
    size = file.stat().st_size
    with file.open("r+b") as raw:
        raw.seek(4096)
        raw.write(os.urandom(size - 4096))


async def test_a_damaged_file_is_told_in_a_sentence(file: Path, url: str) -> None:
    async with opened(url) as store:
        await store.commit(TODOS, [put(str(number), text="x" * 3000) for number in range(50)])
    damage(file)
    with pytest.raises(StoreUnavailable, match="damaged"):
        async with opened(url) as store:
            await store.find(TODOS, Query())


async def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StoreUnavailable, match="reached"):
        async with opened(database_url(Store(), tmp_path / "data")):
            pass


async def test_a_query_that_takes_too_long_is_interrupted(url: str) -> None:
    async with opened(url) as store:
        await store.commit(TODOS, [put(str(number)) for number in range(3000)])
    settings = Store(statement_timeout=1e-9, pool_size=1)
    async with opened(url, settings=settings) as store:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="too long"):
                await store.count(TODOS, Equal(("undeclared",), (1,)))
        # The same connection does other long work: nothing of the deadline is left on it.
        await store.prepare(Definition("todos", {"due": Property(PropertyType.DATE, index=True)}))


async def test_closing_gives_connections_back_though_all_is_cancelled(url: str, file: Path) -> None:
    async with opened(url) as store:
        await change_of(store, put("a"))
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.close()
        # SQLite removes its log when the last connection is closed.
        names = {path.name for path in await trio.to_thread.run_sync(folder, file)}
        assert names == {"documents.db", "documents.db-pod"}


def folder(file: Path) -> list[Path]:
    return list(file.parent.iterdir())


async def test_no_message_of_an_error_holds_a_statement_or_a_value(file: Path, url: str) -> None:
    async with opened(url, settings=Store(busy_timeout=0.3)) as store:
        with another(file) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable) as caught:
                await store.commit(TODOS, [put("a", title="secret-value")])
    chain = f"{caught.value!r} {caught.value.__cause__}"
    assert "secret-value" not in chain
    assert "BEGIN" not in str(caught.value)


# -- kill -9 ---------------------------------------------------------------------------------

WRITER = """
import sys
import trio
from support.documents import TODOS, opened, put

async def main():
    async with opened(sys.argv[1]) as store:
        for number in range(100_000):
            ids = [f"{number:06}-{place}" for place in range(3)]
            await store.commit(TODOS, [put(each, text="x" * 500) for each in ids])
            print(*ids, flush=True)

trio.run(main)
"""


def committed_before_kill(url: str, calls: int) -> list[str]:
    """Let another process write, kill it, and return the ids that it knew to be committed."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, env=environment, text=True
    ) as writer:
        assert writer.stdout is not None
        try:
            lines = [writer.stdout.readline() for _ in range(calls)]
        finally:
            writer.send_signal(signal.SIGKILL)
        return "".join([*lines, writer.stdout.read()]).split()


@pytest.mark.parametrize("calls", [1, 20, 57])
async def test_what_was_committed_survives_kill_9_and_its_note_too(url: str, calls: int) -> None:
    committed = await trio.to_thread.run_sync(committed_before_kill, url, calls)
    assert len(committed) >= 3 * calls
    async with opened(url, settings=Store(max_limit=1_000_000)) as store:
        there = [str(each["id"]) for each in shown(await store.find(TODOS, Query()))]
        outbox = [str(each.document["id"]) for each in await store.claim_outbox(TODOS, 1_000_000)]
    assert there == outbox
    assert there[: len(committed)] == committed
    # Of the call that was cut off all is there, or nothing.
    assert len(there) - len(committed) in (0, 3)


async def test_the_outbox_of_an_older_pod_is_told_and_gets_what_it_lacks(url: str) -> None:
    async with opened(url) as store:
        await change_of(store, put("a", n=1))
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute("ALTER TABLE changes DROP COLUMN before")
    async with opened(url) as store:
        [left] = await store.claim_outbox(TODOS, 10)
        assert (left.document["n"], left.before) == (1, None)
        change = await change_of(store, put("a", n=2))
        assert change.before is not None
        assert change.before["n"] == 1
        assert await store.claim_outbox(TODOS, 10) == [left, change]


async def test_nobody_uses_a_file_that_is_not_claimed_yet(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, claimed = threading.Event(), DatabaseFile.open

    def slowly(file: DatabaseFile) -> None:
        claim.wait(5)
        claimed(file)

    async with opened(url) as store:
        await change_of(store, put("a"))
        await store.close()
        monkeypatch.setattr(DatabaseFile, "open", slowly)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.open)
            await wait_all_tasks_blocked()
            try:
                with pytest.raises(StoreUnavailable, match="not open"):
                    await store.commit(TODOS, [put("b")])
            finally:
                claim.set()
        assert await store.get(TODOS, "b") is None

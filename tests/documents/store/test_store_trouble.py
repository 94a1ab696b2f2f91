"""A store that is gone, read-only or another's: it says so, keeps nothing back, and comes back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg
import pytest
import structlog
from sqlalchemy import event

from deployd.config import Store as StoreSettings
from deployd.documents.errors import StoreUnavailable
from deployd.documents.store import DatabaseStore
from support.documents import TODOS, change_of, opened, put


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "documents.db"


def store_of(file: Path, pod: str = "pod-a") -> DatabaseStore:
    return DatabaseStore(f"sqlite:///{file}", pod_id=pod, settings=StoreSettings())


def trouble_of(store: DatabaseStore) -> StoreUnavailable | None:
    """Ask anew each time, which a type checker does not expect of a property."""
    return store.trouble


def remove(file: Path) -> None:
    file.unlink()


# -- one file, one pod ----------------------------------------------------------------------------


async def test_a_second_pod_on_one_file_is_refused_and_told_which_is_the_first(file: Path) -> None:
    second = store_of(file, "pod-b")
    async with opened(f"sqlite:///{file}"):
        with pytest.raises(StoreUnavailable, match=r"pod-a \(process \d+ on .+\)") as caught:
            await second.open()
        assert second.trouble is caught.value
        assert caught.value.kind == "held"
        assert "pod-a" not in caught.value.public
        with pytest.raises(StoreUnavailable, match="pod-a"):  # not open, and why
            await second.get(TODOS, "a")
    await second.open()
    assert trouble_of(second) is None
    await second.close()


async def test_a_file_has_one_pod_by_whatever_name_it_is_called(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.symlink_to(file)
    async with opened(f"sqlite:///{file}"):
        with pytest.raises(StoreUnavailable, match="pod-a"):
            await store_of(other, "pod-b").open()


async def test_what_a_pod_that_was_killed_left_holds_nobody_up(file: Path) -> None:
    file.parent.mkdir()
    file.with_name("documents.db-pod").write_text("pod dead (process 1 on nowhere)")
    async with opened(f"sqlite:///{file}") as store:
        await change_of(store, put("a"))
    assert "pod-a" in file.with_name("documents.db-pod").read_text()


# -- a file that goes -----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "-wal"])
async def test_nothing_is_written_into_a_file_that_is_gone(file: Path, ending: str) -> None:
    async with opened(f"sqlite:///{file}") as store:
        await change_of(store, put("a"))
        remove(Path(f"{file}{ending}"))
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as caught:
                await store.commit(TODOS, [put("b")])
            assert caught.value.kind == "gone"
            assert store.trouble is not None
        with pytest.raises(StoreUnavailable):
            await store.probe()


async def test_no_empty_file_takes_the_place_of_one_that_is_gone_and_one_put_there_is_used(
    file: Path,
) -> None:
    async with opened(f"sqlite:///{file}") as store:
        await change_of(store, put("a"))
    backup = file.with_name("backup.db")
    shutil.copy(file, backup)
    await store.open()
    remove(file)
    await store.close()
    with pytest.raises(StoreUnavailable) as caught:
        await store.open()
    assert caught.value.kind == "gone"
    assert "documents.db" not in os.listdir(file.parent)
    shutil.move(backup, file)
    await store.open()
    assert trouble_of(store) is None
    assert await store.get(TODOS, "a") is not None
    await store.close()


async def test_another_file_in_its_place_is_found_without_anybody_asking(file: Path) -> None:
    async with opened(f"sqlite:///{file}") as store:
        shutil.copy(file, file.with_name("new.db"))
        file.with_name("new.db").rename(file)
        with pytest.raises(StoreUnavailable) as caught:
            await store.probe()
        assert caught.value.kind == "gone"


# -- one that can only be read --------------------------------------------------------------------


async def test_a_disk_that_can_only_be_read_is_found_before_anybody_writes(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(f"sqlite:///{file}") as store:
        await store.probe()
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(StoreUnavailable, match="only be read"):
            await store.probe()
        assert store.trouble is not None
        assert "read" in store.trouble.public
        assert await store.claim_outbox(TODOS, 9) == []  # which writes nothing, and proves nothing
        assert store.trouble is not None
        await store.probe()  # it writes something: that is what tells
        assert trouble_of(store) is None
        assert await store.claim_outbox(TODOS, 9) == []


async def test_a_server_that_becomes_a_replica_is_found_before_anybody_writes(
    postgres_url: str,
) -> None:
    async with opened(postgres_url) as store:
        await change_of(store, put("a"))
        await store.probe()
        name = postgres_url.rpartition("/")[2]
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            change = f"ALTER DATABASE {name} SET default_transaction_read_only = "
            admin.execute((change + "on").encode())
            await store.close()
            await store.open()
            assert await store.get(TODOS, "a") is not None
            assert store.trouble is not None
            assert store.trouble.kind == "read_only"
            admin.execute(b"SET default_transaction_read_only = off")
            admin.execute((change + "off").encode())
        await store.open()
        await store.probe()
        assert trouble_of(store) is None


async def test_trouble_is_told_once_and_its_end_too(file: Path) -> None:
    async with opened(f"sqlite:///{file}") as store:
        failing = True

        @event.listens_for(store._engine, "before_cursor_execute")
        def fail(*_: object) -> None:
            if failing:
                raise OSError(28, "no space")

        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await store.commit(TODOS, [put("a")])
            assert store.trouble is not None
            assert store.trouble.kind == "full"
            failing = False
            await store.probe()
            assert trouble_of(store) is None
        told = [line["event"] for line in lines]
        assert told.count("documents cannot be written") == 1
        assert told.count("documents can be written again") == 1

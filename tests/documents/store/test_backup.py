"""Backups of one kind for every kind of database."""

from __future__ import annotations

import gzip
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from deployd.config import Store as StoreSettings
from deployd.documents.errors import StoreUnavailable
from deployd.documents.store import BackupError, Query, restore_backup, write_backup
from support.documents import TODOS, change_of, opened, put, shown

SETTINGS = StoreSettings()
DATE = "2026-11-30T00:00:00.000Z"
ODD: dict[str, Any] = {"n": 2**60, "f": 0.1, "t": "é\U0001f600\\", "l": [None, {"a": True}]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.gz"


def read(file: Path) -> bytes:
    return file.read_bytes()


def write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


async def fill(url: str, ids: str = "cab") -> None:
    async with opened(url) as store:
        for id_ in ids:
            await change_of(store, put(id_, title=id_, **ODD))


async def everything(url: str) -> list[Any]:
    async with opened(url) as store:
        return shown(await store.find(TODOS, Query()))


async def test_all_documents_come_back_as_they_were_in_their_order(url: str, file: Path) -> None:
    await fill(url)
    before = await everything(url)
    assert [one["id"] for one in before] == ["c", "a", "b"]
    assert write_backup(url, SETTINGS, file, now=DATE) == {"todos": 3}
    assert os.stat(file).st_mode & 0o777 == 0o600
    async with opened(url) as store:
        await change_of(store, put("late", title="late"))
        await change_of(store, put("a", title="changed"))
    with pytest.raises(BackupError, match="--replace"):
        restore_backup(url, SETTINGS, file, replace=False)
    assert len(await everything(url)) == 4
    assert restore_backup(url, SETTINGS, file, replace=True) == {"todos": 3}
    assert await everything(url) == before
    async with opened(url) as store:
        assert await store.claim_outbox(TODOS, 9) == []
        await change_of(store, put("last", title="d"))
        assert [one["id"] for one in shown(await store.find(TODOS, Query()))][-1] == "last"
        (refused,) = await store.commit(TODOS, [put("other", title="a")])
        assert type(refused).__name__ == "DuplicateValue"


async def test_a_backup_moves_to_another_kind_of_database(
    postgres_url: str, tmp_path: Path, file: Path
) -> None:
    sqlite = f"sqlite:///{tmp_path}/data/documents.db"
    await fill(sqlite)
    write_backup(sqlite, SETTINGS, file, now=DATE)
    restore_backup(postgres_url, SETTINGS, file, replace=False)
    assert await everything(postgres_url) == await everything(sqlite)
    write_backup(postgres_url, SETTINGS, file, now=DATE)
    restore_backup(sqlite, SETTINGS, file, replace=True)
    assert await everything(postgres_url) == await everything(sqlite)


async def test_a_backup_is_of_one_moment_while_others_write(url: str, file: Path) -> None:
    async with opened(url) as store, trio.open_nursery() as nursery:

        async def write() -> None:
            number = 0
            while True:
                pair = [put(f"{n}-{number}", title=f"{n}-{number}") for n in (1, 2)]
                await store.commit(TODOS, pair)
                number += 1

        nursery.start_soon(write)
        for _ in range(5):
            counts = await trio.to_thread.run_sync(
                partial(write_backup, url, SETTINGS, file, now=DATE)
            )
            assert counts["todos"] % 2 == 0
        nursery.cancel_scope.cancel()


async def test_what_is_no_whole_backup_changes_nothing(url: str, file: Path) -> None:
    await fill(url)
    before = await everything(url)
    write_backup(url, SETTINGS, file, now=DATE)
    whole = read(file)
    lines = gzip.decompress(whole).splitlines(keepends=True)
    other = b'["todos",9,{"id":"z"}]\n'
    for bad in (
        b"",
        b"no backup",
        whole[:-20],
        whole[:-9] + bytes(9),
        gzip.compress(b"".join(lines[:-1])),
        gzip.compress(b"".join(lines[:2] + lines[3:])),
        gzip.compress(b"".join([*lines[:2], other, *lines[3:]])),
        gzip.compress(b"".join([*lines[:1], b'["a\\"b",1,{}]\n', *lines[1:]])),
        gzip.compress(b'{"format":"deployd-documents","version":2}\n'),
    ):
        write(file, bad)
        with pytest.raises(BackupError):
            restore_backup(url, SETTINGS, file, replace=True)
    assert await everything(url) == before


async def test_a_file_that_a_pod_uses_is_not_restored_into(tmp_path: Path, file: Path) -> None:
    url = f"sqlite:///{tmp_path}/data/documents.db"
    async with opened(url):
        write_backup(url, SETTINGS, file, now=DATE)
        with pytest.raises(StoreUnavailable, match="pod-a"):
            restore_backup(url, SETTINGS, file, replace=True)


def test_a_backup_of_nothing_is_refused_and_makes_no_database(tmp_path: Path, file: Path) -> None:
    with pytest.raises(BackupError, match="--data"):
        write_backup(f"sqlite:///{tmp_path}/none/documents.db", SETTINGS, file, now=DATE)
    assert list(tmp_path.iterdir()) == []


async def test_a_backup_that_fails_leaves_the_one_before(tmp_path: Path, file: Path) -> None:
    url = f"sqlite:///{tmp_path}/data/documents.db"
    await fill(url)
    write_backup(url, SETTINGS, file, now=DATE)
    with pytest.raises(BackupError, match="choose another"):
        write_backup(url, SETTINGS, tmp_path / "none" / "backup.gz", now=DATE)
    write(tmp_path / "data" / "documents.db", b"no database" * 1000)
    before = read(file)
    with pytest.raises(StoreUnavailable, match="damaged"):
        write_backup(url, SETTINGS, file, now=DATE)
    assert read(file) == before
    assert "backup.gz.part" not in os.listdir(tmp_path)

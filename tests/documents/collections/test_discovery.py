"""Looking at the folder of collections: whatever lies there costs itself alone, and one line."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio

from deployd.actors import Actor, ActorCell, DeadLetters, EnvironmentFailure
from deployd.documents.collections import Directory, Discovery, folders
from deployd.documents.collections import discovery as discovery_module
from support.collections import write_collection

KEEP: dict[str, Any] = {"properties": {}}
VALIDATE = "def run(ctx):\n    ctx.data['seen'] = 1\n"


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def new_directory() -> Directory:
    def start(collection: Any) -> ActorCell[Any]:
        return ActorCell(f"pod/{collection.name}", Actor, dead_letters=DeadLetters())

    return Directory(start, lambda name: None)


def troubles(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["log_level"] in ("warning", "error")]


# -- every kind of entry -------------------------------------------------------------------------


def dangling(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


def looping(path: Path) -> None:
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    os.mkfifo(path)  # opening it would wait for somebody who writes


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        before = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is short
        try:
            sock.bind(path.name)
        finally:
            os.chdir(before)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")  # reading it would never end


def folder(path: Path) -> None:
    path.mkdir()


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**34)  # 16 GiB of nothing


def half_written(path: Path) -> None:
    path.write_text('{"properties": {"title": {"ty')


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def deep(path: Path) -> None:
    path.write_text("[" * 100_000)


ODD: list[Callable[[Path], None]] = [
    *(dangling, looping, pipe, listening, device, folder, huge, half_written, binary, empty, deep)
]
odd = pytest.mark.parametrize("make", ODD, ids=lambda one: one.__name__)


@odd
async def test_a_definition_that_cannot_be_read_costs_its_collection_alone(
    make: Callable[[Path], None], tmp_path: Path, lines: list[Any]
) -> None:
    write_collection(tmp_path, "alpha", KEEP)
    write_collection(tmp_path, "zulu", KEEP)
    bad = tmp_path / "resources" / "middle"
    bad.mkdir()
    make(bad / "config.json")
    directory = new_directory()
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    with trio.fail_after(20):
        await discovery.scan()
        await discovery.scan()
    assert directory.find("alpha") is not None
    assert directory.find("zulu") is not None
    assert directory.find("middle") is None
    assert [line["name"] for line in troubles(lines)] == ["middle"]
    remove(bad / "config.json")
    (bad / "config.json").write_text(json.dumps(KEEP))
    await discovery.scan()
    assert directory.find("middle") is not None  # also where nothing else is read again


@odd
async def test_a_script_that_cannot_be_read_is_broken_and_harms_no_other(
    make: Callable[[Path], None], tmp_path: Path, lines: list[Any]
) -> None:
    write_collection(tmp_path, "alpha", KEEP, {"post": VALIDATE})
    bad = write_collection(tmp_path, "middle", KEEP, {"post": VALIDATE})
    make(bad / "validate.py")
    directory = new_directory()
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    with trio.fail_after(20):
        await discovery.scan()
        await discovery.scan()
    found = directory.find("middle")
    assert found is not None
    script = found.scripts.find("validate")
    assert script is not None, "a script that cannot be read must not be taken for none"
    assert script.run is None
    assert found.scripts.by_event["post"].run is not None
    assert [line["event"] for line in troubles(lines)] == ["script broken"]
    remove(bad / "validate.py")
    (bad / "validate.py").write_text(VALIDATE)
    await discovery.scan()
    mended = found.scripts.find("validate")
    assert mended is not None
    assert mended.run is not None


@odd
@pytest.mark.parametrize("name", [".#config.json", ".#validate.py", "notes.json", "#x.py#", "4913"])
async def test_what_editors_leave_beside_the_files_is_of_no_interest(
    make: Callable[[Path], None], name: str, tmp_path: Path, lines: list[Any]
) -> None:
    place = write_collection(tmp_path, "todos", KEEP, {"validate": VALIDATE})
    directory = new_directory()
    discovery = Discovery(tmp_path / "resources", directory, reload=True)
    await discovery.scan()
    make(place / name)
    told = len(lines)
    await discovery.scan()
    assert directory.find("todos") is not None
    assert len(lines) == told


@odd
async def test_what_lies_among_the_folders_harms_none_of_them(
    make: Callable[[Path], None], tmp_path: Path, lines: list[Any]
) -> None:
    write_collection(tmp_path, "alpha", KEEP)
    write_collection(tmp_path, "zulu", KEEP)
    make(tmp_path / "resources" / "middle")
    directory = new_directory()
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    for _ in range(3):
        await discovery.scan()
    assert {one.name for one in directory} == {"alpha", "zulu", "users"}
    assert len(troubles(lines)) <= 1


async def test_a_name_that_is_no_text_is_refused_and_can_be_told(
    tmp_path: Path, lines: list[Any]
) -> None:
    write_collection(tmp_path, "alpha", KEEP)
    write_collection(tmp_path, "caf\udce9", KEEP)  # one byte, which is no UTF-8
    directory = new_directory()
    await Discovery(tmp_path / "resources", directory, reload=False).scan()
    assert {one.name for one in directory} == {"alpha", "users"}
    assert len(troubles(lines)) == 1


# -- what the tests cannot make, or that changes meanwhile -----------------------------------------


@pytest.mark.parametrize("call", ["lstat", "scandir", "open"])
async def test_a_folder_that_may_not_be_looked_into_costs_itself_alone(
    call: str, tmp_path: Path, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alpha", "middle", "zulu"):
        write_collection(tmp_path, name, KEEP)
    real = getattr(os, call)

    def refused(path: Any, *args: Any, **kwargs: Any) -> Any:
        if "middle" in os.fspath(path):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path, *args, **kwargs)

    directory = new_directory()
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, refused)
        await discovery.scan()
        await discovery.scan()
    assert {one.name for one in directory} >= {"alpha", "zulu"}
    told = [line["name"] for line in troubles(lines)]
    assert told == ([] if call == "lstat" else ["middle"])  # the rest is readable there
    (tmp_path / "resources" / "middle" / "config.json").write_text('{"properties": {}} ')
    await discovery.scan()
    assert directory.find("middle") is not None


async def test_a_folder_of_collections_that_may_not_be_read_is_told_once_and_tried_again(
    tmp_path: Path, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path, "alpha", KEEP)
    directory = new_directory()
    discovery = Discovery(tmp_path / "resources", directory, reload=False)

    def refused(self: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refused)
        for _ in range(3):
            await discovery.scan()
    assert [line["event"] for line in troubles(lines)] == ["not all collections can be seen"]
    await discovery.scan()
    assert directory.find("alpha") is not None


@pytest.mark.parametrize("gone", ["folder", "config.json", "validate.py"])
async def test_what_goes_between_being_listed_and_read_is_taken_as_gone(
    gone: str, tmp_path: Path, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path, "alpha", KEEP)
    place = write_collection(tmp_path, "middle", KEEP, {"validate": VALIDATE})
    real = os.lstat

    def then_removed(path: Any, *args: Any, **kwargs: Any) -> Any:
        status = real(path, *args, **kwargs)
        if "middle" in os.fspath(path):
            if gone == "folder":
                shutil.rmtree(place, ignore_errors=True)
            else:
                (place / gone).unlink(missing_ok=True)
        return status

    directory = new_directory()
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    with monkeypatch.context() as patched:
        patched.setattr(os, "lstat", then_removed)
        await discovery.scan()
    assert directory.find("alpha") is not None
    assert len(troubles(lines)) <= 1


async def test_a_folder_that_is_being_written_is_taken_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write_collection(tmp_path, "todos", KEEP)
    read = folders._read

    def while_copied(*args: Any) -> Any:
        found = read(*args)
        (place / "validate.py").write_text(VALIDATE)
        return found

    directory = new_directory()
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    with monkeypatch.context() as patched:
        patched.setattr(folders, "_read", while_copied)
        await discovery.scan()
    assert directory.find("todos") is None
    await discovery.scan()
    found = directory.find("todos")
    assert found is not None
    assert found.scripts.find("validate") is not None


async def test_more_folders_than_are_looked_at_are_told_of(
    tmp_path: Path, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MAX_COLLECTIONS", 2)
    for name in ("alpha", "middle", "zulu"):
        write_collection(tmp_path, name, KEEP)
    directory = new_directory()
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    for _ in range(2):
        await discovery.scan()
    assert {one.name for one in directory} == {"alpha", "middle", "users"}
    assert len(troubles(lines)) == 1


# -- scripts that do not come to an end when they are loaded ---------------------------------------


@pytest.mark.parametrize(
    "source", ["while True:\n    pass\n", "import threading\nthreading.Event().wait(60)\n"]
)
async def test_a_script_that_never_ends_when_it_is_loaded_does_not_blind_the_pod(
    source: str, tmp_path: Path, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery_module, "SCAN_WITHIN", 0.3)
    write_collection(tmp_path, "alpha", KEEP)
    place = write_collection(tmp_path, "middle", KEEP, {"post": source})
    write_collection(tmp_path, "zulu", KEEP)
    directory = new_directory()
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    with trio.fail_after(20):
        for _ in range(3):
            await discovery.scan()
    assert {one.name for one in directory} == {"alpha", "zulu", "users"}
    assert [line["name"] for line in troubles(lines)] == ["middle"]
    (place / "post.py").write_text(VALIDATE)
    await discovery.scan()
    assert directory.find("middle") is not None


# -- a system that is short of something -----------------------------------------------------------


async def test_without_a_thread_discovery_backs_off_as_from_a_broken_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    discovery = Discovery(tmp_path / "resources", new_directory(), reload=False)

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("trio._threads.start_thread_soon", refuse)
    with trio.fail_after(20), pytest.raises(EnvironmentFailure, match="no more threads"):
        await discovery.run(lambda: None)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()

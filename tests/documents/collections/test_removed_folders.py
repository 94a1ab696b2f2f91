"""Folders of collections that go, come back, and are called something else while the pod runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from deployd.actors import Actor, ActorCell, DeadLetters
from deployd.documents.collections import Directory, Discovery
from support.collections import write_collection

KEEP: dict[str, Any] = {"properties": {}}


class Actors:
    """Who would start and stop the actors of collections: `living`, by name."""

    def __init__(self) -> None:
        self.living: set[str] = set()
        self.ending: set[str] = set()

    def start(self, collection: Any) -> ActorCell[Any] | None:
        if collection.name in self.living | self.ending:
            return None
        self.living.add(collection.name)
        return ActorCell(f"pod/{collection.name}", Actor, dead_letters=DeadLetters())

    def stop(self, name: str) -> None:
        self.living.remove(name)
        self.ending.add(name)


@pytest.fixture
def actors() -> Actors:
    return Actors()


@pytest.fixture
def directory(actors: Actors) -> Directory:
    return Directory(actors.start, actors.stop)


def names(directory: Directory) -> set[str]:
    return {collection.name for collection in directory}


@pytest.mark.parametrize("reload", [False, True])
async def test_a_collection_goes_with_its_folder_and_comes_back_with_it(
    tmp_path: Path, directory: Directory, actors: Actors, reload: bool
) -> None:
    folder = write_collection(tmp_path, "todos", KEEP)
    discovery = Discovery(tmp_path / "resources", directory, reload=reload)
    await discovery.scan()
    shutil.rmtree(folder)
    await discovery.scan()
    assert directory.find("todos") is not None  # it may just be being replaced
    await discovery.scan()
    assert names(directory) == {"users"}
    assert actors.ending == {"todos"}
    write_collection(tmp_path, "todos", {"properties": {"title": {"type": "string"}}})
    await discovery.scan()
    assert directory.find("todos") is None  # what it had taken is not all done
    actors.ending.clear()
    await discovery.scan()
    found = directory.find("todos")
    assert found is not None
    assert list(found.definition.properties) == ["title"]
    assert actors.living == {"todos", "users"}


async def test_a_folder_that_is_renamed_is_another_collection(
    tmp_path: Path, directory: Directory, actors: Actors
) -> None:
    folder = write_collection(tmp_path, "todos", KEEP)
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    await discovery.scan()
    folder.rename(folder.with_name("tasks"))
    for _ in range(2):
        await discovery.scan()
    assert names(directory) == {"tasks", "users"}
    (tmp_path / "resources" / "tasks").rename(tmp_path / "resources" / "TASKS")
    for _ in range(3):
        await discovery.scan()
    assert names(directory) == {"TASKS", "users"}
    assert directory.find_alike("tasks") == "TASKS"


async def test_a_folder_that_is_replaced_between_two_looks_was_never_away(
    tmp_path: Path, directory: Directory, actors: Actors
) -> None:
    folder = write_collection(tmp_path, "todos", KEEP)
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    await discovery.scan()
    for _ in range(3):
        shutil.rmtree(folder)
        await discovery.scan()
        write_collection(tmp_path, "todos", KEEP)
        await discovery.scan()
    assert directory.find("todos") is not None
    assert actors.ending == set()


async def test_a_definition_that_breaks_takes_nothing_along_and_one_that_goes_does(
    tmp_path: Path, directory: Directory
) -> None:
    folder = write_collection(tmp_path, "todos", KEEP, {"post": "def run(ctx): pass\n"})
    discovery = Discovery(tmp_path / "resources", directory, reload=True)
    await discovery.scan()
    (folder / "config.json").write_text("{broken")
    for _ in range(3):
        await discovery.scan()
    assert directory.find("todos") is not None
    (folder / "config.json").unlink()
    for _ in range(2):
        await discovery.scan()
    assert directory.find("todos") is None


async def test_where_they_all_lay_is_gone_and_no_collection_goes(
    tmp_path: Path, directory: Directory
) -> None:
    write_collection(tmp_path, "todos", KEEP)
    discovery = Discovery(tmp_path / "resources", directory, reload=True)
    await discovery.scan()
    (tmp_path / "resources").rename(tmp_path / "elsewhere")  # as a disk that is not mounted
    for _ in range(3):
        await discovery.scan()
    assert directory.find("todos") is not None


async def test_users_without_their_folder_are_as_if_there_had_been_none(
    tmp_path: Path, directory: Directory
) -> None:
    more = {"properties": {"nickname": {"type": "string"}}}
    folder = write_collection(tmp_path, "users", more, {"get": "def run(ctx): pass\n"})
    discovery = Discovery(tmp_path / "resources", directory, reload=False)
    await discovery.scan()
    users = directory.find("users")
    assert users is not None
    assert users.has("get")
    assert "nickname" in users.definition.properties
    shutil.rmtree(folder)
    for _ in range(2):
        await discovery.scan()
    assert directory.find("users") is users
    assert not users.has("get")
    assert "nickname" not in users.definition.properties

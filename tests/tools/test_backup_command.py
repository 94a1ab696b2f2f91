"""`deployd check`, `backup` and `restore`, as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
import trio
from click.testing import CliRunner, Result

from deployd.config import Store, read_definition
from deployd.documents.store import database_url
from deployd.tools.cli import cli
from support.collections import write_collection
from support.documents import change_of, opened, put

PLAIN = read_definition("todos", {})


@pytest.fixture
def filled(folder: Path) -> Path:
    """The folder in which commands are run, with a few documents."""

    async def fill() -> None:
        async with opened(database_url(Store(), folder / "data"), PLAIN) as store:
            for id_ in ("a", "b"):
                await change_of(store, put(id_, slug="same", old="secret-value"), PLAIN)

    trio.run(fill)
    return folder


def run(*words: str) -> Result:
    port = ("--port", "0") if words[0] == "check" else ()  # 2403 may be taken here
    return CliRunner().invoke(cli, [*words, *port])


def test_check_names_the_documents_that_do_not_fit_and_none_of_their_values(filled: Path) -> None:
    write_collection(filled, "todos", {})
    write_collection(filled, "notes", {})
    fine = run("check")
    assert fine.exit_code == 0
    assert fine.output.endswith("notes: no documents\ntodos: all fit\n")
    slug = {"type": "string", "unique": True}
    title = {"type": "string", "required": True}
    write_collection(
        filled, "todos", {"strict": True, "properties": {"slug": slug, "title": title}}
    )
    (filled / "resources" / "notes" / "config.json").write_text("{broken")
    told = run("check")
    assert told.exit_code == 1
    assert "todos: 2 of 2 do not fit" in told.output
    assert "a and b" in told.output
    assert "  b: title is required; old is not a property" in told.output
    assert "notes: cannot be read" in told.output
    assert "secret-value" not in told.output
    report = orjson.loads(run("check", "--json").output)
    machine = {each["name"]: each for each in report["collections"]}
    assert not report["ok"]
    assert machine["todos"]["unfit"] == 2
    assert [one["id"] for one in machine["todos"]["named"]] == ["a", "b"]


def test_check_without_a_database_makes_none(folder: Path) -> None:
    write_collection(folder, "todos", {})
    assert run("check").exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["resources"]


@pytest.mark.usefixtures("filled")
def test_what_is_backed_up_is_restored_into_another_folder() -> None:
    done = run("backup", "backup.gz")
    assert (done.exit_code, done.output) == (0, "backup.gz: 2 documents (2 of todos)\n")
    again = run("restore", "backup.gz")
    assert again.exit_code == 1
    assert "--replace" in again.output
    there = run("restore", "backup.gz", "--data", "elsewhere")
    assert (there.exit_code, there.output) == (0, "restored 2 documents (2 of todos)\n")
    assert run("restore", "--replace", "backup.gz").exit_code == 0
    for words in (("restore", "none.gz"), ("backup", "x.gz", "--data", "none")):
        refused = run(*words)
        assert refused.exit_code == 1
        assert "bug" not in refused.output
    assert json.loads(run("check", "--json", "--data", "elsewhere").output)["collections"] == []

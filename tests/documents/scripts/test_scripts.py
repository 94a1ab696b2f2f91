"""Scripts as files: which there are, what one may look like, and that a bad one stands alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from deployd.documents import ScriptBroken
from deployd.documents.scripts import AsyncContext, Context, load_scripts
from deployd.documents.scripts.scripts import EVENTS, changed
from support.scripts import load, write

SYNC = "def run(ctx):\n    pass\n"


def test_a_script_is_found_by_its_event_and_nothing_else_is(tmp_path: Path) -> None:
    for name in (*EVENTS, "helper", "config"):
        write(tmp_path, name, SYNC)
    scripts = load_scripts("todos", tmp_path)
    assert tuple(scripts.by_event) == EVENTS
    for event in EVENTS:
        script = scripts.find(event)
        assert script is not None
        assert (script.event, script.path, script.name) == (
            event,
            tmp_path / f"{event}.py",
            f"todos/{event}.py",
        )


@pytest.mark.parametrize("missing", ["nothing in it", "no such folder", "a file instead"])
def test_without_files_there_are_no_scripts(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "todos"
    if missing == "nothing in it":
        folder.mkdir()
    elif missing == "a file instead":
        folder.write_text("")
    scripts = load_scripts("todos", folder)
    assert scripts.find("post") is None
    assert not changed(scripts, folder)


def test_an_async_run_gets_the_context_for_it(tmp_path: Path) -> None:
    assert load(tmp_path, SYNC).context_class is Context
    assert load(tmp_path, f"async {SYNC}").context_class is AsyncContext


def test_a_script_is_a_namespace_of_its_own_and_no_module(tmp_path: Path) -> None:
    source = """
        names = [__name__, __file__]
        def run(ctx: Missing, *, quietly: bool = True) -> None: ...
        """.replace("Missing", "int")
    before = set(sys.modules)
    one, other = load(tmp_path, source), load(tmp_path, source)
    assert one.run is not None
    assert other.run is not None
    names = one.run.__globals__
    assert names["names"] == ["resources.todos.post", str(tmp_path / "post.py")]
    assert names is not other.run.__globals__
    assert set(sys.modules) == before
    assert one.run.__annotations__["ctx"] is int  # no `from __future__` of ours got into it


def test_a_file_may_name_its_encoding(tmp_path: Path) -> None:
    source = "# coding: latin-1\nword = 'caf\xe9'\n" + SYNC
    (tmp_path / "get.py").write_bytes(source.encode("latin-1"))
    script = load_scripts("todos", tmp_path).find("get")
    assert script is not None
    assert script.run is not None
    assert script.run.__globals__["word"] == "café"


BROKEN = {
    "def run(ctx)\n    pass": (1, "SyntaxError"),
    "x = 1\nx = (": (2, "SyntaxError"),
    "\n\n1 / 0": (3, "ZeroDivisionError"),
    "\nraise SystemExit(3)": (2, "SystemExit"),
    "\nraise KeyboardInterrupt": (2, "KeyboardInterrupt"),
    "\nimport a_module_that_nobody_has": (2, "a_module_that_nobody_has"),
    "\ndef help(): exec('(')\nhelp()\n": (2, "SyntaxError"),
    "x = '\0'": (1, "null bytes"),
    "": (1, "add `def run(ctx)`"),
    "run = 3": (1, "type int"),
    "\nclass run:\n    def __init__(self, ctx): pass": (1, "must be a function"),
    "\ndef run(): pass": (2, "exactly one"),
    "\ndef run(ctx, more): pass": (2, "exactly one"),
    "\ndef run(ctx, more=1): pass": (2, "exactly one"),
    "\ndef run(*all): pass": (2, "exactly one"),
    "\ndef run(*, ctx): pass": (2, "exactly one"),
    "\ndef run(ctx, *, more): pass": (2, "exactly one"),
    "\ndef run(ctx):\n    yield": (2, "must not yield"),
    "\nasync def run(ctx):\n    yield": (2, "must not yield"),
    "\nclass E(Exception):\n    def __str__(self): 1/0\nraise E": (4, "E"),
}


@pytest.mark.parametrize("source", BROKEN, ids=repr)
def test_a_file_that_cannot_be_loaded_is_broken_and_stands_alone(
    tmp_path: Path, source: str
) -> None:
    line, reason = BROKEN[source]
    write(tmp_path, "validate", SYNC)
    (tmp_path / "post.py").write_text(source)
    write(tmp_path, "put", SYNC)
    with capture_logs() as logs:
        scripts = load_scripts("todos", tmp_path)
        for _ in range(2):
            with pytest.raises(ScriptBroken, match=rf"todos/post.py .*line {line}\b") as caught:
                scripts.by_event["post"].check()
            assert reason in caught.value.reason
            assert reason not in caught.value.sentence
    scripts.by_event["validate"].check()
    scripts.by_event["put"].check()
    (log,) = logs
    assert (log["event"], log["script"], log["line"]) == ("script broken", "todos/post.py", line)


def test_what_is_told_of_a_broken_file_is_short(tmp_path: Path) -> None:
    write(tmp_path, "get", "raise ValueError('x' * 100_000)")
    with capture_logs() as logs:
        load_scripts("todos", tmp_path)
    assert len(logs[0]["reason"]) == 1000


def test_an_event_file_that_cannot_be_read_is_broken(tmp_path: Path) -> None:
    (tmp_path / "get.py").mkdir()
    (tmp_path / "put.py").symlink_to("put.py")  # leads to itself
    write(tmp_path, "post", SYNC)
    with capture_logs():
        scripts = load_scripts("todos", tmp_path)
    assert {event for event, script in scripts.by_event.items() if script.run is None} == {
        "get",
        "put",
    }


def test_a_change_is_seen_when_a_file_comes_goes_or_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, "post", SYNC)
    scripts = load_scripts("todos", tmp_path)
    assert not changed(scripts, tmp_path)
    write(tmp_path, "helper", SYNC)
    assert not changed(scripts, tmp_path)
    stamp = path.stat().st_mtime_ns
    path.write_text(SYNC + "\n")
    os.utime(path, ns=(stamp, stamp))
    assert changed(scripts, tmp_path)  # another size
    path.write_text(SYNC)
    os.utime(path, ns=(stamp, stamp + 1))
    assert changed(scripts, tmp_path)  # another time
    os.utime(path, ns=(stamp, stamp))
    assert not changed(scripts, tmp_path)
    write(tmp_path, "get", SYNC)
    assert changed(scripts, tmp_path)
    (tmp_path / "get.py").unlink()
    path.unlink()
    assert changed(scripts, tmp_path)


def test_what_is_written_while_a_file_is_loaded_is_seen_as_changed(tmp_path: Path) -> None:
    source = f"with open(__file__, 'a') as file:\n    file.write('#')\n{SYNC}"
    write(tmp_path, "post", source)
    assert changed(load_scripts("todos", tmp_path), tmp_path)

"""Log lines: their form, their levels, and what they never show."""

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import structlog

from deployd.config import (
    ConfigError,
    Logging,
    configure_logging,
    get_logger,
    lead_into_logging,
    log_level,
    logs_for_people,
    reopen_log,
    set_log_level,
    tracing,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoiYSJ9.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, realtime = logging.getLogger(), logging.getLogger("deployd.realtime")
    before, level = list(root.handlers), root.level
    yield
    configure_logging(Logging(), tty=False, stream=io.StringIO())
    root.handlers[:] = before
    root.setLevel(level)
    realtime.setLevel(logging.NOTSET)
    structlog.reset_defaults()


def configured(settings: Logging, *, tty: bool = False) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(settings, tty=tty, stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_that_grep_finds() -> None:
    stream = configured(Logging())

    get_logger().info("room started", room="chat", members=3)

    assert '"component":"realtime"' in stream.getvalue()
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "component", "event", "room", "members"]
    assert (line["level"], line["event"], line["members"]) == ("info", "room started", 3)
    assert str(line["timestamp"]).endswith("Z")


def test_a_component_of_its_own_is_named() -> None:
    stream = configured(Logging())

    get_logger("hub").warning("busy")

    assert lines(stream)[0]["component"] == "hub"


def test_a_logger_made_before_the_configuration_follows_it() -> None:
    log = get_logger()
    stream = configured(Logging())

    log.info("hello")

    assert lines(stream)[0]["event"] == "hello"


@pytest.mark.parametrize(("form", "tty", "human"), [
    ("auto", True, True), ("auto", False, False), ("human", False, True), ("json", True, False),
])  # fmt: skip
def test_people_read_lines_and_machines_json(form: str, tty: bool, human: bool) -> None:
    stream = configured(Logging(format=form), tty=tty)

    get_logger().info("hello")

    assert stream.getvalue().startswith("{") is not human
    assert ("\x1b[" in stream.getvalue()) is (human and tty)


def test_libraries_log_through_the_same() -> None:
    stream = configured(Logging())

    logging.getLogger("some.server").warning("bound to %s", "a port")

    (line,) = lines(stream)
    assert line["event"] == "bound to a port"
    assert (line["component"], line["level"]) == ("some.server", "warning")


def test_the_level_holds_for_this_project_and_for_libraries() -> None:
    stream = configured(Logging(level="WARNING"))

    get_logger().info("no")
    logging.getLogger("library").info("no")
    get_logger().warning("yes")
    logging.getLogger("library").warning("yes")

    assert [line["event"] for line in lines(stream)] == ["yes", "yes"]


def test_tracing_shows_the_debug_lines_of_messages_and_no_others() -> None:
    stream = configured(Logging(realtime_debug=True))

    get_logger().debug("message", id="m1")
    get_logger("hub").debug("no")
    logging.getLogger("library").debug("no")

    assert [(line["event"], line["id"]) for line in lines(stream)] == [("message", "m1")]


@pytest.mark.parametrize(("settings", "expected"), [
    (Logging(), False),
    (Logging(level="DEBUG"), True),
    (Logging(realtime_debug=True), True),
    (Logging(level="ERROR", realtime_debug=True), True),
])  # fmt: skip
def test_the_fast_path_can_ask_whether_to_trace(settings: Logging, expected: bool) -> None:
    configured(settings)

    assert tracing() is expected


def test_tracing_ends_when_it_is_configured_away() -> None:
    configured(Logging(realtime_debug=True))
    stream = configured(Logging())

    get_logger().debug("no")

    assert not tracing()
    assert stream.getvalue() == ""


def test_configuring_again_does_not_double_lines_and_keeps_foreign_handlers() -> None:
    foreign = logging.NullHandler()
    logging.getLogger().addHandler(foreign)
    first, second = configured(Logging()), configured(Logging())

    get_logger().info("once")

    assert first.getvalue() == ""
    assert len(lines(second)) == 1
    assert foreign in logging.getLogger().handlers


@pytest.mark.parametrize("form", ["json", "human"])
@pytest.mark.parametrize("given", [
    {"token": "hunter2"},
    {"password": "hunter2"},
    {"secret": b"hunter2"},
    {"Authorization": "Basic hunter2"},
    {"master_key": "hunter2"},
    {"masterKey": "hunter2"},
    {"jwt_secret": "hunter2"},
    {"headers": {"X-Master-Key": "hunter2"}},
    {"messages": [{"token": "hunter2"}]},
    {"target": "/socket.io/?token=hunter2&x=1"},
    {"target": b"/socket.io/?x=1&token=hunter2"},
    {"text": '{"type":"auth","token":"hunter2"}'},
    {"text": repr({"password": "it's \"hunter2\""})},
    {"text": repr({"password": "it's \"hunter2\""})[:-5]},
    {"text": r'{"password": "a \" and a \\ and hunter2"}'},
    {"target": "/users?password=it's-hunter2"},
    {"header": "Bearer hunter2"},
    {"url": "redis://user:hunter2@host:6379/0"},
    {"reason": "cannot reach nats://hunter2@host, nor user:hunter2@host:4222"},
    {"text": f"is {JWT} valid"},
])  # fmt: skip
def test_no_line_shows_a_secret(form: str, given: dict[str, object]) -> None:
    stream = configured(Logging(format=form))

    get_logger().info("given", **given)

    text = stream.getvalue()
    assert "hunter2" not in text
    assert JWT[:20] not in text
    assert "********" in text


def test_an_event_and_an_exception_show_no_secret_either() -> None:
    stream = configured(Logging())

    get_logger().info("GET /?token=hunter2")
    try:
        raise ValueError("no user has password=hunter2")
    except ValueError:
        get_logger().exception("failed")
    logging.getLogger("library").warning("GET /?token=%s", "hunter2")

    assert "hunter2" not in stream.getvalue()
    assert "Traceback" in str(lines(stream)[1]["exception"])


def test_tracebacks_for_people_do_not_show_locals() -> None:
    stream = configured(Logging(format="human"), tty=True)
    hidden = "sword" + "fish"

    try:
        raise ValueError(len(hidden))
    except ValueError:
        get_logger().exception("failed")

    assert "ValueError: 9" in stream.getvalue()
    assert "swordfish" not in stream.getvalue()


def test_what_is_not_secret_is_left_alone() -> None:
    stream = configured(Logging())

    get_logger().info("tokens refused", tokens=3, target="/?room=a&tokens=5", path="pod/rooms/a")

    (line,) = lines(stream)
    assert (line["tokens"], line["target"], line["path"]) == (3, "/?room=a&tokens=5", "pod/rooms/a")


@pytest.mark.parametrize("text", ["a\nfake line", "\x1b[2J", "\r", "\x9b", "\u2028", "\ud800"])
def test_a_text_cannot_forge_a_line_or_move_the_cursor(text: str) -> None:
    stream = configured(Logging(format="human"))

    get_logger().info("joined", room=text)
    logging.getLogger("library").info("joined %s", text)

    assert text not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 2
    stream.getvalue().encode()


@pytest.mark.parametrize("value", ["\ud800", 2**70, object(), {1: "a"}, float("nan")])
def test_a_line_is_written_whatever_it_holds(value: object) -> None:
    stream = configured(Logging())

    get_logger().info("odd", value=value)

    assert len(stream.getvalue().splitlines()) == 1
    assert '"component":"realtime"' in stream.getvalue()


class Unshowable(Exception):
    """No part of it can be had without harm."""

    def __str__(self) -> str:
        raise SystemExit("no text")

    __repr__ = __str__

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise SystemExit("no notes")


@pytest.mark.parametrize("format_", ["json", "human"])
def test_an_exception_that_cannot_be_shown_harms_nobody_who_tells_of_it(format_: str) -> None:
    stream = configured(Logging(format=format_))

    get_logger().error("child crashed", exc_info=Unshowable())

    assert "child crashed" in stream.getvalue()
    assert "Unshowable" in stream.getvalue()


def test_whoever_says_something_does_not_fail_of_a_stream_that_is_closed() -> None:
    stream = configured(Logging())
    stream.close()  # as code of anybody's can close the process's own

    get_logger().info("said")
    logging.getLogger("a.library").warning("said too")


def test_in_a_program_of_somebody_elses_lines_go_where_its_own_go_and_nothing_of_it_changes(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    lead_into_logging()
    lead_into_logging()
    secret = "hunter2"
    try:
        raise RuntimeError("it broke\x1b")
    except RuntimeError:
        get_logger().exception("room crashed", room="chat", token=JWT)
    get_logger().info("not loud enough")
    structlog.get_logger().info("the program's own", n=1)

    assert (root.level, root.handlers) == before
    [record] = caplog.records
    assert (record.name, record.levelname) == ("deployd.realtime", "ERROR")
    text = record.getMessage()
    assert "room crashed" in text
    assert "room=chat" in text
    assert "RuntimeError: it broke" in text
    assert JWT not in text
    assert secret not in text
    assert "the program's own" in capsys.readouterr().out


def test_where_somebody_has_configured_structlog_nothing_changes() -> None:
    stream = configured(Logging())
    before = structlog.get_config()
    lead_into_logging()
    get_logger().warning("as it was")
    assert structlog.get_config() == before
    assert lines(stream)[0]["event"] == "as it was"


def test_a_level_is_changed_for_loggers_that_are_there_already() -> None:
    stream = configured(Logging(level="WARNING"))
    log = get_logger()
    log.info("before")
    set_log_level("INFO", trace=False)
    log.info("after")
    assert (log_level(), tracing()) == ("INFO", False)
    set_log_level("ERROR", trace=True)
    log.debug("traced")
    get_logger("hub").debug("no message's way")
    assert [line["event"] for line in lines(stream)] == ["after", "traced"]


def test_a_file_takes_the_lines_and_is_opened_anew_when_it_was_moved(tmp_path: Path) -> None:
    file = tmp_path / "log"
    stream = configured(Logging(file=str(file)), tty=True)
    get_logger().info("one")
    file.rename(tmp_path / "log.1")
    get_logger().info("two")
    assert reopen_log() == file
    get_logger().info("three")
    kept = [[orjson.loads(line)["event"] for line in each.read_text().splitlines()]
            for each in (tmp_path / "log.1", file)]  # fmt: skip
    assert kept == [["one", "two"], ["three"]]
    assert stream.getvalue() == ""
    assert not logs_for_people()


def test_a_file_that_cannot_be_opened_anew_leaves_the_one_that_is_open(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    configured(Logging(file=str(folder / "log")))
    folder.rename(tmp_path / "moved")
    with pytest.raises(OSError, match="log"):
        reopen_log()
    get_logger().info("still")
    assert "still" in (tmp_path / "moved" / "log").read_text()


def test_a_file_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"logging\.file cannot be opened: .*missing"):
        configured(Logging(file=str(tmp_path / "missing" / "log")))


def test_where_there_is_no_file_none_is_opened() -> None:
    configured(Logging())
    assert reopen_log() is None


def test_a_pipe_that_nobody_reads_is_no_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log"
    os.mkfifo(file)
    settings = Logging(file=str(file))
    with pytest.raises(ConfigError, match=r"logging\.file cannot be opened: No such device"):
        configure_logging(settings, tty=False, stream=io.StringIO())
    reader = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    try:
        configure_logging(settings, tty=False, stream=io.StringIO())
        get_logger().warning("heard")
        assert b"heard" in os.read(reader, 65536)
    finally:
        os.close(reader)
    with pytest.raises(OSError, match="No such device"):
        reopen_log()
    get_logger().warning("lost, and nobody is the worse for it")
    assert capsys.readouterr().err == ""

"""The file that a first start writes."""

import json
from pathlib import Path

import pytest

from deployd.config import Config, ConfigError, load, write_default

BASIC = {
    "enabled": True,
    "messageTTL": 3600,
    "broker": {"type": "memory", "enabled": False},
    "limits": {
        "maxConnections": 10000,
        "maxRoomsPerClient": 100,
        "messageRateLimit": 100,
        "pingInterval": 54,
        "pongTimeout": 10,
    },
}


def test_it_writes_the_basic_configuration_once(tmp_path: Path) -> None:
    path = tmp_path / "config" / "realtime.json"

    assert write_default(path)

    assert json.loads(path.read_text()) == BASIC
    assert load(path, environ={}).config == Config()
    path.write_text('{"enabled": false}')
    assert not write_default(path)
    assert path.read_text() == '{"enabled": false}'
    assert [kept.name for kept in path.parent.iterdir()] == ["realtime.json"]


def test_it_leaves_the_file_of_another_process_that_was_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "realtime.json"
    path.write_text("theirs")
    monkeypatch.setattr(Path, "exists", lambda _: False)

    assert not write_default(path)

    assert path.read_text() == "theirs"
    assert [kept.name for kept in tmp_path.iterdir()] == ["realtime.json"]


def test_it_says_why_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="it cannot be written: "):
        write_default(tmp_path / "file" / "realtime.json")

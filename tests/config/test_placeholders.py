"""`${NAME}` and `${NAME:-default}` in the texts of a file."""

import json
from pathlib import Path

import pytest

from deployd.config import Config, ConfigError, load


def filled(tmp_path: Path, document: object, **environ: str) -> Config:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    return load(path, environ=environ).config


def test_a_placeholder_takes_the_type_of_its_setting(tmp_path: Path) -> None:
    document = {
        "enabled": "${ON}",
        "server": {"port": "${PORT:-99}"},
        "limits": {"pingInterval": "${PING}"},
        "logging": {"level": "${LEVEL}"},
        "origins": {"allowed": "${ORIGINS}"},
    }

    config = filled(
        tmp_path, document, ON="no", PING="20.5", LEVEL="debug", ORIGINS="https://a.org,https://b.c"
    )

    assert config.enabled is False
    assert config.server.port == 99
    assert config.limits.ping_interval == 20.5
    assert config.logging.level == "DEBUG"
    assert config.origins.allowed == ("https://a.org", "https://b.c")


def test_a_placeholder_may_be_anywhere_in_a_text(tmp_path: Path) -> None:
    document = {
        "server": {"host": "pod-${N}.${ZONE:-local}"},
        "origins": {"allowed": ["https://${N}.org"]},
        "rooms": {"a": "${M}:Chat"},
    }

    config = filled(tmp_path, document, N="7", M="app")

    assert config.server.host == "pod-7.local"
    assert config.origins.allowed == ("https://7.org",)
    assert config.rooms == {"a": "app:Chat"}


def test_a_text_that_looks_like_a_number_stays_text(tmp_path: Path) -> None:
    document = {"broker": {"redis": {"password": "${P}"}}}

    assert filled(tmp_path, document, P="0123").broker.redis.password == "0123"


def test_the_default_stands_in_for_an_empty_variable(tmp_path: Path) -> None:
    document = {"server": {"host": "${A:-x}", "data": "${A}y${B:-}"}}

    server = filled(tmp_path, document, A="").server

    assert (server.host, server.data) == ("x", "y")


def test_a_doubled_dollar_stands_for_itself(tmp_path: Path) -> None:
    document = {"broker": {"redis": {"password": "$${A}$b"}}}

    assert filled(tmp_path, document, A="no").broker.redis.password == "${A}$b"


def test_what_was_filled_in_is_not_filled_again(tmp_path: Path) -> None:
    document = {"server": {"host": "${A}"}}

    assert filled(tmp_path, document, A="${B}", B="b").server.host == "${B}"


@pytest.mark.parametrize(("host", "sentence"), [
    ("${HOST}", (
        "server.host needs the variable HOST, which is not set; set it or write ${HOST:-default}")),
    ("${A-B}", (
        "server.host has a placeholder that names no variable; write ${NAME}, ${NAME:-default}, "
        "or $${ for the characters themselves")),
    ("a ${} b", (
        "server.host has a placeholder that names no variable; write ${NAME}, ${NAME:-default}, "
        "or $${ for the characters themselves")),
])  # fmt: skip
def test_a_placeholder_that_cannot_be_filled_names_file_and_path(
    tmp_path: Path, host: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        filled(tmp_path, {"server": {"host": host}})

    assert caught.value.problems == (f"file {tmp_path}/a.json: {sentence}",)


def test_a_number_that_cannot_be_filled_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        filled(tmp_path, {"server": {"port": "${PORT}"}})

    assert len(caught.value.problems) == 1


def test_a_placeholder_is_not_part_of_a_number(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'server\.port must be a whole number .* not "12"'):
        filled(tmp_path, {"server": {"port": "1${A}"}}, A="2")
